"""Jobs that failed for good: they end their round and its loop, and can be retried.

A round goes on while anything of its step can run, so that nothing that was paid for is
cut off. Where only parked jobs are left it ends as `failed`, and its loop with it.
"""

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from db.errors import Conflict
from db.models import Loop, Round
from db.queries import jobs, records
from db.queries.jobs import JobRow
from db.queries.loops import RoundRow, finish_round, lock_round, stop_loop
from kompress.stop_reason import JobFailed

MAX_REASON_CHARS = 500
_PARKED = text("""
    SELECT id, stage, last_error, count(*) OVER () AS num_failed FROM jobs
    WHERE round_id = :round_id AND stage = :stage AND wave = :wave
      AND status = 'failed'
    ORDER BY id LIMIT 1
""")
_NEWEST = text("SELECT max(number) FROM rounds WHERE loop_id = :loop_id")


def end_failed_round(session: Session, held: RoundRow) -> bool:
    """End a round and its loop where only parked jobs are left of the round's step.

    Args:
        session: the session.
        held: the round, locked; nothing of its step is pending or running.

    Returns:
        Whether a job is parked, so that the round cannot go on.
    """
    step = {"round_id": held.id, "stage": held.stage, "wave": held.wave}
    row = session.execute(_PARKED, step).one_or_none()
    if row is None:
        return False
    stop = JobFailed(row.stage, row.id, reason_in(row.last_error), row.num_failed)
    finish_round(session, held.id, stop, status="failed")
    stop_loop(session, held.loop_id, stop, None)
    records.add_event(
        session,
        "farm",
        "loop_stopped",
        loop_id=held.loop_id,
        round_id=held.id,
        job_id=row.id,
        detail={"stop_reason": stop.code, "error": stop.error},
    )
    return True


def retry(session: Session, job_id: int) -> JobRow:
    """Make a parked job pending again; a loop that ended for it runs again.

    Raises:
        NotFound: no failed job has that id.
        Conflict: its loop has gone on with a later round.
    """
    jobs.retry(session, job_id)
    job = jobs.get_job(session, job_id)
    held = lock_round(session, job.round_id)
    newest = session.scalar(_NEWEST, {"loop_id": held.loop_id})
    if newest != held.number:
        raise Conflict(
            f"job {job_id} is of round {held.number} of loop {job.loop!r}, which has "
            f"gone on with round {newest}; expected the newest round; start another one"
        )
    revive_round(session, held)
    session.execute(
        update(Round).where(Round.id == held.id).values(open_jobs=Round.open_jobs + 1)
    )
    return job


def revive_round(session: Session, held: RoundRow) -> None:
    """Let a failed round and its loop run again; the relay opens what is due.

    Args:
        session: the session.
        held: the round, locked, the newest of its loop; one that runs stays as it is.
    """
    if held.status != "failed":
        return
    again = {"status": "running", "stop_reason": "", "stop": None, "finished_at": None}
    session.execute(update(Round).where(Round.id == held.id).values(**again))
    session.execute(update(Loop).where(Loop.id == held.loop_id).values(**again))


def reason_in(report: str) -> str:
    """Give an error as people read it: a traceback's last part, else all of it."""
    lines = report.strip().splitlines()
    if lines and lines[0].startswith("Traceback"):
        # Frames are indented; a message that follows them is not.
        last = max(n for n, line in enumerate(lines) if line[:1] in (" ", "T"))
        lines = lines[last + 1 :] or lines[-1:]
    return "\n".join(lines)[:MAX_REASON_CHARS] or "no error was kept"
