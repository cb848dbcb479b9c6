"""Engines and session makers: how every process of the farm reaches Postgres."""

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.orm import Session, sessionmaker

from db.errors import StoreError

DRIVER = "postgresql+psycopg"
CONNECT_TIMEOUT_S = 10


def driver_url(url: str) -> URL:
    """Name psycopg 3 as the driver, whatever form of Postgres URL came.

    Args:
        url: `postgresql://…`, `postgres://…` or `postgresql+psycopg://…`.

    Raises:
        StoreError: the URL is not one of Postgres.
    """
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    if parsed.drivername not in {"postgresql", DRIVER}:
        raise StoreError(
            f"the database URL starts with {parsed.drivername!r}; expected "
            "'postgresql://'; correct FARM_DATABASE_URL"
        )
    return parsed.set(drivername=DRIVER)


def make_engine(
    url: str,
    *,
    pool_size: int = 4,
    application_name: str = "farm",
    pre_ping: bool = True,
) -> Engine:
    """Build an engine; nothing connects until it is used.

    Args:
        url: a Postgres URL, see `driver_url`.
        pool_size: connections kept open, at least 1; twice as many may open at once.
        application_name: what `pg_stat_activity` shows.
        pre_ping: look whether a connection is alive before it is handed out; who
            repeats a transaction that lost its connection need not pay for it.

    Raises:
        StoreError: the URL is not one of Postgres.
    """
    return create_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        # A connection that a restarted server dropped is replaced, not handed out.
        pool_pre_ping=pre_ping,
        connect_args={
            "application_name": application_name,
            "connect_timeout": CONNECT_TIMEOUT_S,
        },
    )


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Build the maker of sessions; rows stay readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)
