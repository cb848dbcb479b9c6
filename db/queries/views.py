"""Readers of the views that people query: rows as dicts, keys in the columns' order."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

Rows = list[dict[str, Any]]

# Of each view that belongs to a loop: how its rows are ordered.
_ORDER = {
    "label_quality": "loop, round, rule_set, source, kind, category",
    "round_summary": "loop, round",
    "voter_quality": "loop, round, voter, truth, stratum",
    "ensemble_paradox": "loop, round, truth, stratum, rule",
    "ensemble_diversity": "loop, round",
    "voter_correlation": "loop, round, voter, other",
    "student_scores": "loop, round, student, suite, stratum, rule_set, definition, "
    "override, target_keep_rate NULLS FIRST, step, metric",
    "round_costs": "loop, round, stage, voter",
}
_BY_LOOP = {
    view: text(f"""
        SELECT * FROM {view}
        WHERE (CAST(:loop AS text) IS NULL OR loop = :loop)
          AND (CAST(:round AS integer) IS NULL OR round = :round)
        ORDER BY {order}
    """)  # noqa: S608  # no input is interpolated
    for view, order in _ORDER.items()
}
_QUEUES = text("SELECT * FROM queue_depth ORDER BY queue, kind, status")


def label_quality(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002  # the column's name
) -> Rows:
    """Read `label_quality` of one loop or all, of one round or all."""
    return _read(session, "label_quality", loop, round)


def round_summary(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002
) -> Rows:
    """Read `round_summary` of one loop or all, of one round or all."""
    return _read(session, "round_summary", loop, round)


def voter_quality(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002
) -> Rows:
    """Read `voter_quality` of one loop or all, of one round or all."""
    return _read(session, "voter_quality", loop, round)


def ensemble_paradox(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002
) -> Rows:
    """Read `ensemble_paradox` of one loop or all, of one round or all."""
    return _read(session, "ensemble_paradox", loop, round)


def ensemble_diversity(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002
) -> Rows:
    """Read `ensemble_diversity` of one loop or all, of one round or all."""
    return _read(session, "ensemble_diversity", loop, round)


def voter_correlation(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002
) -> Rows:
    """Read `voter_correlation` of one loop or all, of one round or all."""
    return _read(session, "voter_correlation", loop, round)


def student_scores(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002
) -> Rows:
    """Read `student_scores` of one loop or all, of one round or all."""
    return _read(session, "student_scores", loop, round)


def round_costs(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002
) -> Rows:
    """Read `round_costs` of one loop or all, of one round or all."""
    return _read(session, "round_costs", loop, round)


def queue_depth(session: Session) -> Rows:
    """Read `queue_depth`: what waits, runs or is parked, by queue."""
    return [dict(row) for row in session.execute(_QUEUES).mappings()]


def _read(session: Session, view: str, loop: str | None, number: int | None) -> Rows:
    found = session.execute(_BY_LOOP[view], {"loop": loop, "round": number})
    # A loop has a hundred thousand rows: `mappings()` takes several times as long.
    columns = tuple(found.keys())
    return [dict(zip(columns, row, strict=True)) for row in found]
