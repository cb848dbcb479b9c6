"""Counts and intervals behind a round's verdict, as people see it."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.queries.quality_views import Rows

_VOTERS = text("""
    SELECT voter, stratum, truth,
           num_keep_kept, num_keep_dropped, num_drop_kept, num_drop_dropped
    FROM voter_stats
    WHERE round_id = :round_id AND truth IN ('gold', 'must_keep')
    ORDER BY truth, stratum, voter
""")
_RULES = text("""
    SELECT rule, stratum, truth, difference_low, difference_high,
           num_keep_kept, num_keep_dropped, num_drop_kept, num_drop_dropped
    FROM rule_stats
    WHERE round_id = :round_id
    ORDER BY truth, stratum, rule
""")


def voter_counts(session: Session, round_id: int) -> Rows:
    """Read voters' counts against gold and must-keep, by truth, stratum and voter."""
    found = session.execute(_VOTERS, {"round_id": round_id})
    return [dict(row) for row in found.mappings()]


def rule_counts(session: Session, round_id: int) -> Rows:
    """Read rules' counts, and the interval of each one less its best voter."""
    found = session.execute(_RULES, {"round_id": round_id})
    return [dict(row) for row in found.mappings()]
