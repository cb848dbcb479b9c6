"""Bring a database to a revision of the schema, and say where it stands.

`python -m db.migrate check` compares a freshly migrated database with the models.
"""

import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy.orm import Session

from db.embedded import start_postgres, stop_postgres
from db.engine import driver_url, make_engine
from db.errors import SchemaOutdated
from db.models import Base
from db.queries.reader import reader_password
from db.queries.rights import READER, fence_reader

LOGGER = logging.getLogger(__name__)
SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"

# Any number will do that no other lock of the database has.
_MIGRATION_KEY = 0x6661726D_00000001
_HAS_ROLE = "SELECT FROM pg_roles WHERE rolname = %s"


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate up to a revision; nothing happens where it is already there.

    Args:
        url: a Postgres URL of the tables' owner.
        revision: a revision's name, or `head`.
    """
    with _alone(url):
        command.upgrade(_config(url), revision)
        _set_reader_password(url)
        _fence_reader(url)


def downgrade(url: str, revision: str) -> None:
    """Migrate down to a revision.

    Args:
        url: a Postgres URL of the tables' owner.
        revision: a revision's name, or `base`.
    """
    with _alone(url):
        command.downgrade(_config(url), revision)


def head_revision() -> str:
    """Name the newest revision that this code knows."""
    return ScriptDirectory(str(SCRIPTS)).get_current_head() or ""


def current_revision(session: Session) -> str:
    """Name the revision the database is at, '' for an empty database."""
    context = MigrationContext.configure(session.connection())
    return context.get_current_revision() or ""


def require_current(session: Session) -> None:
    """Refuse to work on a database that is not at the newest revision.

    Raises:
        SchemaOutdated: the database is behind, or ahead of this code.
    """
    found, expected = current_revision(session), head_revision()
    if found == expected:
        return
    known = {
        script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()
    }
    is_behind = not found or found in known
    fix = "migrate the database" if is_behind else "update this program"
    raise SchemaOutdated(
        f"the database is at migration {found or 'none'!r}, this code needs "
        f"{expected!r}; {fix}"
    )


def check(url: str) -> list[str]:
    """Compare the models with a migrated database, as `alembic check` does.

    Returns:
        One line a difference; empty if they agree.
    """
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={"compare_type": True, "compare_server_default": True},
            )
            return [str(found) for found in compare_metadata(context, Base.metadata)]
    finally:
        engine.dispose()


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Let one process at a time migrate a database; the others wait for it.

    An advisory lock of the session: nothing is left behind by a process that dies, and
    the reader may not call the function.
    """
    plain = driver_url(url).set(drivername="postgresql")
    with psycopg.connect(
        plain.render_as_string(hide_password=False),
        application_name="farm migrate",
        autocommit=True,
    ) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_KEY,))
        yield


def _set_reader_password(url: str) -> None:
    """Let the reader log in where the server asks for passwords."""
    secret = reader_password(driver_url(url))
    if secret is None:
        return
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
    plain = driver_url(url).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False)) as connection:
        if connection.execute(_HAS_ROLE, (READER,)).fetchone() is not None:
            connection.execute(statement.format(sql.Identifier(READER), secret))


def _fence_reader(url: str) -> None:
    """Take the reader's rights again: a restored database has forgotten some."""
    engine = make_engine(url, application_name="farm migrate")
    try:
        with engine.begin() as connection:
            left = fence_reader(connection)
    finally:
        engine.dispose()
    if left:
        LOGGER.warning(
            "%s keeps what only a superuser can take from it: %s; migrate once as a "
            "superuser",
            READER,
            ", ".join(left),
        )


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _main(arguments: list[str]) -> int:
    if arguments != ["check"]:
        usage = "usage: python -m db.migrate check; to migrate: farm migrate\n"
        sys.stderr.write(usage)
        return 2
    # A server of its own: the check is about the code, not about somebody's database.
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    try:
        url = start_postgres(folder / "pg")
        upgrade(url)
        differences = check(url)
    finally:
        stop_postgres(folder / "pg")
        shutil.rmtree(folder)
    sys.stdout.write("".join(f"{line}\n" for line in differences))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
