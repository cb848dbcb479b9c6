"""What the farm remembers of its work: costs, failures, events."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.models import Event

MAX_ERROR_CHARS = 4_000
FailureTuple = tuple[int, int | None, str, int, int | None, str]

_FAILURE = {
    "text_id": "int8",
    "voter_id": "int8",
    "stage": "text",
    "attempt": "int4",
    "round_id": "int8",
    "error": "text",
}
_ADD_COST = text("""
    INSERT INTO costs (job_id, attempt, kind, spent, useful)
    VALUES (:job_id, :attempt, :kind, :spent, :useful)
    ON CONFLICT (job_id, attempt, kind) DO UPDATE
    SET spent = costs.spent + excluded.spent, useful = costs.useful + excluded.useful
""")
# For budgets, which shall not add up all costs of a loop each time.
_ADD_SPENDING = text("""
    INSERT INTO spending (loop_id, usd)
    SELECT l.id, CAST(CAST(:spent AS float8) AS numeric)
    FROM jobs j JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
    WHERE j.id = :job_id AND l.config #>> '{stop,max_usd}' IS NOT NULL
""")
_FAILED = text("""
    SELECT DISTINCT ON (text_id) text_id, error FROM failures
    WHERE voter_id IS NOT DISTINCT FROM CAST(:voter_id AS bigint) AND stage = :stage
      AND text_id = ANY(:text_ids)
      AND (CAST(:before_round AS bigint) IS NULL OR round_id < :before_round)
    ORDER BY text_id, id
""")
_ADD_EVENT = text("""
    INSERT INTO events (actor, kind, loop_id, round_id, job_id, detail)
    VALUES (:actor, :kind, :loop_id, :round_id, :job_id, :detail)
    RETURNING id
""")


def add_cost(  # a row in the order of its columns
    session: Session, job_id: int, attempt: int, kind: str, spent: float, useful: float
) -> None:
    """Add what an attempt spent, and how much of it was of use.

    Args:
        session: the session.
        job_id: the job.
        attempt: its attempt.
        kind: `seconds`, `input_tokens`, `output_tokens`, `usd`, `train_tokens` (useful:
            without filling) or `flop` (spent: peak x seconds; useful: the model's).
        spent: the amount, ≥ 0, in the kind's unit.
        useful: how much of it what was stored needed, ≤ spent.
    """
    session.execute(
        _ADD_COST,
        {
            "job_id": job_id,
            "attempt": attempt,
            "kind": kind,
            "spent": spent,
            "useful": useful,
        },
    )
    if kind == "usd" and spent:
        session.execute(_ADD_SPENDING, {"job_id": job_id, "spent": spent})


def add_failures(session: Session, rows: Sequence[FailureTuple]) -> None:
    """Store texts that failed; the same failure again changes nothing.

    Args:
        session: the session.
        rows: (text id, voter id or None, stage, attempt, round id or None, error).
    """
    copy_rows(
        session,
        "failures",
        _FAILURE,
        [(*row[:5], row[5].replace("\0", "\\0")[:MAX_ERROR_CHARS]) for row in rows],
        key=("text_id", "voter_id", "stage", "attempt", "round_id"),
    )


def failed_texts(
    session: Session,
    voter_id: int | None,
    stage: str,
    text_ids: Sequence[int],
    *,
    before_round: int | None = None,
) -> dict[int, str]:
    """Give the first error of each text that a voter or a stage could not handle.

    Args:
        session: the session.
        voter_id: the voter, None for a stage without one.
        stage: the stage.
        text_ids: the texts to look for.
        before_round: only failures of rounds with a smaller id; None for all.
    """
    wanted = {
        "voter_id": voter_id,
        "stage": stage,
        "text_ids": list(text_ids),
        "before_round": before_round,
    }
    return {row.text_id: row.error for row in session.execute(_FAILED, wanted)}


def add_event(
    session: Session,
    actor: str,
    kind: str,
    *,
    loop_id: int | None = None,
    round_id: int | None = None,
    job_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> int:
    """Write who did what into the audit trail, and give the event's id."""
    return int(
        session.scalars(
            _ADD_EVENT,
            {
                "actor": actor,
                "kind": kind,
                "loop_id": loop_id,
                "round_id": round_id,
                "job_id": job_id,
                "detail": Jsonb(detail or {}),
            },
        ).one()
    )


def set_detail(session: Session, event_id: int, detail: dict[str, Any]) -> None:
    """Say what came of something that was announced by an event."""
    session.execute(update(Event).where(Event.id == event_id).values(detail=detail))


def list_events(
    session: Session, loop_id: int, after_id: int = 0, limit: int = 100
) -> list[Event]:
    """List a loop's events, oldest first.

    Args:
        session: the session.
        loop_id: the loop.
        after_id: only events with a greater id: where the caller left off.
        limit: at most so many.
    """
    query = select(Event).where(Event.loop_id == loop_id, Event.id > after_id)
    return list(session.scalars(query.order_by(Event.id).limit(limit)))
