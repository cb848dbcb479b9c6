"""Loops and rounds: start, pause, end; the round row's lock orders what ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from db.errors import Conflict, NotFound
from db.ids import parse_id
from db.models import Corpus, Loop, Round
from db.models.loop import DecisionsColumn
from db.queries import gold, jobs
from db.queries.jobs import JobSpec
from kompress.decisions import Decisions
from kompress.stop_reason import StopReason


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A round with what it needs of its loop."""

    id: int
    loop_id: int
    number: int
    status: str
    stage: str
    wave: int
    open_jobs: int
    config: dict[str, Any]
    decisions: Decisions
    loop_config: dict[str, Any]
    corpus_id: int
    corpus_seq: int


_READ = """
    SELECT r.id, r.loop_id, r.number, r.status, r.stage, r.wave, r.open_jobs, r.config,
           r.decisions, l.config AS loop_config, l.corpus_id, l.corpus_seq
    FROM rounds r JOIN loops l ON l.id = r.loop_id
    WHERE r.id = :round_id
"""
_READ_ROUND = text(_READ).columns(decisions=DecisionsColumn)
# Not FOR UPDATE: every label and vote of a round holds a key-share lock on its row, so
# two stores that count the same keys would each wait for the other.
_LOCK_ROUND = text(_READ + " FOR NO KEY UPDATE OF r").columns(decisions=DecisionsColumn)
_COUNT_DOWN = text("""
    UPDATE rounds SET open_jobs = greatest(0, open_jobs - :num_finished)
    WHERE id = :round_id AND status = 'running'
    RETURNING open_jobs
""")
_COUNT_OPEN = text("""
    SELECT count(*) FROM jobs
    WHERE round_id = :round_id AND stage = :stage AND wave = :wave
      AND status IN ('pending', 'running')
""")
_CANCEL_JOBS = text("""
    UPDATE jobs SET status = 'cancelled', finished_at = clock_timestamp(),
                    lease_until = NULL
    WHERE status IN ('pending', 'running', 'failed')
      AND round_id IN (SELECT id FROM rounds WHERE loop_id = :loop_id)
""")


def check_new(session: Session, name: str, corpus_name: str) -> Corpus:
    """Give the corpus that a new loop can be on.

    Raises:
        NotFound: no corpus has that name.
        Conflict: a loop has that name already, or the corpus is empty.
    """
    corpus = session.scalar(select(Corpus).where(Corpus.name == corpus_name))
    if corpus is None:
        known = session.scalars(select(Corpus.name).order_by(Corpus.name)).all()
        raise NotFound(
            f"no corpus is named {corpus_name!r}; there are {list(known)}; "
            "take one of them, or add it"
        )
    if corpus.last_seq == 0:
        raise Conflict(
            f"corpus {corpus_name!r} has no documents; expected some; add them first"
        )
    if session.scalar(select(Loop.id).where(Loop.name == name)) is not None:
        raise Conflict(f"a loop named {name!r} exists; choose another --name")
    return corpus


def create_loop(
    session: Session,
    name: str,
    corpus_name: str,
    config: dict[str, Any],
    first_round: dict[str, Any],
    *,
    priority: int = 0,
) -> Loop:
    """Insert a loop pinned to the corpus as it is now, its first round and first job.

    Raises:
        NotFound, Conflict: as `check_new`.
    """
    corpus = check_new(session, name, corpus_name)
    loop = Loop(
        name=name,
        corpus_id=corpus.id,
        corpus_seq=corpus.last_seq,
        gold_seq=gold.last_seq(session),
        config=config,
        priority=priority,
    )
    session.add(loop)
    session.flush()
    create_round(session, loop.id, 1, first_round)
    return loop


def create_round(
    session: Session, loop_id: int, number: int, config: dict[str, Any]
) -> Round:
    """Insert a round and its `select` job, in one transaction with its cause."""
    row = Round(
        loop_id=loop_id, number=number, config=config, stage="select", open_jobs=1
    )
    session.add(row)
    session.flush()
    jobs.insert_jobs(session, row.id, [JobSpec(stage="select")])
    return row


