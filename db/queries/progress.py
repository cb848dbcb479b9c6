"""How far a loop is: its steps in order, with what is done of each and how fast."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

_STEPS = text("""
    SELECT r.number AS round, j.stage, j.wave, j.voter,
           count(*) FILTER (WHERE j.status <> 'split') AS jobs,
           count(*) FILTER (WHERE j.status = 'done') AS done,
           count(*) FILTER (WHERE j.status = 'running') AS running,
           count(*) FILTER (WHERE j.status = 'pending') AS pending,
           count(*) FILTER (WHERE j.status = 'failed') AS failed,
           count(*) FILTER (WHERE j.status = 'cancelled') AS cancelled,
           coalesce(CAST(sum(CASE
               WHEN j.status = 'done' THEN 1.0
               WHEN j.status = 'running' AND j.progress_total > 0
               THEN CAST(j.progress_done AS float) / j.progress_total
               ELSE 0 END) FILTER (WHERE j.status <> 'split') AS float), 0)
               AS jobs_worth,
           coalesce(sum(j.progress_done), 0)::bigint AS items_done,
           CAST(extract(epoch FROM coalesce(
               CASE WHEN bool_and(j.status NOT IN ('pending', 'running', 'failed'))
                    THEN max(j.finished_at) END,
               clock_timestamp()) - min(j.started_at)) AS float) AS seconds
    FROM jobs j JOIN rounds r ON r.id = j.round_id
    WHERE r.loop_id = :loop_id
    GROUP BY r.number, j.stage, j.wave, j.voter
    ORDER BY r.number, min(j.id)
""")
_FAILED = text("""
    SELECT j.id, r.number AS round, j.stage, j.wave, j.voter, j.shard, j.last_error
    FROM jobs j JOIN rounds r ON r.id = j.round_id
    WHERE r.loop_id = :loop_id AND j.status = 'failed'
    ORDER BY j.id
""")
_UNSERVED = text("""
    SELECT j.queue, count(*) AS jobs
    FROM jobs j JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
    WHERE j.status = 'pending' AND r.status = 'running' AND l.status = 'running'
      AND NOT EXISTS (
          SELECT FROM workers w
          WHERE j.queue = ANY(w.queues) AND NOT w.draining AND NOT w.stopping
            AND w.heartbeat_at > clock_timestamp() - make_interval(secs => :alive_s))
    GROUP BY j.queue ORDER BY j.queue
""")


def list_steps(session: Session, loop_id: int) -> list[dict[str, Any]]:
    """List a loop's steps (round, stage, wave, voter) in the order they opened.

    Returns:
        Counts of jobs by status; `jobs_worth`, done jobs with running ones in part;
        `items_done`, what the jobs counted as progress; `seconds` since
        the first start.
    """
    rows = session.execute(_STEPS, {"loop_id": loop_id}).mappings()
    return [dict(row) for row in rows]


def failed_jobs(session: Session, loop_id: int) -> list[dict[str, Any]]:
    """List a loop's parked jobs with the error of each."""
    rows = session.execute(_FAILED, {"loop_id": loop_id}).mappings()
    return [dict(row) for row in rows]


def unserved_queues(session: Session, *, alive_s: float) -> dict[str, int]:
    """Count pending jobs by queue where no live worker takes that queue.

    Args:
        session: the session.
        alive_s: a worker silent for longer counts as gone, in seconds.
    """
    rows = session.execute(_UNSERVED, {"alive_s": alive_s})
    return {row.queue: row.jobs for row in rows}
