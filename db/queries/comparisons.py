"""Judgments between two references: only ever added, never replaced."""

from collections.abc import Sequence
from dataclasses import astuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from kompress.types import ComparisonRow

_COMPARISON = {
    "candidate_a_id": "int8",
    "candidate_b_id": "int8",
    "voter_id": "int8",
    "replicate": "int4",
    "p_a": "float8",
    "p_b": "float8",
    "p_tie": "float8",
}
_KEY = ("candidate_a_id", "candidate_b_id", "voter_id", "replicate")

_LOAD = text("""
    SELECT c.text_id, m.candidate_a_id, m.candidate_b_id, m.voter_id, m.replicate,
           m.p_a, m.p_b, m.p_tie
    FROM comparisons m JOIN candidates c ON c.id = m.candidate_a_id
    WHERE c.text_id = ANY(:text_ids) AND m.voter_id = ANY(:voter_ids)
    ORDER BY c.text_id, m.candidate_a_id, m.candidate_b_id, m.voter_id, m.replicate
""")


def store_comparisons(session: Session, rows: Sequence[ComparisonRow]) -> int:
    """Store judgments; what exists stays as it is.

    Returns:
        How many are new.
    """
    return copy_rows(
        session, "comparisons", _COMPARISON, [astuple(row) for row in rows], key=_KEY
    )


def load_comparisons(
    session: Session, text_ids: Sequence[int], voter_ids: Sequence[int]
) -> dict[int, list[ComparisonRow]]:
    """Load some judges' judgments on the references of some texts.

    Returns:
        By text id, each list ordered by key; texts without any are left out.
    """
    values = {"text_ids": list(text_ids), "voter_ids": list(voter_ids)}
    found: dict[int, list[ComparisonRow]] = {}
    for text_id, *columns in session.execute(_LOAD, values):
        found.setdefault(text_id, []).append(ComparisonRow(*columns))
    return found
