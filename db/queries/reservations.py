"""Reservations: paid requests that are on their way, made before they are sent.

One transaction at a time reserves, in the whole farm: it sees every open reservation
and every answer, so that nobody asks what another asks, and a budget is never passed.
What a dead attempt left open was perhaps paid: it is shown as spent and not useful.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.queries.answers import AnswerKey, as_columns
from db.queries.jobs import JobRow
from db.queries.locks import RESERVATIONS, take_lock

# More rows of a loop's spending than this become one.
MOST_SPENDING_ROWS = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that is to be sent, and the most that it can cost."""

    key: AnswerKey
    input_tokens: int
    output_tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What a loop may spend, has spent, and has open elsewhere; USD."""

    max_usd: float
    spent_usd: float
    open_usd: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of the requests that were to be sent.

    Attributes:
        mine: reserved by this attempt: to be sent now.
        answered: answered meanwhile.
        held: on their way for another job that runs.
        refused: what the budget does not allow; texts are refused whole.
        budget: the loop's, as it was before; None if it has none or nothing is paid.
    """

    mine: set[AnswerKey] = field(default_factory=set)
    answered: set[AnswerKey] = field(default_factory=set)
    held: set[AnswerKey] = field(default_factory=set)
    refused: set[AnswerKey] = field(default_factory=set)
    budget: Budget | None = None


# Its job runs no more, or in a later attempt.
_SETTLE = text("""
    WITH lost AS (
        DELETE FROM reservations v USING jobs j
        WHERE j.id = v.job_id AND (j.status <> 'running' OR j.attempt <> v.attempt)
        RETURNING v.job_id, v.attempt, v.input_tokens, v.output_tokens, v.usd
    ), paid AS (
        INSERT INTO costs (job_id, attempt, kind, spent, useful)
        SELECT l.job_id, l.attempt, k.kind, sum(k.spent), 0
        FROM lost l CROSS JOIN LATERAL (VALUES
            ('input_tokens', CAST(l.input_tokens AS float8)),
            ('output_tokens', CAST(l.output_tokens AS float8)),
            ('usd', l.usd)) AS k (kind, spent)
        GROUP BY l.job_id, l.attempt, k.kind HAVING sum(k.spent) > 0
        ORDER BY l.job_id, l.attempt, k.kind
        ON CONFLICT (job_id, attempt, kind)
        DO UPDATE SET spent = costs.spent + excluded.spent
    ), counted AS (
        INSERT INTO spending (loop_id, usd)
        SELECT r.loop_id, sum(CAST(lost.usd AS numeric))
        FROM lost JOIN jobs j ON j.id = lost.job_id
        JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
        WHERE l.config #>> '{stop,max_usd}' IS NOT NULL
        GROUP BY r.loop_id HAVING sum(lost.usd) > 0
    )
    SELECT count(*) FROM lost
""")
_WANTED = """
    unnest(CAST(:text_ids AS bigint[]), CAST(:fingerprints AS text[]),
           CAST(:replicates AS integer[]))
    AS wanted (text_id, request_fingerprint, replicate)
"""
_HELD = text(f"""
    SELECT v.text_id, v.request_fingerprint, v.replicate,
           v.job_id = :job_id AND v.attempt = :attempt AS is_mine
    FROM {_WANTED} JOIN reservations v USING (text_id, request_fingerprint, replicate)
""")  # noqa: S608  # no input is interpolated
_ANSWERED = text(f"""
    SELECT a.text_id, a.request_fingerprint, a.replicate
    FROM {_WANTED} JOIN answers a USING (text_id, request_fingerprint, replicate)
""")  # noqa: S608  # no input is interpolated
_BUDGET = text("""
    SELECT CAST(l.config #>> '{stop,max_usd}' AS float8) AS max_usd,
           (SELECT CAST(coalesce(sum(s.usd), 0) AS float8)
            FROM spending s WHERE s.loop_id = l.id) AS spent_usd,
           (SELECT CAST(coalesce(sum(CAST(v.usd AS numeric)), 0) AS float8)
            FROM reservations v JOIN jobs j ON j.id = v.job_id
            JOIN rounds r ON r.id = j.round_id WHERE r.loop_id = l.id) AS open_usd
    FROM loops l WHERE l.id = :loop_id
""")
# One row of many, by whom no other can read or fold meanwhile; rows that are on their
# way in other transactions stay as they are.
_FOLD = text("""
    WITH taken AS (
        DELETE FROM spending
        WHERE loop_id = :loop_id AND :most < (
            SELECT count(*) FROM spending WHERE loop_id = :loop_id
        )
        RETURNING usd
    )
    INSERT INTO spending (loop_id, usd)
    SELECT :loop_id, sum(usd) FROM taken HAVING count(*) > 0
""")
_RESERVE = text("""
    INSERT INTO reservations (text_id, request_fingerprint, replicate, job_id, attempt,
                              input_tokens, output_tokens, usd)
    SELECT text_id, request_fingerprint, replicate, :job_id, :attempt, input_tokens,
           output_tokens, usd
    FROM unnest(CAST(:text_ids AS bigint[]), CAST(:fingerprints AS text[]),
                CAST(:replicates AS integer[]), CAST(:input_tokens AS integer[]),
                CAST(:output_tokens AS integer[]), CAST(:usd AS float8[]))
         AS given (text_id, request_fingerprint, replicate, input_tokens,
                   output_tokens, usd)
    ORDER BY text_id, request_fingerprint, replicate
""")
_RELEASE = text(f"""
    DELETE FROM reservations v USING {_WANTED}
    WHERE v.text_id = wanted.text_id
      AND v.request_fingerprint = wanted.request_fingerprint
      AND v.replicate = wanted.replicate
      AND v.job_id = :job_id AND v.attempt = :attempt
    RETURNING v.text_id, v.request_fingerprint, v.replicate
""")  # noqa: S608  # no input is interpolated


