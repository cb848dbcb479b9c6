"""What a farm no longer needs: old records of its work, and files that no row names.

Texts, gold, votes, labels, scores and students are never touched, nor is anything of a
loop that has not ended.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

EVENT = "garbage_collected"
# A worker that has been silent for so long is gone for good.
DEAD_WORKER_DAYS = 1
# A file that somebody writes just now may have no row yet.
MIN_FILE_AGE_S = 86_400.0
BATCH_ROWS = 10_000
SCRATCH = "scratch"
PART = ".part"

_ENDED = "('stopped', 'cancelled')"
# Table to (key, which rows are old); a batch at a time.
_OLD = {
    "workers": (
        "name",
        """heartbeat_at < now() - make_interval(days => :dead_days) AND NOT EXISTS (
            SELECT FROM jobs j WHERE j.worker = old.name AND j.status = 'running')""",
    ),
    # With their costs and reservations.
    "jobs": (
        "id",
        f"""EXISTS (
            SELECT FROM rounds r JOIN loops l ON l.id = r.loop_id
            WHERE r.id = old.round_id AND l.status IN {_ENDED}
              AND l.finished_at < now() - make_interval(days => :days))""",
    ),
    "events": (
        "id",
        f"""at < now() - make_interval(days => :days) AND NOT EXISTS (
            SELECT FROM loops l
            WHERE l.id = old.loop_id AND (l.status NOT IN {_ENDED}
              OR l.finished_at >= now() - make_interval(days => :days)))""",
    ),
    "answers": (
        "text_id, request_fingerprint, replicate",
        # A loop that has not ended may yet read them, or would pay again.
        f"""created_at < now() - make_interval(days => :days) AND NOT EXISTS (
            SELECT FROM documents d JOIN loops l ON l.corpus_id = d.corpus_id
            WHERE d.text_id = old.text_id AND l.status NOT IN {_ENDED})""",
    ),
}
_NAMED = text("""
    SELECT artifact_hash FROM students
    UNION SELECT manifest_hash FROM students
    UNION SELECT snapshot_hash FROM voters
""")
_OPEN_JOBS = text("""
    SELECT id FROM jobs WHERE status IN ('pending', 'running', 'failed')
""")
_IS_DUE = text(f"""
    SELECT NOT EXISTS (
        SELECT FROM events WHERE kind = '{EVENT}'
          AND at > now() - make_interval(hours => :hours)
    )
""")  # noqa: S608  # our own constant


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted, or would be: rows by table, files, and their bytes."""

    workers: int = 0
    jobs: int = 0
    events: int = 0
    answers: int = 0
    files: int = 0
    bytes: int = 0

    def as_dict(self) -> dict[str, int]:
        """Give it as plain data."""
        return asdict(self)


def collect(
    sessions: sessionmaker[Session],
    artifacts: str,
    *,
    days: int,
    dry_run: bool = False,
) -> Collected:
    """Delete what is older than the retention, and files that no row names.

    Args:
        sessions: of the farm's database, as the tables' owner.
        artifacts: fsspec URL of the artifacts, which belong to this farm alone.
        days: how long jobs with their costs, events and answers are kept after the end
            of their loop, 1 or more.
        dry_run: only count.
    """
    rows = {
        table: _delete(sessions, table, days, dry_run=dry_run)
        for table in ("workers", "jobs", "events", "answers")
    }
    files, size = _collect_files(sessions, artifacts, dry_run=dry_run)
    return Collected(**rows, files=files, bytes=size)


def is_due(session: Session, *, hours: int = 24) -> bool:
    """Say whether nobody has collected for so many hours."""
    return bool(session.scalar(_IS_DUE, {"hours": hours}))


def _delete(
    sessions: sessionmaker[Session], table: str, days: int, *, dry_run: bool
) -> int:
    key, old = _OLD[table]
    values = {"days": days, "dead_days": DEAD_WORKER_DAYS}
    if dry_run:
        count = text(f"SELECT count(*) FROM {table} AS old WHERE {old}")  # noqa: S608
        with sessions() as session:
            return int(session.scalar(count, values) or 0)
    # In batches: one long transaction would hold up vacuum and everybody's locks.
    statement = text(f"""
        DELETE FROM {table} WHERE ({key}) IN (
            SELECT {key} FROM {table} AS old WHERE {old} LIMIT {BATCH_ROWS}
            FOR UPDATE SKIP LOCKED)
    """)  # noqa: S608  # our own constants
    deleted = 0
    while True:
        with sessions.begin() as session:
            result = session.execute(statement, values)
            deleted += (number := int(result.rowcount))  # type: ignore[attr-defined]
        if number < BATCH_ROWS:
            return deleted


def _collect_files(
    sessions: sessionmaker[Session], artifacts: str, *, dry_run: bool
) -> tuple[int, int]:
    """Delete old files that no row names; returns how many, and their bytes."""
    files, root = fsspec.core.url_to_fs(artifacts)
    if not files.exists(root):
        return 0, 0
    # Listed before the rows are read: what is written after is not in the list.
    found = list(_list_old(files, root))
    with sessions() as session:
        named = set(session.scalars(_NAMED))
        open_jobs = {f"train-{job_id}" for job_id in session.scalars(_OPEN_JOBS)}
    number = size = 0
    for path, parts, num_bytes in found:
        if parts[0] == SCRATCH and parts[1] in open_jobs:
            continue
        if parts[-1] in named:
            continue
        number, size = number + 1, size + num_bytes
        if not dry_run:
            files.rm(path)
    if not dry_run and isinstance(files, LocalFileSystem):
        _drop_empty_folders(Path(root))
    return number, size


def _list_old(files: Any, root: str) -> Iterator[tuple[str, list[str], int]]:
    """List artifacts, their parts and scratch files that nobody writes any more.

    Yields:
        A path, the names it has below the root, and its bytes.
    """
    before = time.time() - MIN_FILE_AGE_S
    for path, entry in files.find(root, detail=True).items():
        written = entry.get("mtime") or entry.get("LastModified") or 0.0
        seconds = written if isinstance(written, (int, float)) else written.timestamp()
        parts = path.removeprefix(root).strip("/").split("/")
        is_ours = (
            parts[0] == SCRATCH
            if len(parts) > 2
            else len(parts) == 2 and parts[1].startswith(parts[0])
        )
        if is_ours and seconds < before:
            yield path, parts, int(entry.get("size") or 0)


def _drop_empty_folders(root: Path) -> None:
    for folder in sorted((root / SCRATCH).glob("*"), reverse=True):
        if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
            shutil.rmtree(folder, ignore_errors=True)
