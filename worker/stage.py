"""The two shapes of all work; no session is open while either computes.

    claim -> load -> compute                -> store + finish + next jobs
    claim -> load -> (read -> add) … finish -> store + finish + next jobs

A heartbeat runs beside what lies between load and store. The last three are one
transaction, fenced by the attempt: a job's effects are stored once, whoever else
believes to own it.
"""

import logging
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from db.errors import Conflict, JobCancelled, LeaseLost
from db.queries import dispatch, jobs, records
from db.queries.jobs import JobRow
from kompress.errors import KompressError
from worker.bisection import after_lost_lease
from worker.errors import EngineDied, Interrupted, NotHere
from worker.heartbeat import Heartbeat
from worker.patience import is_outage, patiently
from worker.pipeline import advance
from worker.runtime import Runtime

LOGGER = logging.getLogger(__name__)
# Another worker gets the time to take what this one cannot hold.
NOT_HERE_S = 5.0

Inputs = TypeVar("Inputs")
Outputs = TypeVar("Outputs")
Key = TypeVar("Key")
Part = TypeVar("Part")
Sums = TypeVar("Sums")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stage(Generic[Inputs, Outputs]):
    """A stage whose inputs fit in memory: three plain functions.

    mypy checks that each one fits the next.

    Attributes:
        load: SELECTs; no row of it is locked.
        compute: kompress; no session open, progress through the heartbeat.
        store: ordered INSERT … DO NOTHING; safe to repeat.
    """

    load: Callable[[Session, JobRow], Inputs]
    compute: Callable[[Runtime, Inputs, Heartbeat], Outputs]
    store: Callable[[Session, JobRow, Outputs], None]

    def run(self, runtime: Runtime, job: JobRow, heartbeat: Heartbeat) -> Outputs:
        """Load and compute."""
        with runtime.sessions() as session:
            inputs = self.load(session, job)
        return self.compute(runtime, inputs, heartbeat)


@dataclass(frozen=True, slots=True)
class Stream(Generic[Inputs, Key, Sums]):
    """What a stage that reads shard by shard begins with.

    Attributes:
        inputs: what the whole job needs; nothing changes it.
        shards: names of what is read, in this order; shards of documents, mostly.
        sums: what the shards add up to: nothing yet.
    """

    inputs: Inputs
    shards: Iterable[Key]
    sums: Sums


@dataclass(frozen=True, slots=True)
class StreamStage(Generic[Inputs, Key, Part, Sums, Outputs]):
    """A stage that reads shard by shard: five plain functions.

    What is held does not grow with the number of shards, as long as the sums do not.

    Attributes:
        load: SELECTs; no row of them is locked.
        read: SELECTs of one shard, in a short session of its own.
        add: kompress; adds the shard to the sums, reports progress.
        finish: kompress; makes of the sums what is stored.
        store: ordered INSERT … DO NOTHING; safe to repeat.
    """

    load: Callable[[Session, JobRow], Stream[Inputs, Key, Sums]]
    read: Callable[[Session, Runtime, Inputs, Key], Part]
    add: Callable[[Inputs, Sums, Part, Heartbeat], None]
    finish: Callable[[Runtime, Inputs, Sums, Heartbeat], Outputs]
    store: Callable[[Session, JobRow, Outputs], None]

    def run(self, runtime: Runtime, job: JobRow, heartbeat: Heartbeat) -> Outputs:
        """Load, read one shard after the other, and finish."""
        with runtime.sessions() as session:
            stream = self.load(session, job)
        for key in stream.shards:
            with runtime.sessions() as session:
                part = self.read(session, runtime, stream.inputs, key)
            self.add(stream.inputs, stream.sums, part, heartbeat)
        return self.finish(runtime, stream.inputs, stream.sums, heartbeat)


AnyStage: TypeAlias = Stage[Any, Outputs] | StreamStage[Any, Any, Any, Any, Outputs]


def run_stage(
    stage: AnyStage[Outputs],
    runtime: Runtime,
    job_id: int,
    *,
    name: str | None = None,
    send_hints: Callable[[], object] = lambda: None,
) -> JobRow | None:
    """Run one job of a stage; None if there was nothing to claim.

    `send_hints` runs beside `compute`, so that the slot's next job is on its way by
    the time this one ends, and again where this one opened a step. `name` is the
    stage's: a job of another one is left alone, whatever message named it.

    Whatever goes wrong is recorded on the job's row, so nothing is raised for it: a
    lost lease stores nothing, an interruption hands the job back, an error counts. An
    engine that died counts as a lost lease, and `runtime.is_broken` from then on: the
    caller must end the process.
    """
    job = _claim(runtime, job_id, name)
    if job is None:
        return None
    started = time.monotonic()
    try:
        with Heartbeat(runtime, job, at_start=send_hints) as heartbeat:
            outputs = stage.run(runtime, job, heartbeat)
            opened = _store(stage, runtime, job, outputs, started)
        if opened:
            send_hints()
    except LeaseLost as lost:
        _log_lost(job, lost)
    except Interrupted as reason:
        LOGGER.info("%s is handed back: %s", job.title, reason)
        _end(runtime, job, lambda session: jobs.release(session, job), started)
    except NotHere as reason:
        LOGGER.warning("%s is handed back: %s", job.title, reason)
        _hand_on(runtime, job, str(reason), started)
    except EngineDied as death:
        LOGGER.error("%s: the engine died: %s", job.title, death)  # noqa: TRY400  # nobody reads a trace of CUDA
        _forfeit(runtime, job, death, started)
        runtime.is_broken = True
    except Exception as error:  # noqa: BLE001  # every error ends on the job's row
        _fail(runtime, job, error, started)
    return job


