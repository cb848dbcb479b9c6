"""Postgres from a wheel, on a Unix socket under a folder; its data is kept.

The server outlives the process that started it: `stop_postgres` ends it. Its socket
lies in a folder that nobody else may enter, and the kernel says who connects: whoever
runs the farm may be any role, everybody else is refused.
"""

import fcntl
import os
import pwd
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from db.errors import StoreError
from db.private_folders import short_folder
from db.server_account import ServerAccount, find_account

VERSION = 18
DATABASE = "farm"
SOCKET = ".s.PGSQL.5432"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
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
    # Nobody listens here; by default a reader could fill 8 GB with notices.
    "max_notify_queue_pages": "64",
}


def start_postgres(folder: Path) -> str:
    """Start the server of `folder` unless it runs; make it and its database if new.

    Args:
        folder: the data directory; its parent is made where it is missing.

    Returns:
        The URL of the database `farm`, as user `postgres`.

    Raises:
        StoreError: the server does not accept connections within a minute, or cannot
            reach its folder.
    """
    folder = folder.expanduser().resolve()
    with _locked(folder):
        account = find_account()
        _make_data(account, folder)
        _write_settings(folder)
        is_changed = _write_logins(account, folder)
        admin_url = _start(account, folder)
        if is_changed:
            # A server that was running still has its old logins.
            account.run("pg_ctl", "reload", folder=folder)
        _ensure_database(admin_url)
        return _url(_socket_of(folder), DATABASE)


def stop_postgres(folder: Path) -> None:
    """Stop the server of `folder`, cleanly; nothing happens if it does not run."""
    folder = folder.expanduser().resolve()
    if not (folder / "postmaster.pid").exists():
        return
    with _locked(folder):
        if _running_url(folder) is not None:
            wait = ("-w", "-t", f"{STOP_TIMEOUT_S:.0f}")
            find_account().run("pg_ctl", "stop", "-m", "fast", *wait, folder=folder)


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


def _make_data(account: ServerAccount, folder: Path) -> None:
    """Make the data folder, unless it is there and of this version."""
    mark = folder / "PG_VERSION"
    found = mark.read_text().strip() if mark.exists() else ""
    if found not in {"", str(VERSION)}:
        raise StoreError(
            f"{folder} holds data of Postgres {found}; expected {VERSION}; "
            "choose another folder or upgrade the data with pg_upgrade"
        )
    folder.mkdir(mode=0o700, exist_ok=True)
    account.own(folder)
    if not found:
        options = ("--auth-local=peer", "--auth-host=reject", "--encoding=utf8")
        account.run("initdb", *options, "--username=postgres", folder=folder)


def _write_logins(account: ServerAccount, folder: Path) -> bool:
    """Let in whom the kernel names as this user, and nobody else; True if changed."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise StoreError(
            f"the user id {os.geteuid()} has no name; expected one in /etc/passwd, by "
            "which Postgres knows who connects; add it"
        ) from None
    files = {
        "pg_hba.conf": "local all all peer map=farm\n",
        "pg_ident.conf": f'farm "{user}" all\n',
    }
    is_changed = False
    for name, content in files.items():
        path = folder / name
        if path.read_text() != content:
            path.write_text(content)
            path.chmod(0o600)
            account.own(path)
            is_changed = True
    return is_changed


def _start(account: ServerAccount, folder: Path) -> str:
    """Start or attach, and wait: crash recovery may outlast pg_ctl's patience."""
    deadline = time.monotonic() + START_TIMEOUT_S
    inside = folder / SOCKET
    socket = short_folder(inside, owner=account.uid)
    options = shlex.join(["-h", "", "-k", str(socket)])
    while True:
        if (url := _running_url(folder)) is not None:
            return url
        _forget_dead_postmaster(folder)
        try:
            account.run(
                "pg_ctl", "start", "-w", "-t", f"{START_TIMEOUT_S:.0f}",
                "-l", str(folder / "log"), "-o", options, folder=folder,
            )  # fmt: skip
        except StoreError as error:
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
    socket = _socket_of(folder)
    if not socket:
        return None
    url = _url(socket, "postgres")
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return None
    return url


def _socket_of(folder: Path) -> str:
    """Give the folder of the server's socket, '' where none runs."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return ""
    return lines[4].strip() if len(lines) > 4 else ""


def _url(socket: str, database: str) -> str:
    return f"postgresql://postgres:@/{database}?host={quote(socket)}"


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
