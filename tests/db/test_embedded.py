"""The embedded server, on a data folder of the test's own."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from db.embedded import is_running, start_postgres, stop_postgres
from db.errors import StoreError
from db.private_folders import short_folder
from db.server_account import find_account, programs

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


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


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def socket_folder(url: str) -> Path:
    return Path(psycopg.conninfo.conninfo_to_dict(url)["host"])


def as_user(uid: int, act: Callable[[], object]) -> str:
    """Act in a child process as another user; gives what it raised, '' for nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            act()
        except BaseException as error:  # noqa: BLE001  # handed to the test
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.slow
def test_a_socket_lies_in_a_folder_of_its_own_whatever_the_path(folder):
    home = folder.parent / f"{'d' * 99} with spaces, and 'more'" / "pg"

    try:
        url = start_postgres(home)
        found = socket_folder(url)
        psycopg.connect(url).close()

        assert found != home
        assert mode(found) == 0o700
        assert found.stat().st_uid == find_account().uid
    finally:
        stop_postgres(home)
        shutil.rmtree(found)


@pytest.mark.slow
def test_no_folder_above_is_opened_and_nobody_is_trusted(folder):
    home = folder.parent / "closed" / "pg"
    home.parent.mkdir(mode=0o700)
    above = [*home.parents, *programs().parents]
    before = [mode(path) for path in above]

    try:
        url = start_postgres(home)

        assert [mode(path) for path in above] == before
        assert mode(home) == 0o700
        with psycopg.connect(url) as connection:
            logins = connection.execute(
                "SELECT type, auth_method FROM pg_hba_file_rules"
            )
            assert logins.fetchall() == [("local", "peer")]
    finally:
        stop_postgres(home)


@AS_ROOT
@pytest.mark.slow
def test_another_user_is_refused_even_at_an_open_socket(folder):
    url = start_postgres(folder)
    # Whatever opened the folders: the kernel still says who it is.
    folder.parent.chmod(0o755)
    folder.chmod(0o711)
    nobody = pwd.getpwnam("nobody").pw_uid

    for user in ("postgres", "farm_reader"):
        other = url.replace("postgres:", f"{user}:")
        said = as_user(nobody, lambda other=other: psycopg.connect(other))
        assert "Peer authentication failed" in said
    folder.chmod(0o700)


@pytest.mark.slow
def test_a_server_that_trusted_everybody_stops_at_the_next_start(folder):
    url = start_postgres(folder)
    (folder / "pg_hba.conf").write_text("local all all trust\n")
    stop_postgres(folder)

    start_postgres(folder)

    with psycopg.connect(url) as connection:
        methods = connection.execute("SELECT auth_method FROM pg_hba_file_rules")
        assert methods.fetchall() == [("peer",)]


@AS_ROOT
@pytest.mark.slow
def test_a_second_user_of_the_machine_starts_a_farm(folder):
    start_postgres(folder)
    nobody = pwd.getpwnam("nobody").pw_uid
    home = Path(tempfile.mkdtemp(prefix="farm-"))
    os.chown(home, nobody, nobody)
    if as_user(nobody, (programs() / "initdb").read_bytes):
        pytest.skip("this Postgres lies where another user may not read it")

    try:

        def start() -> None:
            os.environ["HOME"] = str(home)
            with psycopg.connect(start_postgres(home / "pg")) as connection:
                connection.execute("SELECT 1")
            stop_postgres(home / "pg")

        assert as_user(nobody, start) == ""
    finally:
        shutil.rmtree(home)


@AS_ROOT
def test_a_socket_folder_of_somebody_else_is_refused(tmp_path):
    inside = tmp_path / ("d" * 120) / "socket"
    folder = short_folder(inside, owner=0)
    os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)

    try:
        with pytest.raises(StoreError, match="belongs to user"):
            short_folder(inside, owner=0)
    finally:
        folder.rmdir()


def test_an_open_socket_folder_is_closed(tmp_path):
    inside = tmp_path / ("d" * 120) / "socket"
    folder = short_folder(inside, owner=os.geteuid())
    folder.chmod(0o755)

    try:
        assert short_folder(inside, owner=os.geteuid()) == folder
        assert mode(folder) == 0o700
    finally:
        folder.rmdir()