def settle(session: Session) -> int:
    """Show what dead attempts left open as spent, not useful; returns how many."""
    take_lock(session, RESERVATIONS)
    return int(session.execute(_SETTLE).scalar_one())


def reserve(session: Session, job: JobRow, wanted: Sequence[Wanted]) -> Reserved:
    """Reserve what nobody has asked, as far as the loop's budget goes.

    Call it in a transaction that is fenced by the attempt. What this attempt holds
    already (a commit whose connection broke) stays its own.

    Args:
        session: the session.
        job: the attempt that pays.
        wanted: the requests, those of a text together; earlier ones go first where
            the budget ends.
    """
    settle(session)
    columns = as_columns([each.key for each in wanted])
    attempt = {"job_id": job.id, "attempt": job.attempt}
    found = Reserved(budget=_read_budget(session, job, wanted))
    # In this order: an answer takes its reservation's place in one transaction.
    for row in session.execute(_HELD, columns | attempt):
        (found.mine if row.is_mine else found.held).add(AnswerKey(*row[:3]))
    for row in session.execute(_ANSWERED, columns):
        found.answered.add(AnswerKey(*row))
    found.held.difference_update(found.answered)
    taken = found.mine | found.held | found.answered
    affordable = _take(
        [each for each in wanted if each.key not in taken], found.budget, found.refused
    )
    if affordable:
        session.execute(_RESERVE, attempt | _as_rows(affordable))
    found.mine.update(each.key for each in affordable)
    return found


def release(
    session: Session, job: JobRow, keys: Collection[AnswerKey]
) -> set[AnswerKey]:
    """Take back an attempt's reservations, with what came of them in the transaction.

    Returns:
        Those that were there: their costs are to be stored, once.
    """
    if not keys:
        return set()
    attempt = {"job_id": job.id, "attempt": job.attempt}
    rows = session.execute(_RELEASE, as_columns(keys) | attempt)
    return {AnswerKey(*row) for row in rows}


def _read_budget(
    session: Session, job: JobRow, wanted: Sequence[Wanted]
) -> Budget | None:
    """Read the loop's budget where something is paid."""
    if not any(each.usd for each in wanted):
        return None
    session.execute(_FOLD, {"loop_id": job.loop_id, "most": MOST_SPENDING_ROWS})
    row = session.execute(_BUDGET, {"loop_id": job.loop_id}).one()
    if row.max_usd is None:
        return None
    return Budget(row.max_usd, row.spent_usd, row.open_usd)


def _take(
    free: Sequence[Wanted], budget: Budget | None, refused: set[AnswerKey]
) -> list[Wanted]:
    """Choose the texts that fit: a text asked about in part would be paid in vain."""
    if budget is None:
        return list(free)
    left_usd = budget.max_usd - budget.spent_usd - budget.open_usd
    by_text: dict[int, list[Wanted]] = {}
    for each in free:
        by_text.setdefault(each.key.text_id, []).append(each)
    taken = []
    for requests in by_text.values():
        usd = sum(each.usd for each in requests)
        if usd == 0.0 or usd <= left_usd:
            taken += requests
            left_usd -= usd
        else:
            refused.update(each.key for each in requests)
    return taken


def _as_rows(wanted: Sequence[Wanted]) -> dict[str, list[Any]]:
    """Lay reservations out as the arrays of an `unnest`, in key order."""
    ordered = sorted(wanted, key=lambda each: each.key)
    return {
        **as_columns([each.key for each in ordered]),
        "input_tokens": [each.input_tokens for each in ordered],
        "output_tokens": [each.output_tokens for each in ordered],
        "usd": [each.usd for each in ordered],
    }
