"""Gold: known truth about texts, by who knows it; the newest of its revisions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.errors import Conflict
from kompress.types import Fact, Gold

_GOLD = {
    "text_id": "int8",
    "origin": "text",
    "revision": "int4",
    "seq": "int8",
    "use": "text",
    "codes": "bytea",
    "question": "text",
    "facts": "jsonb",
}
_KEY = ("text_id", "origin", "revision")
_LOAD = text("""
    SELECT DISTINCT ON (text_id, origin)
        text_id, origin, revision, use, codes, question, facts
    FROM gold
    WHERE text_id = ANY(:text_ids) AND (CAST(:use AS text) IS NULL OR use = :use)
      AND (seq = 0 OR CAST(:round_id AS bigint) IS NULL OR seq <= (
          SELECT l.gold_seq FROM rounds r JOIN loops l ON l.id = r.loop_id
          WHERE r.id = :round_id
      ))
    ORDER BY text_id, origin, revision DESC
""")
# Two replacements one after the other: a loop that sees the second sees the first.
_LOCK = text("LOCK TABLE gold IN SHARE ROW EXCLUSIVE MODE")
_LAST_SEQ = text("SELECT coalesce(max(seq), 0) FROM gold WHERE seq > 0")
_HAS_AUDIT_GOLD = text("""
    SELECT EXISTS (
        SELECT FROM selections s
        JOIN documents d ON d.id = s.document_id
        JOIN gold g ON g.text_id = d.text_id AND g.use = 'evaluate'
        WHERE s.round_id = :round_id AND s.role = 'audit'
    )
""")


def store_gold(session: Session, rows: Sequence[tuple[int, Gold]]) -> None:
    """Store gold, (text id, gold) each; the same again changes nothing.

    Raises:
        Conflict: an origin said something else about a text before.
    """
    _copy(session, ((text_id, gold, 1, 0) for text_id, gold in rows))
    stored = load_gold(session, [text_id for text_id, _ in rows])
    for text_id, gold in rows:
        if not any(_equal(gold, known) for known in stored.get(text_id, [])):
            raise Conflict(
                f"gold of {gold.origin!r} about text {text_id} exists and differs; "
                "past rounds were measured by it: store the new truth under an origin "
                "of its own, or replace the old for the loops to come"
            )


def replace_gold(session: Session, rows: Sequence[tuple[int, Gold]]) -> int:
    """Store gold, and new revisions where its origin said something else before.

    Loops that began before go on with what they began with. A text's use stays what it
    was, for something may have been learned from it.

    Args:
        session: the session; nobody else can store gold until its transaction ends.
        rows: (text id, gold) each; of several for one text and origin the last counts.

    Returns:
        How many texts an origin changed its mind about.
    """
    session.execute(_LOCK)
    seq = last_seq(session) + 1
    text_ids = sorted({text_id for text_id, _ in rows})
    newest = {
        (row.text_id, row.origin): (_gold(row), row.revision)
        for row in _rows(session, text_ids)
    }
    wanted = {(text_id, gold.origin): gold for text_id, gold in rows}
    added = [
        (text_id, gold, 1, 0)
        for (text_id, origin), gold in wanted.items()
        if (text_id, origin) not in newest
    ]
    replaced = []
    for (text_id, origin), gold in wanted.items():
        if (known := newest.get((text_id, origin))) is None:
            continue
        kept = replace(gold, use=known[0].use)
        if not _equal(kept, known[0]):
            replaced.append((text_id, kept, known[1] + 1, seq))
    _copy(session, (*added, *replaced))
    return len(replaced)


def last_seq(session: Session) -> int:
    """Give the seq of the last replacement; 0 if nothing was replaced."""
    return session.scalar(_LAST_SEQ) or 0


def load_gold(
    session: Session,
    text_ids: Sequence[int],
    use: str | None = None,
    round_id: int | None = None,
) -> dict[int, list[Gold]]:
    """Load gold by text, origins in order; texts without any are left out.

    Args:
        session: the session.
        text_ids: the texts.
        use: `calibrate` or `evaluate`; None for both.
        round_id: leave out what was replaced after this round's loop had begun; None
            for the newest.
    """
    found: dict[int, list[Gold]] = {}
    for row in _rows(session, text_ids, use, round_id):
        found.setdefault(row.text_id, []).append(_gold(row))
    return found


def has_audit_gold(session: Session, round_id: int) -> bool:
    """Say whether evaluation gold knows any text of a round's audit documents."""
    return bool(session.scalar(_HAS_AUDIT_GOLD, {"round_id": round_id}))


def _rows(
    session: Session,
    text_ids: Sequence[int],
    use: str | None = None,
    round_id: int | None = None,
) -> Iterable[Any]:
    key = {"text_ids": list(text_ids), "use": use, "round_id": round_id}
    return session.execute(_LOAD, key)


def _gold(row: Any) -> Gold:
    facts = tuple(Fact(item["name"], tuple(item["words"])) for item in row.facts)
    codes_N = np.frombuffer(row.codes, dtype=np.uint8)
    return Gold(row.origin, row.use, codes_N, row.question, facts)


def _copy(session: Session, rows: Iterable[tuple[int, Gold, int, int]]) -> None:
    """Insert (text id, gold, revision, seq) each, where there is no such revision."""
    copy_rows(
        session,
        "gold",
        _GOLD,
        [
            (
                text_id,
                gold.origin,
                revision,
                seq,
                gold.use,
                gold.codes_N.tobytes(),
                gold.question,
                Jsonb(_facts(gold)),
            )
            for text_id, gold, revision, seq in rows
        ],
        key=_KEY,
    )


def _facts(gold: Gold) -> list[dict[str, Any]]:
    return [{"name": fact.name, "words": list(fact.words)} for fact in gold.facts]


def _equal(one: Gold, other: Gold) -> bool:
    # Arrays have no truth value of equality, so the dataclasses cannot be compared.
    return (
        (one.origin, one.use, one.question) == (other.origin, other.use, other.question)
        and _facts(one) == _facts(other)
        and np.array_equal(one.codes_N, other.codes_N)
    )
