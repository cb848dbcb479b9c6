"""Jobs: claim, lease, fence, end. Times are the database's clock, never ours.

A job is `pending` (perhaps hinted: `sent_at`), `running` under a lease, or ended:
`done`, `cancelled`, `split` (its documents went to child shards), `failed` (parked).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from db.errors import Conflict, JobCancelled, LeaseLost, NotFound
from db.kinds import ARGS_VERSION, queue_of

MAX_ERRORS = 3
# Shards from here on were made by a bisection; planning a wave never counts them.
FIRST_CHILD_SHARD = 1_000_000


def job_title(job: Any) -> str:
    """Name a job in words; what tells jobs apart comes first, for columns are narrow.

    Args:
        job: anything with a job's loop, round, stage, voter, shard, wave and id.
    """
    voter = f"/{job.voter}" if job.voter else ""
    return (
        f"{job.loop} round {job.round} {job.stage}{voter} shard {job.shard} "
        f"wave {job.wave} job {job.id}"
    )


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job to be: its key within a round, and what it is told."""

    stage: str
    wave: int = 0
    voter: str = ""
    shard: int = 0
    args: dict[str, Any] = field(default_factory=dict)
    deadline_s: int = 3600


@dataclass(frozen=True, slots=True)
class JobRow:
    """A claimed job; `attempt` is the fence of everything it stores."""

    id: int
    loop_id: int
    loop: str
    round_id: int
    round: int
    stage: str
    wave: int
    voter: str
    shard: int
    queue: str
    args: dict[str, Any]
    attempt: int
    deadline_s: int
    num_lost_leases: int

    @property
    def title(self) -> str:
        """What people read in Flower and in messages."""
        return job_title(self)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a heartbeat brings back: should the job go on?"""

    alive: bool
    interrupted: str  # '' or why the job must hand itself back


_JOB = """
    j.id, l.id AS loop_id, l.name AS loop, r.id AS round_id, r.number AS round,
    j.stage, j.wave, j.voter, j.shard, j.queue, j.args, j.attempt, j.deadline_s,
    j.num_lost_leases
"""

_INSERT = text("""
    INSERT INTO jobs (round_id, stage, wave, voter, shard, queue, args, args_version,
                      deadline_s)
    VALUES (:round_id, :stage, :wave, :voter, :shard, :queue, :args, :version,
            :deadline_s)
    ON CONFLICT (round_id, stage, wave, voter, shard) DO NOTHING
""").bindparams(bindparam("args", type_=JSONB))

# A claim lost in a crash is a lease that expires: it need not wait for the disk.
_CLAIM = text(f"""
    WITH quick AS (SELECT set_config('synchronous_commit', 'off', true) AS mode)
    UPDATE jobs j
    SET status = 'running', attempt = j.attempt + 1, worker = :worker,
        started_at = clock_timestamp(), progress_done = 0, progress_total = 0,
        lease_until = clock_timestamp() + make_interval(secs => :lease_s)
    FROM quick, rounds r JOIN loops l ON l.id = r.loop_id
    WHERE quick.mode = 'off' AND j.id = :job_id AND r.id = j.round_id
      AND j.status = 'pending' AND j.run_after <= clock_timestamp()
      AND (CAST(:stage AS text) IS NULL OR j.stage = :stage)
      AND j.args_version <= :version
      AND r.status = 'running' AND l.status = 'running'
      AND NOT EXISTS (SELECT FROM workers w
                      WHERE w.name = :worker AND (w.draining OR w.stopping))
    RETURNING {_JOB}
""")  # noqa: S608  # no input is interpolated

# A refused job that is due rests a second: the relay and a worker that may not take it
# would else send it to and fro as fast as they can.
_UNSEND = text("""
    UPDATE jobs
    SET sent_at = NULL,
        run_after = CASE WHEN run_after > clock_timestamp() THEN run_after
                         ELSE clock_timestamp() + interval '1 s' END
    WHERE id = :job_id AND status = 'pending'
""")

_STATUS = text("SELECT status FROM jobs WHERE id = :job_id")

_STAGE = text("SELECT stage FROM jobs WHERE id = :job_id")

_RENEW = text("""
    UPDATE jobs
    SET lease_until = CASE WHEN :renew THEN
            clock_timestamp() + make_interval(secs => :lease_s) ELSE lease_until END,
        progress_done = :done, progress_total = :total
    WHERE id = :job_id AND attempt = :attempt AND status = 'running'
      AND lease_until > clock_timestamp()
""")

_FLAGS = text("""
    SELECT l.status AS loop_status, r.status AS round_status,
           coalesce(w.stopping, false) AS stopping
    FROM jobs j JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
    LEFT JOIN workers w ON w.name = j.worker
    WHERE j.id = :job_id
""")

_FENCE = text("""
    SELECT id FROM jobs
    WHERE id = :job_id AND attempt = :attempt AND status = 'running'
    FOR NO KEY UPDATE