def _claim(runtime: Runtime, job_id: int, name: str | None) -> JobRow | None:
    """Take the job; None if there is nothing to take, or not for this stage."""
    try:
        with runtime.sessions.begin() as session:
            return jobs.claim(
                session,
                job_id,
                worker=runtime.worker,
                lease_s=runtime.settings.lease_s,
                stage=name,
            )
    except Conflict as mismatch:
        LOGGER.warning("a message was dropped: %s", mismatch)
        return None


def _store(
    stage: AnyStage[Outputs],
    runtime: Runtime,
    job: JobRow,
    outputs: Outputs,
    started: float,
) -> bool:
    """Store, finish and plan in one transaction; True if a step was opened."""

    def write(session: Session) -> bool:
        # First, for it is the fence: from here on the job's row is held.
        jobs.mark_done(session, job)
        stage.store(session, job, outputs)
        seconds = time.monotonic() - started
        _add_costs(session, runtime, job, seconds, useful=seconds)
        return advance(session, job.round_id, num_finished=1)

    return _transact(runtime, job, write)


def _fail(runtime: Runtime, job: JobRow, error: Exception, started: float) -> None:
    """Count an error; what kompress refuses will not mend itself, so it parks."""
    LOGGER.error("%s failed: %s", job.title, error)
    report = "".join(traceback.format_exception(error))
    park = isinstance(error, KompressError)

    def write(session: Session) -> None:
        if isinstance(error, DBAPIError) and is_outage(error):
            jobs.release(session, job, delay_s=1.0)
            return
        is_parked = jobs.fail(session, job, report, park=park)
        records.add_event(
            session,
            runtime.worker,
            "job_failed",
            loop_id=job.loop_id,
            round_id=job.round_id,
            job_id=job.id,
            detail={"error": f"{type(error).__name__}: {error}"[:2000]},
        )
        if is_parked:
            advance(session, job.round_id, num_finished=1)

    _end(runtime, job, write, started)


def _hand_on(runtime: Runtime, job: JobRow, reason: str, started: float) -> None:
    """Leave the job to another worker, in a while; the row says why."""

    def write(session: Session) -> None:
        jobs.release(session, job, delay_s=NOT_HERE_S, reason=reason)

    _end(runtime, job, write, started)


def _forfeit(runtime: Runtime, job: JobRow, death: EngineDied, started: float) -> None:
    """Count the engine's death as a lost lease: a prompt that kills is bisected."""

    def write(session: Session) -> None:
        lost = dispatch.forfeit_lease(session, job, f"EngineDied: {death}")
        records.add_event(
            session,
            runtime.worker,
            "engine_died",
            loop_id=job.loop_id,
            round_id=job.round_id,
            job_id=job.id,
            detail={"error": str(death)[:2000], "lost_leases": lost.num_lost_leases},
        )
        after_lost_lease(session, lost)

    _end(runtime, job, write, started)


def _end(
    runtime: Runtime, job: JobRow, write: Callable[[Session], None], started: float
) -> None:
    """End an attempt without effects; if even that fails, the lease runs out."""

    def write_with_costs(session: Session) -> None:
        write(session)
        _add_costs(session, runtime, job, time.monotonic() - started, useful=0.0)

    try:
        _transact(runtime, job, write_with_costs)
    except LeaseLost as lost:
        _log_lost(job, lost)
    except DBAPIError as error:
        LOGGER.warning("%s: its lease will run out: %s", job.title, error)


def _log_lost(job: JobRow, lost: LeaseLost) -> None:
    """Say that an attempt stored nothing: an operator's wish, or worth a look."""
    level = logging.INFO if isinstance(lost, JobCancelled) else logging.WARNING
    LOGGER.log(level, "%s: %s; nothing was stored", job.title, lost)


def _transact(runtime: Runtime, job: JobRow, write: Callable[[Session], T]) -> T:
    """Run one transaction; wait for a database that restarts.

    If a commit went through although its connection broke, the fence refuses the
    second try: the effects are stored once.
    """

    def run() -> T:
        with runtime.sessions.begin() as session:
            return write(session)

    return patiently(job.title, run)


def _add_costs(
    session: Session, runtime: Runtime, job: JobRow, seconds: float, *, useful: float
) -> None:
    """Record what the attempt spent."""
    records.add_cost(session, job.id, job.attempt, "seconds", seconds, useful)
    usd = runtime.settings.usd_per_hour / 3600
    if usd:
        records.add_cost(
            session, job.id, job.attempt, "usd", seconds * usd, useful * usd
        )
