"""Pairs of a round's voters, and the views that say how independent a panel is."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows

Rows = list[dict[str, Any]]
# voter, other, stratum, truth; both keep, only the voter, only the other, both drop.
PairRow = tuple[str, str, str, str, int, int, int, int]

_PAIR = {
    "round_id": "int8",
    "voter": "text",
    "other": "text",
    "stratum": "text",
    "truth": "text",
    "num_both_keep": "int8",
    "num_voter_keeps": "int8",
    "num_other_keeps": "int8",
    "num_both_drop": "int8",
}
_FORGET = text("DELETE FROM voter_pairs WHERE round_id = :round_id")
_ORDER = {
    "ensemble_diversity": "loop, round",
    "voter_correlation": "loop, round, voter, other",
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
# A vote's price: what teaching spent by the words that its answers speak of.
_PRICES = text("""
    SELECT spent.voter, spent.usd, said.num_words
    FROM (
        SELECT voter, sum(usd_spent) AS usd FROM round_costs
        WHERE loop = :loop AND round = :round AND voter <> ''
        GROUP BY voter
    ) AS spent
    JOIN (
        -- The same words, counted once for each rule set.
        SELECT source, max(num_words) AS num_words FROM label_quality
        WHERE loop = :loop AND round = :round AND kind = 'all' AND category = 'all'
        GROUP BY source
    ) AS said ON said.source = spent.voter AND said.num_words > 0
    ORDER BY spent.voter
""")


def store_voter_pairs(session: Session, round_id: int, rows: Sequence[PairRow]) -> None:
    """Store how a whole round's voters fall together; a repetition replaces it all."""
    session.execute(_FORGET, {"round_id": round_id})
    copy_rows(
        session,
        "voter_pairs",
        _PAIR,
        [(round_id, *row) for row in rows],
        key=("round_id", "voter", "other", "stratum", "truth"),
        on_conflict="replace",
    )


def ensemble_diversity(
    session: Session,
    loop: str | None = None,
    round: int | None = None,  # noqa: A002  # the column's name
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


def voter_prices(session: Session, loop: str, number: int) -> dict[str, float]:
    """Give what one vote on one word cost in a round, by voter.

    Returns:
        US dollars; 0.0 for a voter that ran and was free. Voters whose words are not
        counted are left out.
    """
    rows = session.execute(_PRICES, {"loop": loop, "round": number})
    return {row.voter: float(row.usd) / row.num_words for row in rows if row.num_words}


def _read(session: Session, view: str, loop: str | None, number: int | None) -> Rows:
    found = session.execute(_BY_LOOP[view], {"loop": loop, "round": number})
    columns = tuple(found.keys())
    return [dict(zip(columns, row, strict=True)) for row in found]
