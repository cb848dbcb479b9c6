"""A real Postgres for the tests: one server a run, a migrated template, fast copies."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from db.embedded import start_postgres, stop_postgres
from db.engine import make_engine, make_sessions
from db.migrate import upgrade

# How long a test takes is a benchmark's business. `make test` asks for the profile "ci"
# instead, which draws the same examples every time.
settings.register_profile("farm", deadline=None, print_blob=True)
TEMPLATE = "farm_template"
# A test cluster may forget everything in a crash; the farm's own never does.
FAST = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
    "autovacuum = off",
)


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    # Short: a Unix socket's path may hold about 100 bytes, pytest's folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    yield folder / "pg"
    stop_postgres(folder / "pg")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url(postgres_folder: Path) -> str:
    """URL of a migrated database that no test commits to."""
    url = start_postgres(postgres_folder)
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in FAST:
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    upgrade(_of_database(url, TEMPLATE))
    upgrade(url)
    return url


@pytest.fixture(scope="session")
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    engine = make_engine(postgres_url, application_name="farm tests")
    yield engine
    engine.dispose()


@pytest.fixture
def session(postgres_engine: Engine) -> Iterator[Session]:
    """A session whose work, committed or not, is rolled back after the test."""
    with postgres_engine.connect() as connection, connection.begin() as transaction:
        with Session(
            connection,
            join_transaction_mode="create_savepoint",
            expire_on_commit=False,
        ) as session:
            yield session
        transaction.rollback()


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """URL of a database of its own without any table."""
    yield from _own_database(postgres_url, "template1")


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """URL of a migrated database of its own: tests may commit, in many processes."""
    yield from _own_database(postgres_url, TEMPLATE)


@pytest.fixture
def sessions(database_url: str) -> Iterator[sessionmaker[Session]]:
    """Sessions on the test's own database."""
    engine = make_engine(database_url, application_name="farm tests")
    yield make_sessions(engine)
    engine.dispose()


def _own_database(url: str, template: str) -> Iterator[str]:
    name = f"farm_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _of_database(url, name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _of_database(url: str, name: str) -> str:
    return url.replace("/farm?", f"/{name}?")
