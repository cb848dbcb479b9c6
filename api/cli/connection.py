"""How commands reach the farm: what is not configured is embedded, started here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session, sessionmaker

    from api.embedded import Services
    from api.settings import ApiSettings


def find_services(settings: "ApiSettings") -> "Services":
    """Give Postgres, Redis and artifacts, starting the embedded ones.

    Raises:
        StoreError: an embedded server did not start.
    """
    from api import embedded

    home = settings.home.expanduser().resolve()
    broker_url = settings.broker_url.get_secret_value()
    return embedded.Services(
        database_url=find_database(settings),
        broker_url=broker_url or embedded.start_redis(home / "redis"),
        artifacts=settings.artifacts_url,
    )


def find_database(settings: "ApiSettings", *, start: bool = True) -> str:
    """Give the database's URL; a new embedded database is migrated.

    Args:
        settings: where the farm is.
        start: start the embedded server if it does not run.

    Raises:
        StackStopped: it does not run and shall not be started.
        StoreError: the embedded server did not start.
    """
    from api import embedded
    from api.errors import StackStopped
    from db.engine import make_engine
    from db.migrate import current_revision, upgrade

    if url := settings.database_url.get_secret_value():
        return url
    home = settings.home.expanduser().resolve()
    if not start and not embedded.status(home)["postgres"]:
        raise StackStopped(
            f"no farm runs in {home}; expected one; start it with `farm up`, or set "
            "FARM_HOME or FARM_DATABASE_URL to another"
        )
    home.mkdir(parents=True, exist_ok=True)
    url = embedded.start_database(home)
    engine = make_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            from sqlalchemy.orm import Session

            is_new = not current_revision(Session(connection))
    finally:
        engine.dispose()
    if is_new:
        upgrade(url)
    return url


def worker_environment() -> dict[str, str]:
    """Give the environment of a worker's process; embedded services are started."""
    from api.settings import load_settings

    services = find_services(load_settings())
    return {
        **os.environ,
        "FARM_DATABASE_URL": services.database_url,
        "FARM_BROKER_URL": services.broker_url,
        "FARM_ARTIFACTS": services.artifacts,
    }


@contextmanager
def open_engine(*, start: bool = False) -> "Iterator[Engine]":
    """Connect to the farm's database, whatever its migration.

    Args:
        start: start the embedded server if it does not run.

    Raises:
        StackStopped: it does not run and shall not be started.
    """
    from api.settings import load_settings
    from db.engine import make_engine

    engine = make_engine(
        find_database(load_settings(), start=start), application_name="farm cli"
    )
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_sessions(*, start: bool = False) -> "Iterator[sessionmaker[Session]]":
    """Connect to the farm's database and check its migration.

    Args:
        start: start the embedded server if it does not run.

    Raises:
        StackStopped: as `open_engine`.
        SchemaOutdated: the database is behind, or ahead of this program.
    """
    from db.engine import make_sessions
    from db.migrate import require_current

    with open_engine(start=start) as engine:
        sessions = make_sessions(engine)
        with sessions() as session:
            require_current(session)
        yield sessions


@contextmanager
def open_session(*, start: bool = False) -> "Iterator[Session]":
    """Give a transaction on the farm's database; an error rolls it back.

    Args:
        start: start the embedded server if it does not run; for commands that bring
            something to a new farm.

    Raises:
        StackStopped: as `open_engine`.
        SchemaOutdated: the database is behind, or ahead of this program.
    """
    with open_sessions(start=start) as sessions, sessions.begin() as session:
        yield session


def actor() -> str:
    """Name the person at the terminal, for the audit trail."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # an id without a name, as in a container
        return "cli"
