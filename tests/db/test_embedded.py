"""The embedded server, on a data folder of the test's own."""

import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest

from db.embedded import is_running, start_postgres, stop_postgres
from db.errors import StoreError


@pytest.fixture
def folder():
    parent = Path(tempfile.mkdtemp(prefix="farm-"))
    yield parent / "pg"
    stop_postgres(parent / "pg")
    shutil.rmtree(parent)


@pytest.mark.slow
def test_data_survives_a_stop_and_a_second_start_finds_the_running_server(folder):
    url = start_postgres(folder)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (x int)")
    again = start_postgres(folder)
    stop_postgres(folder)
    stopped = is_running(folder)
    restarted = start_postgres(folder)

    assert again == url
    assert not stopped
    assert is_running(folder)
    with psycopg.connect(restarted) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW max_connections").fetchone() == ("200",)


@pytest.mark.slow
def test_a_dead_servers_pid_file_does_not_stop_a_start(folder):
    url = start_postgres(folder)
    pid_file = folder / "postmaster.pid"
    lines = pid_file.read_text()
    stop_postgres(folder)
    # The number of a process that lives and is not Postgres: this one's parent's.
    pid_file.write_text("\n".join(["1", *lines.splitlines()[1:]]) + "\n")

    assert start_postgres(folder) == url


def test_stopping_what_does_not_run_is_no_error(tmp_path):
    stop_postgres(tmp_path / "pg")

    assert not is_running(tmp_path / "pg")


def test_data_of_another_postgres_is_refused(folder):
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9\n")

    with pytest.raises(StoreError, match="holds data of Postgres 9; expected"):
        start_postgres(folder)