""")

_DONE = text("""
    UPDATE jobs
    SET status = 'done', finished_at = clock_timestamp(), lease_until = NULL,
        progress_done = progress_total
    WHERE id = :job_id AND attempt = :attempt AND status = 'running'
""")

_RELEASE = text("""
    UPDATE jobs
    SET status = 'pending', sent_at = NULL, lease_until = NULL, worker = '',
        run_after = clock_timestamp() + make_interval(secs => :delay_s),
        last_error = CASE WHEN :reason = '' THEN last_error ELSE :reason END
    WHERE id = :job_id AND attempt = :attempt AND status = 'running'
""")

_FAIL = text("""
    UPDATE jobs
    SET num_errors = num_errors + 1, last_error = :error, sent_at = NULL, worker = '',
        lease_until = NULL,
        status = CASE WHEN :park OR num_errors + 1 >= :max_errors
                      THEN 'failed' ELSE 'pending' END,
        run_after = clock_timestamp()
                    + make_interval(secs => least(60, power(2, num_errors)))
    WHERE id = :job_id AND attempt = :attempt AND status = 'running'
    RETURNING status
""")

_RETRY = text("""
    UPDATE jobs SET status = 'pending', sent_at = NULL, num_errors = 0,
                    num_lost_leases = 0, furthest_done = 0,
                    run_after = clock_timestamp()
    WHERE id = :job_id AND status = 'failed'
""")

_PARK = text("""
    UPDATE jobs SET status = 'failed', last_error = :error WHERE id = :job_id
""")

_SPLIT = text("""
    UPDATE jobs SET status = 'split', finished_at = clock_timestamp(),
                    lease_until = NULL
    WHERE id = :job_id
""")

_GET = text(f"""
    SELECT {_JOB}
    FROM jobs j JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
    WHERE j.id = :job_id
""")  # noqa: S608  # no input is interpolated

_LIST = text("""
    SELECT j.id, l.name AS loop, r.number AS round, j.stage, j.wave, j.voter, j.shard,
           j.queue, j.status, j.attempt, j.worker, j.num_errors, j.num_lost_leases,
           j.progress_done, j.progress_total,
           CAST(extract(epoch FROM coalesce(j.finished_at, clock_timestamp())
                        - j.started_at) AS float) AS seconds,
           j.last_error
    FROM jobs j JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
    WHERE (CAST(:loop AS text) IS NULL OR l.name = :loop)
      AND (CAST(:status AS text) IS NULL OR j.status = :status)
      AND (CAST(:job_id AS bigint) IS NULL OR j.id = :job_id)
      AND (CAST(:before_id AS bigint) IS NULL OR j.id < :before_id)
    ORDER BY j.id DESC LIMIT :limit
