import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from api import embedded


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "redis"
    embedded.stop_redis(tmp_path / "redis")


def client(folder):
    return redis.Redis(unix_socket_path=str(embedded.socket_path(folder)))


def test_redis_keeps_its_data_over_a_stop_and_listens_on_no_port(folder):
    embedded.start_redis(folder)
    with client(folder) as connection:
        connection.set("key", "kept")
        settings = connection.config_get("*")
    embedded.stop_redis(folder)

    url = embedded.start_redis(folder)

    assert url == f"redis+socket://{embedded.socket_path(folder)}?virtual_host=0"
    with client(folder) as connection:
        assert connection.get("key") == b"kept"
    assert settings["port"] == "0"
    assert settings["appendonly"] == "yes"
    assert settings["maxmemory-policy"] == "noeviction"


def test_redis_starts_again_after_it_was_killed(folder):
    embedded.start_redis(folder)
    with client(folder) as connection:
        connection.set("key", "kept")
        pid = connection.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    while connection_alive(pid):
        pass

    embedded.start_redis(folder)

    with client(folder) as connection:
        assert connection.get("key") == b"kept"


def connection_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1]
    except FileNotFoundError:
        return False


def test_a_second_start_finds_the_running_server(folder):
    embedded.start_redis(folder)
    with client(folder) as connection:
        first = connection.info("server")["process_id"]

    embedded.start_redis(folder)

    with client(folder) as connection:
        assert connection.info("server")["process_id"] == first


def test_redis_outlives_the_process_that_started_it(folder):
    code = (
        "import sys, pathlib; from api.embedded import start_redis;"
        "start_redis(pathlib.Path(sys.argv[1]))"
    )

    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)

    with client(folder) as connection:
        assert connection.ping()


def test_a_deep_home_gets_its_socket_where_paths_are_short(tmp_path):
    folder = tmp_path / ("d" * 90) / "redis"

    try:
        url = embedded.start_redis(folder)
        path = embedded.socket_path(folder)

        assert len(str(path)) < 100
        assert str(path) in url
        assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        embedded.stop_redis(folder)
        path.parent.rmdir()


def test_nobody_else_reads_what_redis_writes(folder):
    folder.mkdir(mode=0o755)
    old = folder / "redis.log"
    old.write_text("an older version wrote it")
    old.chmod(0o644)

    embedded.start_redis(folder)

    with client(folder) as connection:
        connection.set("key", "kept")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert old in files
    assert any(path.name.endswith(".aof") for path in files)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_stopping_what_never_ran_does_nothing(tmp_path):
    embedded.stop(tmp_path)

    assert embedded.status(tmp_path) == {"postgres": False, "redis": False}


@pytest.mark.slow  # initdb alone takes a second or two
def test_both_services_start_in_a_new_home_and_stop(tmp_path):
    home = tmp_path / "home"

    try:
        services = embedded.start(home)

        assert embedded.status(home) == {"postgres": True, "redis": True}
        with psycopg.connect(services.database_url) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (
                "farm",
            )
        assert services.artifacts == f"file://{home}/artifacts"
    finally:
        embedded.stop(home)
    assert embedded.status(home) == {"postgres": False, "redis": False}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_servers_that_ended_are_started_again(tmp_path, number):
    keeper = embedded.Keeper(tmp_path, postgres=True, redis=True)
    services = embedded.start(tmp_path)
    try:
        assert keeper.tend() == []
        pid_file = tmp_path / "postgres" / "postmaster.pid"
        os.kill(int(pid_file.read_text().split()[0]), number)
        with client(tmp_path / "redis") as connection:
            os.kill(connection.info("server")["process_id"], number)
        deadline = time.monotonic() + 15
        said = []
        while len(said) < 2:
            assert time.monotonic() < deadline
            said += keeper.tend()
            time.sleep(0.1)

        assert sorted(line.split()[0] for line in said) == ["postgres", "redis"]
        assert all("runs again" in line for line in said)
        psycopg.connect(services.database_url).close()
        with client(tmp_path / "redis") as connection:
            assert connection.ping()
    finally:
        embedded.stop(tmp_path)


def test_servers_of_others_are_left_alone(tmp_path):
    keeper = embedded.Keeper(tmp_path, postgres=False, redis=False)

    assert keeper.tend() == []
    assert embedded.status(tmp_path) == {"postgres": False, "redis": False}