def get_loop(session: Session, name_or_id: str | int) -> Loop:
    """Find a loop by its name, or by its id.

    Raises:
        NotFound: there is none; the message lists the newest names.
    """
    loop = session.scalar(select(Loop).where(Loop.name == str(name_or_id)))
    if loop is None and (loop_id := parse_id(name_or_id)) is not None:
        loop = session.get(Loop, loop_id)
    if loop is None:
        known = session.scalars(select(Loop.name).order_by(Loop.id.desc()).limit(10))
        raise NotFound(
            f"no loop is called {str(name_or_id)[:120]!r}; the newest are {known.all()}"
        )
    return loop


def corpus_of(session: Session, loop: Loop) -> Corpus:
    """Give the corpus that a loop is pinned to."""
    return session.get_one(Corpus, loop.corpus_id)


def place_of(session: Session, round_id: int) -> tuple[str, int]:
    """Give the name of a round's loop, and the round's number in it."""
    query = select(Loop.name, Round.number).join(Round, Round.loop_id == Loop.id)
    row = session.execute(query.where(Round.id == round_id)).one()
    return row.name, row.number


def list_loops(
    session: Session, *, before_id: int | None = None, limit: int | None = None
) -> Sequence[Loop]:
    """List loops, newest first; all of them, or a page of those before an id."""
    query = select(Loop).order_by(Loop.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Loop.id < before_id)
    return session.scalars(query).all()


def rounds_of(session: Session, loop_id: int) -> Sequence[Round]:
    """List a loop's rounds in order."""
    return session.scalars(
        select(Round).where(Round.loop_id == loop_id).order_by(Round.number)
    ).all()


def list_stops(session: Session, loop_id: int) -> dict[int, StopReason]:
    """Give why the loop stopped, by the number of the round; others are left out."""
    query = select(Round.number, Round.stop).where(
        Round.loop_id == loop_id, Round.stop.is_not(None)
    )
    return {number: stop for number, stop in session.execute(query) if stop}


def set_status(session: Session, loop_id: int, status: str) -> None:
    """Pause, resume or cancel a loop.

    Cancelling ends its open rounds and jobs; running ones notice by heartbeat.

    Raises:
        Conflict: the loop has ended.
    """
    loop = session.get_one(Loop, loop_id, with_for_update={"key_share": True})
    if loop.status in ("stopped", "cancelled"):
        raise Conflict(f"loop {loop.name!r} is {loop.status}; start another one")
    loop.status = status
    if status == "cancelled":
        loop.stop_reason = "cancelled"
        loop.finished_at = func.now()
        open_rounds = session.scalars(
            select(Round.id)
            .where(Round.loop_id == loop_id, Round.status == "running")
            .order_by(Round.id)
            .with_for_update(key_share=True)
        ).all()
        session.execute(_CANCEL_JOBS, {"loop_id": loop_id})
        session.execute(
            update(Round)
            .where(Round.id.in_(open_rounds))
            .values(
                status="cancelled",
                stop_reason="cancelled",
                open_jobs=0,
                finished_at=func.now(),
            )
        )
    session.flush()


