"""Workers: who is alive, what they take, and how many at once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.errors import NotFound

_REGISTER = text("""
    INSERT INTO workers (name, queues, slots, version)
    VALUES (:name, :queues, :slots, :version)
    ON CONFLICT (name) DO UPDATE
    SET queues = :queues, slots = :slots, version = :version, stopping = false,
        draining = false, started_at = clock_timestamp(),
        heartbeat_at = clock_timestamp()
""")
_BEAT = text("UPDATE workers SET heartbeat_at = clock_timestamp() WHERE name = :name")
_STOP = text("UPDATE workers SET stopping = true WHERE name = :name")
_DRAIN = text("UPDATE workers SET draining = :on WHERE name = :name")
_REMOVE = text("DELETE FROM workers WHERE name = :name")
_LIST = text("""
    SELECT w.name, w.queues, w.slots, w.version, w.draining, w.stopping,
           CAST(extract(epoch FROM clock_timestamp() - w.heartbeat_at) AS float)
               AS silent_seconds,
           (SELECT count(*) FROM jobs j
            WHERE j.worker = w.name AND j.status = 'running') AS running_jobs
    FROM workers w ORDER BY w.name
""")


def register(
    session: Session, name: str, *, queues: Sequence[str], slots: int, version: str
) -> None:
    """Announce a worker; a restart under the same name replaces the row."""
    session.execute(
        _REGISTER,
        {"name": name, "queues": list(queues), "slots": slots, "version": version},
    )


def beat(session: Session, name: str) -> bool:
    """Say that the worker is alive; False if its row is gone (register again)."""
    return bool(session.execute(_BEAT, {"name": name}).rowcount)  # type: ignore[attr-defined]  # a cursor result


def mark_stopping(session: Session, name: str) -> None:
    """Ask the worker's running jobs to hand themselves back."""
    session.execute(_STOP, {"name": name})


def drain(session: Session, name: str, *, on: bool) -> None:
    """Let the worker take no new job; the running ones finish.

    Raises:
        NotFound: no worker has that name.
    """
    if session.execute(_DRAIN, {"name": name, "on": on}).rowcount == 0:  # type: ignore[attr-defined]  # a cursor result
        raise NotFound(f"no worker is named {name!r}; see the list of workers")


def remove(session: Session, name: str) -> None:
    """Forget a worker that has ended."""
    session.execute(_REMOVE, {"name": name})


def list_workers(session: Session) -> list[dict[str, Any]]:
    """List workers with their running jobs and seconds since the last heartbeat."""
    return [dict(row) for row in session.execute(_LIST).mappings()]
