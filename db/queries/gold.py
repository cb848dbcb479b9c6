"""Gold: known truth about texts, one row by who knows it."""

from collections.abc import Sequence
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
    "use": "text",
    "codes": "bytea",
    "question": "text",
    "facts": "jsonb",
}
_LOAD = text("""
    SELECT text_id, origin, use, codes, question, facts FROM gold
    WHERE text_id = ANY(:text_ids) AND (CAST(:use AS text) IS NULL OR use = :use)
    ORDER BY text_id, origin
""")
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
    copy_rows(
        session,
        "gold",
        _GOLD,
        [
            (
                text_id,
                gold.origin,
                gold.use,
                gold.codes_N.tobytes(),
                gold.question,
                Jsonb(_facts(gold)),
            )
            for text_id, gold in rows
        ],
        key=("text_id", "origin"),
    )
    stored = load_gold(session, [text_id for text_id, _ in rows])
    for text_id, gold in rows:
        if not any(_equal(gold, known) for known in stored.get(text_id, [])):
            raise Conflict(
                f"gold of {gold.origin!r} about text {text_id} exists and differs; "
                "past rounds were measured by it: store the new truth under an origin "
                "of its own"
            )


def load_gold(
    session: Session, text_ids: Sequence[int], use: str | None = None
) -> dict[int, list[Gold]]:
    """Load gold by text, origins in order; texts without any are left out.

    Args:
        session: the session.
        text_ids: the texts.
        use: `calibrate` or `evaluate`; None for both.
    """
    found: dict[int, list[Gold]] = {}
    for row in session.execute(_LOAD, {"text_ids": list(text_ids), "use": use}):
        facts = tuple(Fact(item["name"], tuple(item["words"])) for item in row.facts)
        codes_N = np.frombuffer(row.codes, dtype=np.uint8)
        gold = Gold(row.origin, row.use, codes_N, row.question, facts)
        found.setdefault(row.text_id, []).append(gold)
    return found


def has_audit_gold(session: Session, round_id: int) -> bool:
    """Say whether evaluation gold knows any text of a round's audit documents."""
    return bool(session.scalar(_HAS_AUDIT_GOLD, {"round_id": round_id}))


def _facts(gold: Gold) -> list[dict[str, Any]]:
    return [{"name": fact.name, "words": list(fact.words)} for fact in gold.facts]


def _equal(one: Gold, other: Gold) -> bool:
    # Arrays have no truth value of equality, so the dataclasses cannot be compared.
    return (
        (one.origin, one.use, one.question) == (other.origin, other.use, other.question)
        and _facts(one) == _facts(other)
        and np.array_equal(one.codes_N, other.codes_N)
    )
