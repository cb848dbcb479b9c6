"""Joint votes by shard: what the rules of a round that learn are fitted to."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows

_PATTERN = {"round_id": "int8", "shard": "int4", "patterns": "bytea"}
_LOAD = text("""
    SELECT patterns FROM vote_patterns WHERE round_id = :round_id AND shard = :shard
""")


def store_patterns(
    session: Session, round_id: int, shard: int, patterns: bytes
) -> None:
    """Store a shard's packed `VotePatterns`; a repetition replaces them.

    They hold no word of a text: forgetting one leaves them, like all integer counts of
    past rounds.
    """
    copy_rows(
        session,
        "vote_patterns",
        _PATTERN,
        [(round_id, shard, patterns)],
        key=("round_id", "shard"),
        on_conflict="replace",
    )


def load_patterns(session: Session, round_id: int, shard: int) -> bytes | None:
    """Read a shard's packed patterns; None where none were counted."""
    data = session.scalar(_LOAD, {"round_id": round_id, "shard": shard})
    return None if data is None else bytes(data)
