"""What the relay asks of the job table: which hints to send, which leases are over.

At most `HINTS_PER_SLOT` jobs per live slot and queue are sent or running, chosen in
order of loop priority, then fair share between loops: Redis never holds a backlog.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.queries.jobs import JobRow, job_title, lease_lost
from db.queries.locks import RELAY, take_lock

HINTS_PER_SLOT = 2
# A worker that was silent for this long has no slots.
ALIVE_S = 15.0
MAX_LOST_LEASES = 3


@dataclass(frozen=True, slots=True)
class Hint:
    """A message to send: the task is the stage's, the argument is the job's id."""

    job_id: int
    stage: str
    queue: str
    title: str


@dataclass(frozen=True, slots=True)
class ExpiredJob:
    """A job whose lease ran out."""

    id: int
    round_id: int
    stage: str
    num_lost_leases: int


# A hint that a crash forgets is sent again.
_HURRY = text("SET LOCAL synchronous_commit = off")

_CHOOSE = text("""
    WITH room AS (
        SELECT q.queue, :per_slot * sum(w.slots) AS slots
        FROM workers w, unnest(w.queues) AS q (queue)
        WHERE NOT w.draining AND NOT w.stopping
          AND w.heartbeat_at > clock_timestamp() - make_interval(secs => :alive_s)
        GROUP BY q.queue
    ), in_flight AS (
        SELECT queue, round_id FROM jobs WHERE status = 'running'
        UNION ALL
        SELECT queue, round_id FROM jobs
        WHERE status = 'pending' AND sent_at IS NOT NULL
    ), busy AS (
        SELECT f.queue, r.loop_id, count(*) AS jobs
        FROM in_flight f JOIN rounds r ON r.id = f.round_id
        GROUP BY f.queue, r.loop_id
    ), waiting AS (
        -- No more of a round than its queue could take: a backlog is not looked at.
        SELECT first.id, room.queue, l.priority,
               coalesce(b.jobs, 0) + row_number() OVER (
                   PARTITION BY room.queue, r.loop_id ORDER BY first.id) AS turn
        FROM room
        CROSS JOIN rounds r JOIN loops l ON l.id = r.loop_id
        CROSS JOIN LATERAL (
            SELECT j.id FROM jobs j
            WHERE j.round_id = r.id AND j.queue = room.queue
              AND j.status = 'pending' AND j.sent_at IS NULL
              AND j.run_after <= clock_timestamp()
            ORDER BY j.id LIMIT room.slots
        ) AS first
        LEFT JOIN busy b ON b.queue = room.queue AND b.loop_id = r.loop_id
        WHERE r.status = 'running' AND l.status = 'running'
    ), ranked AS (
        SELECT id, queue, row_number() OVER (
            PARTITION BY queue ORDER BY priority DESC, turn, id) AS place
        FROM waiting
    ), chosen AS (
        SELECT ranked.id FROM ranked JOIN room USING (queue)
        WHERE place <= room.slots
              - (SELECT coalesce(sum(jobs), 0) FROM busy WHERE queue = ranked.queue)
    )
    UPDATE jobs j SET sent_at = clock_timestamp()
    FROM chosen, rounds r, loops l
    WHERE j.id = chosen.id AND r.id = j.round_id AND l.id = r.loop_id
      AND j.status = 'pending' AND j.sent_at IS NULL
    RETURNING j.id, j.stage, j.queue, l.name AS loop, r.number AS round, j.wave,
              j.voter, j.shard
""")

_EXPIRED = text("""
    SELECT id FROM jobs
    WHERE status = 'running' AND lease_until <= clock_timestamp()
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")

# An attempt that came further than all before it forgives their lost leases: faults
# that have nothing to do with a long job never add up to the end of it. What kills its
# worker stops at the same place each time, and is counted.
_LOSE_LEASE = """
    UPDATE jobs
    SET status = 'pending', sent_at = NULL, lease_until = NULL, worker = '',
        num_lost_leases = CASE WHEN progress_done > furthest_done THEN 1
                               ELSE num_lost_leases + 1 END,
        furthest_done = greatest(furthest_done, progress_done)
"""
_LOST = "RETURNING id, round_id, stage, num_lost_leases"

_EXPIRE = text(f"""
    WITH spent AS (
        INSERT INTO costs (job_id, attempt, kind, spent, useful)
        SELECT id, attempt, 'seconds',
               extract(epoch FROM clock_timestamp() - started_at), 0
        FROM jobs WHERE id = :job_id
        ON CONFLICT DO NOTHING
    )
    {_LOSE_LEASE} WHERE id = :job_id {_LOST}
""")  # noqa: S608  # no input is interpolated

_FORFEIT = text(f"""
    {_LOSE_LEASE}, last_error = :error
    WHERE id = :job_id AND attempt = :attempt AND status = 'running' {_LOST}
""")

_STALE = text("""
    SELECT queue, count(*) AS jobs FROM jobs
    WHERE status = 'pending' AND sent_at < clock_timestamp() - make_interval(
        secs => :age_s)
    GROUP BY queue ORDER BY queue
""")

_UNSEND = text("""
    UPDATE jobs SET sent_at = NULL
    WHERE status = 'pending' AND queue = :queue
      AND sent_at < clock_timestamp() - make_interval(secs => :age_s)
""")


def choose_hints(session: Session) -> list[Hint]:
    """Mark the next jobs as sent and return them; commit first, then send."""
    # One relay chooses at a time; any number may run.
    take_lock(session, RELAY)
    session.execute(_HURRY)
    rows = session.execute(_CHOOSE, {"per_slot": HINTS_PER_SLOT, "alive_s": ALIVE_S})
    return [
        Hint(row.id, row.stage, row.queue, job_title(row))
        for row in sorted(rows, key=lambda row: row.id)
    ]


def expire_leases(session: Session) -> list[ExpiredJob]:
    """Make jobs whose lease is over pending again; returns them for bisection."""
    ids = session.scalars(_EXPIRED).all()
    return [
        ExpiredJob(*session.execute(_EXPIRE, {"job_id": job_id}).one())
        for job_id in ids
    ]


def forfeit_lease(session: Session, job: JobRow, error: str) -> ExpiredJob:
    """Give a lease up as if it had run out: the process that held it must end.

    Raises:
        LeaseLost: another attempt owns the job.
    """
    values = {"job_id": job.id, "attempt": job.attempt, "error": error}
    row = session.execute(_FORFEIT, values).one_or_none()
    if row is None:
        raise lease_lost(session, job)
    return ExpiredJob(*row)


def stale_hints(session: Session, *, age_s: float) -> dict[str, int]:
    """Count, by queue, pending jobs whose hint is older than `age_s` seconds."""
    return {row.queue: row.jobs for row in session.execute(_STALE, {"age_s": age_s})}


def forget_hints(session: Session, queue: str, *, age_s: float) -> int:
    """Let hints older than `age_s` be sent again; returns how many."""
    result = session.execute(_UNSEND, {"queue": queue, "age_s": age_s})
    return int(result.rowcount)  # type: ignore[attr-defined]  # a cursor result