def reopen_loop(session: Session, loop_id: int) -> int:
    """Let a loop without an open round run again; returns its next round's number.

    Raises:
        Conflict: the loop is paused or cancelled, or a round of it is open.
    """
    loop = session.get_one(
        Loop, loop_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if loop.status not in ("running", "stopped"):
        fix = "resume it first" if loop.status == "paused" else "start another one"
        raise Conflict(f"loop {loop.name!r} is {loop.status}; {fix}")
    rounds = rounds_of(session, loop_id)
    if open_numbers := [row.number for row in rounds if row.status == "running"]:
        raise Conflict(
            f"round {open_numbers[0]} of loop {loop.name!r} is still running; wait for "
            "its end, or cancel the loop"
        )
    loop.status, loop.finished_at = "running", None
    loop.stop_reason, loop.stop = "", None
    session.flush()
    return max((row.number for row in rounds), default=0) + 1


def read_round(session: Session, round_id: int) -> RoundRow:
    """Read a round without locking it."""
    row = session.execute(_READ_ROUND, {"round_id": round_id}).mappings().one()
    return RoundRow(**row)


def previous_round(session: Session, loop_id: int, number: int) -> int | None:
    """Give the id of the newest finished round of the loop before `number`."""
    return session.scalar(
        select(Round.id)
        .where(
            Round.loop_id == loop_id,
            Round.number < number,
            Round.status == "finished",
        )
        .order_by(Round.number.desc())
        .limit(1)
    )


def lock_round(session: Session, round_id: int) -> RoundRow:
    """Hold a round's row until the transaction ends; lock it last."""
    row = session.execute(_LOCK_ROUND, {"round_id": round_id}).mappings().one()
    return RoundRow(**row)


def count_down(session: Session, round_id: int, num_finished: int) -> int | None:
    """Take finished jobs off the round's counter, and hold its row from here on.

    Returns:
        How many are left open; None if the round is not running.
    """
    values = {"round_id": round_id, "num_finished": num_finished}
    return session.execute(_COUNT_DOWN, values).scalar_one_or_none()


def count_open_jobs(session: Session, held: RoundRow) -> int:
    """Count the jobs of the round's stage and wave that can still run."""
    values = {"round_id": held.id, "stage": held.stage, "wave": held.wave}
    return int(session.execute(_COUNT_OPEN, values).scalar_one())


def set_open_jobs(session: Session, round_id: int, open_jobs: int) -> None:
    """Write the round's counter; only under its lock."""
    session.execute(
        update(Round).where(Round.id == round_id).values(open_jobs=open_jobs)
    )


def open_stage(
    session: Session, round_id: int, stage: str, wave: int, specs: Sequence[JobSpec]
) -> None:
    """Move a round to a stage and insert its jobs; only under the round's lock."""
    jobs.insert_jobs(session, round_id, specs)
    session.execute(
        update(Round)
        .where(Round.id == round_id)
        .values(stage=stage, wave=wave, open_jobs=len(specs))
    )


def finish_round(
    session: Session,
    round_id: int,
    stop: StopReason | None,
    *,
    status: Literal["finished", "failed"] = "finished",
) -> None:
    """End a round with why the loop stops; None where it goes on."""
    session.execute(
        update(Round)
        .where(Round.id == round_id)
        .values(
            status=status,
            stop_reason=stop.code if stop else "",
            stop=stop,
            open_jobs=0,
            finished_at=func.clock_timestamp(),
        )
    )


def stop_loop(
    session: Session,
    loop_id: int,
    stop: StopReason,
    promoted_student_id: int | None,
) -> None:
    """End a loop with its reason and the student that it recommends."""
    session.execute(
        update(Loop)
        .where(Loop.id == loop_id)
        .values(
            status="stopped",
            stop_reason=stop.code,
            stop=stop,
            promoted_student_id=promoted_student_id,
            finished_at=func.clock_timestamp(),
        )
    )


def decide(
    session: Session, round_id: int, change: Callable[[Decisions], Decisions]
) -> None:
    """Keep what was decided for a round, beside its config; holds the round's row.

    Args:
        session: the session.
        round_id: the round.
        change: gives what is decided from here on, of what was decided so far.
    """
    made = change(lock_round(session, round_id).decisions)
    session.execute(update(Round).where(Round.id == round_id).values(decisions=made))


def running_rounds(session: Session) -> Sequence[int]:
    """List the rounds that are not at their end."""
    return session.scalars(
        select(Round.id)
        .join(Loop, Loop.id == Round.loop_id)
        .where(Round.status == "running", Loop.status == "running")
        .order_by(Round.id)
    ).all()
