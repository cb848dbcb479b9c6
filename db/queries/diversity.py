"""Pairs of a round's voters, what voters cost, and votes of those who could join."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from kompress.types import PairRow, VoteRow

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
# A vote's price: what teaching ever spent on a voter's fingerprint, by the words of its
# votes. Answers are bought once and votes stored once, in whatever round and loop, so
# that a round that finds them changes neither. Nor does a second name: voters of one
# fingerprint send the same requests, and read the same answers.
_PRICES = text("""
    WITH asked AS (
        SELECT j.round_id, j.voter AS name, r.number,
               l.name = :loop AND r.number <= :round AS mine,
               CAST(r.decisions #>> ARRAY['voters', j.voter] AS bigint) AS id
        FROM (SELECT DISTINCT round_id, voter FROM jobs WHERE stage = 'teach') j
        JOIN rounds r ON r.id = j.round_id JOIN loops l ON l.id = r.loop_id
    ), spent AS (
        -- Sums of float8 depend on the order of rows.
        SELECT n.fingerprint, CAST(sum(CAST(c.spent AS numeric)) AS float8) AS usd
        FROM costs c JOIN jobs j ON j.id = c.job_id
        JOIN asked a ON a.round_id = j.round_id AND a.name = j.voter
        JOIN voters n ON n.id = a.id
        WHERE c.kind = 'usd' AND c.spent > 0 AND j.stage = 'teach'
        GROUP BY n.fingerprint
    ), cast_by AS MATERIALIZED (
        -- One byte a word; without this step the codes themselves would be sorted.
        SELECT n.fingerprint, v.text_id, v.replicate, octet_length(v.codes) AS num_words
        FROM spent JOIN voters n USING (fingerprint) JOIN votes v ON v.voter_id = n.id
    ), said AS (
        SELECT fingerprint, sum(num_words) AS num_words
        FROM (SELECT DISTINCT * FROM cast_by) once GROUP BY fingerprint
    ), priced AS (
        SELECT fingerprint, spent.usd / nullif(said.num_words, 0) AS price
        FROM spent LEFT JOIN said USING (fingerprint)
    ), named AS (
        -- Whom the loop asked under a name by then, else the newest of that name.
        SELECT DISTINCT ON (n.name) n.name, n.fingerprint, n.parts -> 'model' AS model
        FROM asked a JOIN voters n ON n.id = a.id
        ORDER BY n.name, a.mine DESC, CASE WHEN a.mine THEN a.number END DESC, n.id DESC
    )
    SELECT named.name, CASE WHEN own.fingerprint IS NULL
                            THEN coalesce(before.price, 0) ELSE own.price END AS price
    FROM named
    LEFT JOIN priced own USING (fingerprint)
    LEFT JOIN LATERAL (
        -- Who bought the answers that it reads in another way.
        SELECT p.price FROM voters n JOIN priced p USING (fingerprint)
        WHERE n.name = named.name AND n.parts -> 'model' = named.model
          AND p.price IS NOT NULL
        ORDER BY n.id DESC LIMIT 1
    ) before ON true
    WHERE own.fingerprint IS NULL OR own.price IS NOT NULL
    ORDER BY named.name
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
    """Give what one vote on one word costs where it has to be asked for, by voter.

    Args:
        session: the session.
        loop: the loop's name.
        number: the round's: of a name it says which fingerprint is meant, the one that
            the loop asked last by then.

    Returns:
        US dollars by name, of every loop's voters, for a vote of one replicate: all
        that was ever spent on asking this fingerprint, what brought no vote too, by the
        words of all its votes. A fingerprint that never spent anything costs what an
        older one of its name and its model did, whose answers it reads, and 0.0 if
        there is none. Left out are voters that nobody ever asked about texts, and those
        that spent something and have no vote.
    """
    rows = session.execute(_PRICES, {"loop": loop, "round": number})
    return {row.name: float(row.price) for row in rows}


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
