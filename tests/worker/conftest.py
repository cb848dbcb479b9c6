"""One database for the worker's tests, emptied before each: making one takes longer."""

import uuid
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import text

from db.engine import make_engine, make_sessions
from tests.worker.inprocess import InProcessFarm
from tests.worker.worlds import EVERYTHING, make_runtime


@pytest.fixture(scope="session")
def make_sessions_of_own(postgres_url):
    """Make a database that is a copy of the migrated template, and sessions on it."""

    @contextmanager
    def make():
        name = f"farm_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE farm_template")
        url = postgres_url.replace("/farm?", f"/{name}?")
        engine = make_engine(url, application_name="farm worker tests")
        yield make_sessions(engine)
        engine.dispose()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    return make


@pytest.fixture(scope="session")
def worker_sessions(make_sessions_of_own):
    with make_sessions_of_own() as sessions:
        yield sessions


@pytest.fixture
def sessions(worker_sessions):
    with worker_sessions.begin() as session:
        session.execute(text(f"TRUNCATE {EVERYTHING} RESTART IDENTITY CASCADE"))
    return worker_sessions


@pytest.fixture
def runtime(sessions, tmp_path):
    return make_runtime(sessions, tmp_path)


@pytest.fixture
def farm(sessions, tmp_path):
    return InProcessFarm(sessions, tmp_path)
