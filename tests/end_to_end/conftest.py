"""A real farm for a test: own database, own Redis, own relay and Celery workers."""

import shutil
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.end_to_end.farm import Farm


@pytest.fixture
def farm(make_farm):
    with make_farm() as found:
        yield found


@pytest.fixture(scope="session")
def make_farm(postgres_url):
    """Make farms whose databases are copies of the migrated template."""

    @contextmanager
    def make():
        name = f"farm_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE farm_template")
        # A short path: Redis' socket lies in it.
        folder = Path(tempfile.mkdtemp(prefix="farm-"))
        farm = Farm(postgres_url.replace("/farm?", f"/{name}?"), folder)
        try:
            yield farm
        finally:
            farm.stop()
            shutil.rmtree(folder, ignore_errors=True)
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    return make
