"""Pairs of a round's voters, what voters cost, and votes of those who could join."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from db.queries.votes import VoteRow

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
# A vote's price: what teaching spent by the words that its answers speak of. Where the
# answers were stored already a paid voter spends nothing, which is not its price: of
# its rounds the newest that spent money counts, one of the same loop if there is any.
_PRICES = text("""
    WITH spent AS (
        SELECT loop, round, voter, sum(usd_spent) AS usd FROM round_costs
        WHERE stage = 'teach' AND voter <> '' AND (loop <> :loop OR round <= :round)
        GROUP BY loop, round, voter
    ), said AS (
        -- The same words, counted once for each rule set.
        SELECT loop, round, source, max(num_words) AS num_words FROM label_quality
        WHERE kind = 'all' AND category = 'all'
        GROUP BY loop, round, source
    )
    SELECT DISTINCT ON (spent.voter) spent.voter, spent.usd, said.num_words
    FROM spent
    JOIN said ON said.source = spent.voter AND said.num_words > 0
     AND (said.loop, said.round) = (spent.loop, spent.round)
    JOIN loops ON loops.name = spent.loop
    JOIN rounds ON (rounds.loop_id, rounds.number) = (loops.id, spent.round)
    ORDER BY spent.voter, spent.usd > 0 DESC, spent.loop = :loop DESC, rounds.id DESC
""")
# Of a name the newest fingerprint: an older one is another voter that is no more. A
# winning reference is none that a config could name, and whoever repeats what a
# student said tells nothing of the truth.
_IDLE = text("""
    SELECT v.text_id, v.voter_id, n.name, v.replicate, v.num_samples, v.codes
    FROM votes v JOIN voters n ON n.id = v.voter_id
    WHERE v.text_id = ANY(:text_ids) AND n.name <> ALL(:panel)
      AND n.id = (SELECT max(id) FROM voters WHERE name = n.name)
      AND n.quarantined_at IS NULL
      AND n.kind <> 'pairwise'
      AND NOT (n.kind = 'teacher'
               AND coalesce(n.params ->> 'protocol', '') = 'correct')
      AND NOT (n.kind = 'references'
               AND split_part(coalesce(n.params ->> 'origin', ''), '@', 1) = 'student')
    ORDER BY v.text_id, n.name COLLATE "C", v.replicate
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


def voter_prices(session: Session, loop: str, number: int) -> dict[str, float]:
    """Give what one vote on one word costs as of a round, by voter.

    Args:
        session: the session.
        loop: the loop's name.
        number: the round's; what the loop spent later does not count.

    Returns:
        US dollars by name, of every loop's voters: what the voter spent in the newest
        of its rounds that spent anything, by all words that it voted on there, which
        is too little if some of these answers were stored. 0.0 for a voter that never
        spent anything. Voters whose words are not counted are left out.
    """
    rows = session.execute(_PRICES, {"loop": loop, "round": number})
    return {row.voter: float(row.usd) / row.num_words for row in rows}


def load_idle_votes(
    session: Session, panel: Sequence[str], text_ids: Sequence[int]
) -> dict[int, list[VoteRow]]:
    """Load stored votes of voters that could join a panel, by text.

    Not those of winning references, of voters in quarantine, and of whoever repeats a
    student: teachers that correct its draft, readers of its references.

    Returns:
        As `load_round_votes`; texts without such a vote are left out.
    """
    found: dict[int, list[VoteRow]] = {}
    values = {"panel": list(panel), "text_ids": list(text_ids)}
    for text_id, voter_id, voter, replicate, num_samples, codes in session.execute(
        _IDLE, values
    ):
        codes_N = np.frombuffer(codes, dtype=np.uint8)
        row = VoteRow(voter_id, voter, replicate, num_samples, codes_N)
        found.setdefault(text_id, []).append(row)
    return found
