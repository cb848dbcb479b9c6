"""Run the migrations online, for a URL, an engine or a connection."""

from alembic import context
from sqlalchemy import Connection, Engine

from db.engine import make_engine
from db.models import Base
from db.settings import DatabaseSettings

# A migration that cannot get its lock gives up instead of blocking every worker.
LOCK_TIMEOUT = "3s"


def main() -> None:
    given = context.config.attributes.get("connection")
    if isinstance(given, Connection):
        migrate(given)
    elif isinstance(given, Engine):
        with given.connect() as connection:
            migrate(connection)
    else:
        connect_and_migrate()


def connect_and_migrate() -> None:
    url = context.config.attributes.get("url") or DatabaseSettings().database_url
    if not url:
        message = "no database to migrate; set FARM_DATABASE_URL to a Postgres URL"
        raise SystemExit(message)
    engine = make_engine(url, application_name="farm migrate")
    try:
        with engine.connect() as connection:
            migrate(connection)
    finally:
        engine.dispose()


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        context.run_migrations()


main()