""")


def insert_jobs(session: Session, round_id: int, specs: Sequence[JobSpec]) -> None:
    """Insert jobs of a round in key order; keys that exist stay as they are."""
    rows = [
        {
            "round_id": round_id,
            "stage": spec.stage,
            "wave": spec.wave,
            "voter": spec.voter,
            "shard": spec.shard,
            "queue": queue_of(spec.stage, spec.voter),
            "args": spec.args,
            "version": ARGS_VERSION,
            "deadline_s": spec.deadline_s,
        }
        for spec in sorted(specs, key=lambda s: (s.stage, s.wave, s.voter, s.shard))
    ]
    if rows:
        session.execute(_INSERT, rows)


def claim(
    session: Session,
    job_id: int,
    *,
    worker: str,
    lease_s: float,
    stage: str | None = None,
) -> JobRow | None:
    """Take a pending job under a lease; None if there is nothing to take.

    None means that another delivery has it, it is not due, its loop is paused, the
    worker is draining, or its args are newer than this code.

    Args:
        session: the session.
        job_id: the job.
        worker: who takes it.
        lease_s: seconds until the lease runs out.
        stage: what the caller will run; None for whatever the job's row says.

    Raises:
        Conflict: the job is of another stage; nothing about it was changed.
    """
    row = (
        session.execute(
            _CLAIM,
            {
                "job_id": job_id,
                "worker": worker,
                "lease_s": lease_s,
                "stage": stage,
                "version": ARGS_VERSION,
            },
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        _refuse_other_stage(session, job_id, stage)
        session.execute(_UNSEND, {"job_id": job_id})
        return None
    return JobRow(**row)


def renew(
    session: Session,
    job: JobRow,
    *,
    lease_s: float,
    done: int,
    total: int,
    has_progressed: bool,
) -> Pulse:
    """Record progress, renew the lease if there was any, and read the flags."""
    session.execute(text("SET LOCAL synchronous_commit = off"))
    result = session.execute(
        _RENEW,
        {
            "job_id": job.id,
            "attempt": job.attempt,
            "lease_s": lease_s,
            "done": done,
            "total": total,
            "renew": has_progressed,
        },
    )
    is_held = result.rowcount != 0  # type: ignore[attr-defined]  # a cursor result
    flags = session.execute(_FLAGS, {"job_id": job.id}).one_or_none()
    if not is_held or flags is None:
        # Cancelling ends the job's row, so nothing is left to own.
        cancelled = flags is not None and flags.loop_status == "cancelled"
        reason = "the loop is cancelled" if cancelled else "the lease was lost"
        return Pulse(alive=False, interrupted=reason)
    if flags.stopping:
        return Pulse(alive=True, interrupted="the worker is stopping")
    if flags.loop_status != "running" or flags.round_status != "running":
        return Pulse(alive=True, interrupted=f"the loop is {flags.loop_status}")
    return Pulse(alive=True, interrupted="")


def fence(session: Session, job: JobRow) -> None:
    """Hold the job's row for this transaction, or refuse.

    Raises:
        LeaseLost: another attempt owns the job, or it has ended.
    """
    values = {"job_id": job.id, "attempt": job.attempt}
    if session.execute(_FENCE, values).one_or_none() is None:
        raise lease_lost(session, job)


def lease_lost(session: Session, job: JobRow) -> LeaseLost:
    """Give the error of an attempt that owns its job no more, and say why."""
    if session.scalar(_STATUS, {"job_id": job.id}) == "cancelled":
        return JobCancelled(f"attempt {job.attempt} of job {job.id} was cancelled")
    return LeaseLost(f"attempt {job.attempt} of job {job.id} lost its lease")


def mark_done(session: Session, job: JobRow) -> None:
    """End the job; its effects are in the same transaction.

    Raises:
        LeaseLost: another attempt owns the job.
    """
    _end(session, _DONE, job)


def release(
    session: Session, job: JobRow, *, delay_s: float = 0.0, reason: str = ""
) -> None:
    """Hand the job back, as if it had not been claimed.

    Args:
        session: the session.
        job: the claimed job.
        delay_s: seconds in which nobody claims it.
        reason: why, for people, where no flag of theirs says so; '' for none.

    Raises:
        LeaseLost: another attempt owns the job.
    """
    _end(session, _RELEASE, job, delay_s=delay_s, reason=reason)


def fail(session: Session, job: JobRow, error: str, *, park: bool) -> bool:
    """Count an error; retry later with growing delay, or park the job as `failed`.

    Returns:
        Whether it is parked; then count it down, for its round waits for it no more.

    Raises:
        LeaseLost: another attempt owns the job.
    """
    values = {"error": error, "park": park, "max_errors": MAX_ERRORS}
    values |= {"job_id": job.id, "attempt": job.attempt}
    status = session.scalar(_FAIL, values)
    if status is None:
        raise lease_lost(session, job)
    return bool(status == "failed")


def park(session: Session, job_id: int, error: str) -> None:
    """Park a job that no attempt owns as `failed`, with what to do; count it down."""
    session.execute(_PARK, {"job_id": job_id, "error": error})


def mark_split(session: Session, job_id: int) -> None:
    """End a job whose documents went elsewhere: to child shards, or to `failures`."""
    session.execute(_SPLIT, {"job_id": job_id})


def get_job(session: Session, job_id: int) -> JobRow:
    """Read a job, whatever its status.

    Raises:
        NotFound: no job has that id.
    """
    row = session.execute(_GET, {"job_id": job_id}).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no job has id {job_id}; see the list of jobs")
    return JobRow(**row)


def retry(session: Session, job_id: int) -> None:
    """Make a parked job pending again; `db.queries.parked` counts it in its round.

    Raises:
        NotFound: no failed job has that id.
    """
    if session.execute(_RETRY, {"job_id": job_id}).rowcount == 0:  # type: ignore[attr-defined]  # a cursor result
        raise NotFound(f"no failed job has id {job_id}; only failed jobs are retried")


def list_jobs(
    session: Session,
    *,
    loop: str | None = None,
    status: str | None = None,
    job_id: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """List jobs, newest first, with progress and last error."""
    values = {
        "loop": loop,
        "status": status,
        "job_id": job_id,
        "before_id": before_id,
        "limit": limit,
    }
    return [dict(row) for row in session.execute(_LIST, values).mappings()]


def _refuse_other_stage(session: Session, job_id: int, stage: str | None) -> None:
    """Refuse to take a job for a stage that is not its own."""
    found = session.scalar(_STAGE, {"job_id": job_id})
    if stage is not None and found is not None and found != stage:
        raise Conflict(
            f"job {job_id} is of the stage {found!r}, and was to be run as {stage!r}; "
            "it was left alone"
        )


def _end(session: Session, statement: Any, job: JobRow, **values: Any) -> None:
    """Run an ending statement, fenced by the attempt."""
    values |= {"job_id": job.id, "attempt": job.attempt}
    if session.execute(statement, values).rowcount == 0:  # type: ignore[attr-defined]  # a cursor result
        raise lease_lost(session, job)
