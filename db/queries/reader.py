"""Queries that people write: run as `farm_reader`, who may read the views only.

The database refuses, not we: the role has rights on nothing else, its transaction is
read-only, and a cursor takes exactly one SELECT, VALUES, TABLE or WITH.
"""

import contextlib
import hashlib
import hmac
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.rows import tuple_row
from sqlalchemy import URL, Engine

from db.engine import driver_url
from db.errors import QueryRefused
from db.queries.rights import MAX_READER_S, READER

# How much longer Postgres has to stop a query before its connection is cut.
GRACE_S = 0.5
TOO_LONG = "it ran into the time limit; read fewer rows or raise --timeout"
HINTS = {
    "42501": "farm_reader may read the views and call must_keep() and mk_in_ref() only",
    "42P01": "the views are label_quality, round_summary, voter_quality, "
    "ensemble_paradox, student_scores, queue_depth and round_costs",
    "42703": "select * from the view LIMIT 1 shows its columns",
    "42601": "give one SELECT, VALUES, TABLE or WITH query and nothing else",
    "57014": TOO_LONG,
    "54000": "give must_keep() and mk_in_ref() one document at a time",
    "25006": "nothing may be written",
    "28P01": "migrate the database: that sets the reader's password",
}
DEFAULT_HINT = "give one SELECT query over the views"


@dataclass(frozen=True, slots=True)
class Table:
    """What a query gave back; `truncated` if it had more rows than allowed."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool


def reader_url(owner_url: str) -> str:
    """Give the URL that logs in as `farm_reader`.

    Args:
        owner_url: the URL of the tables' owner.

    Returns:
        The same with another user and, if there was a password, with the reader's
        own, which `db.migrate.upgrade` has set.
    """
    url = driver_url(owner_url)
    secret = reader_password(url)
    # Not URL.set: it would keep a password where None was meant.
    reader = URL.create(
        url.drivername, READER, secret, url.host, url.port, url.database, url.query
    )
    return reader.render_as_string(hide_password=False)


def reader_password(owner_url: URL) -> str | None:
    """Derive the reader's password from the owner's; it does not lead back."""
    if not owner_url.password:
        return None
    return hmac.new(
        str(owner_url.password).encode(), READER.encode(), hashlib.sha256
    ).hexdigest()


def run_query(
    reader_engine: Engine, query: str, *, timeout_s: float, max_rows: int
) -> Table:
    """Run one query on a connection that is logged in as `farm_reader`.

    Args:
        reader_engine: an engine made for `reader_url`.
        query: one SELECT, VALUES, TABLE or WITH, without parameters.
        timeout_s: how long planning and running it may take together, in seconds,
            above 0 and at most `MAX_READER_S`.
        max_rows: at most so many rows come back.

    Raises:
        QueryRefused: Postgres refused it or stopped it; its message and a hint.
    """
    if not 0.0 < timeout_s <= MAX_READER_S:
        raise QueryRefused(
            f"found a time limit of {timeout_s:g} s; expected more than 0 and at most "
            f"{MAX_READER_S:g}"
        )
    with reader_engine.connect() as connection:
        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError("the reader's engine must be one of db.engine.make_engine")
        is_cut = threading.Event()
        try:
            with _cut_after(driver, timeout_s + GRACE_S, is_cut):
                return _run(driver, query, timeout_s, max_rows)
        except psycopg.Error as error:
            if is_cut.is_set():
                raise QueryRefused(f"the query did not stop; {TOO_LONG}") from error
            raise _refusal(error) from error
        finally:
            # Whatever the query did to the session's settings goes with it.
            connection.invalidate()


def _run(
    driver: psycopg.Connection[Any], query: str, timeout_s: float, max_rows: int
) -> Table:
    with driver.cursor(row_factory=tuple_row) as cursor:
        user = cursor.execute("SELECT session_user").fetchone()
        if user != (READER,):
            raise QueryRefused(
                f"logged in as {user}; expected {READER}; make the engine with "
                "reader_url()"
            )
        cursor.execute("SET TRANSACTION READ ONLY")
        deadline = time.monotonic() + timeout_s
        _limit(cursor, deadline)
        # Planning computes what is constant, which may take as long as running.
        _declare(driver, query)
        _limit(cursor, deadline)
        # One statement fetches all, so that no function of the query can lift the limit
        # for the next one.
        cursor.execute(f"FETCH FORWARD {max_rows + 1} FROM farm_query")
        columns = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    return Table(columns, rows[:max_rows], truncated=len(rows) > max_rows)


def _limit(cursor: psycopg.Cursor[Any], deadline: float) -> None:
    """Give the next statement what is left of the time."""
    left_ms = max(1, round((deadline - time.monotonic()) * 1000))
    cursor.execute(f"SET LOCAL statement_timeout = {left_ms}")


@contextlib.contextmanager
def _cut_after(
    driver: psycopg.Connection[Any], wait_s: float, is_cut: threading.Event
) -> Iterator[None]:
    """Cut the connection if Postgres does not stop in time.

    Some built-in functions look at no limit while they work.
    """
    line = socket.socket(fileno=os.dup(driver.fileno()))

    def cut() -> None:
        is_cut.set()
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(wait_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        line.close()


def _declare(driver: psycopg.Connection[Any], query: str) -> None:
    """Open the cursor by the extended protocol, which takes a single statement."""
    if "\0" in query:
        raise QueryRefused("the query holds a NUL character; remove it")
    statement = f"DECLARE farm_query NO SCROLL CURSOR FOR {query}"
    result = driver.pgconn.exec_params(statement.encode(), None)
    if result.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result)


def _refusal(error: psycopg.Error) -> QueryRefused:
    message = error.diag.message_primary or str(error).strip()
    hint = HINTS.get(error.sqlstate or "", error.diag.message_hint or DEFAULT_HINT)
    return QueryRefused(f"Postgres refused the query: {message}; {hint}")
