"""Votes: immutable rows, and which of them a round used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import psycopg_connection, staged_rows
from kompress.types import Vote, VoteRow

_VOTE = {
    "text_id": "int8",
    "voter_id": "int8",
    "replicate": "int4",
    "num_samples": "int4",
    "codes": "bytea",
}
_INSERT = """
    INSERT INTO votes (text_id, voter_id, replicate, num_samples, codes)
    SELECT text_id, voter_id, replicate, num_samples, codes FROM {staging}
    ORDER BY text_id, voter_id, replicate
    ON CONFLICT (text_id, voter_id, replicate) DO NOTHING
"""
_LINK_STAGED = """
    INSERT INTO round_votes (round_id, vote_id)
    SELECT {round_id}, votes.id
    FROM {staging} JOIN votes USING (text_id, voter_id, replicate)
    ORDER BY votes.id
    ON CONFLICT (round_id, vote_id) DO NOTHING
"""
_LINK = text("""
    WITH found AS (
        SELECT id, text_id, replicate FROM votes
        WHERE text_id = ANY(:text_ids) AND voter_id = :voter_id
          AND replicate < :num_replicates
    ), linked AS (
        INSERT INTO round_votes (round_id, vote_id)
        SELECT :round_id, id FROM found ORDER BY id
        ON CONFLICT (round_id, vote_id) DO NOTHING
    )
    SELECT text_id, replicate FROM found
""")
_KNOWN = text("""
    SELECT text_id, replicate FROM votes
    WHERE voter_id = :voter_id AND text_id = ANY(:text_ids)
""")
_LOAD = text("""
    SELECT v.text_id, v.voter_id, n.name, v.replicate, v.num_samples, v.codes
    FROM votes v
    JOIN round_votes rv ON rv.vote_id = v.id AND rv.round_id = :round_id
    JOIN voters n ON n.id = v.voter_id
    WHERE v.text_id = ANY(:text_ids)
    ORDER BY v.text_id, n.name COLLATE "C", v.voter_id, v.replicate
""")

_UNHEARD = text("""
    SELECT t.id FROM unnest(CAST(:text_ids AS bigint[])) AS t (id)
    WHERE NOT EXISTS (
            SELECT FROM votes v
            JOIN round_votes rv ON rv.vote_id = v.id AND rv.round_id = :round_id
            WHERE v.text_id = t.id AND v.voter_id = :voter_id)
      AND NOT EXISTS (
            SELECT FROM failures f
            WHERE f.text_id = t.id AND f.voter_id = :voter_id
              AND f.round_id = :round_id AND f.stage = ANY(:stages))
    ORDER BY t.id
""")

# Making and dropping a temporary table takes 7 ms, more than this many rows inline.
MAX_INLINE = 64
_INLINE = sql.SQL("""
    unnest(%(text_id)s::int8[], %(voter_id)s::int8[], %(replicate)s::int4[],
           %(num_samples)s::int4[], %(codes)s::bytea[])
    AS given (text_id, voter_id, replicate, num_samples, codes)
""")


def store_votes(
    session: Session,
    round_id: int,
    voter_id: int,
    rows: Sequence[tuple[int, int, Vote]],
) -> None:
    """Store a voter's votes and link them to the round; what exists is only linked.

    Args:
        session: the session.
        round_id: the round that uses the votes.
        voter_id: whose votes they are.
        rows: (text id, replicate, vote) each, in any order.
    """
    found = [
        (text_id, voter_id, replicate, vote.num_samples, vote.codes_N.tobytes())
        for text_id, replicate, vote in rows
    ]
    if len(found) <= MAX_INLINE:
        columns = zip(*found, strict=True) if found else ((),) * len(_VOTE)
        inline = {name: list(c) for name, c in zip(_VOTE, columns, strict=True)}
        _insert_and_link(session, round_id, _INLINE, inline)
        return
    with staged_rows(session, _VOTE, found) as staging:
        # Fresh temporary tables have no statistics: guessed sizes would pick a plan
        # that reads every vote.
        with psycopg_connection(session).cursor() as cursor:
            cursor.execute(sql.SQL("ANALYZE {}").format(staging))
        _insert_and_link(session, round_id, staging, {})


def known_votes(
    session: Session, voter_id: int, text_ids: Sequence[int]
) -> set[tuple[int, int]]:
    """Name the (text id, replicate) that a voter has voted on, in whatever round."""
    wanted = {"voter_id": voter_id, "text_ids": list(text_ids)}
    return {(row.text_id, row.replicate) for row in session.execute(_KNOWN, wanted)}


def unheard_texts(
    session: Session,
    round_id: int,
    voter_id: int,
    text_ids: Sequence[int],
    *,
    stages: Sequence[str],
) -> list[int]:
    """List the texts for which a round has neither a voter's vote nor its failure.

    Args:
        session: the session.
        round_id: the round.
        voter_id: the voter.
        text_ids: the texts that the voter was to vote on.
        stages: the stages whose failures count.
    """
    wanted = {
        "round_id": round_id,
        "voter_id": voter_id,
        "text_ids": list(text_ids),
        "stages": list(stages),
    }
    return list(session.scalars(_UNHEARD, wanted))


def link_votes(
    session: Session,
    round_id: int,
    voter_id: int,
    text_ids: Sequence[int],
    num_replicates: int,
) -> set[tuple[int, int]]:
    """Link a voter's stored votes to a round, so that nothing is asked twice.

    Args:
        session: the session.
        round_id: the round that uses the votes.
        voter_id: whose votes they are.
        text_ids: the texts that the round wants votes on.
        num_replicates: replicates 0 … num_replicates − 1 are wanted.

    Returns:
        (text id, replicate) of every vote that was there.
    """
    rows = session.execute(
        _LINK,
        {
            "round_id": round_id,
            "voter_id": voter_id,
            "text_ids": list(text_ids),
            "num_replicates": num_replicates,
        },
    )
    return {(text_id, replicate) for text_id, replicate in rows}


def load_round_votes(
    session: Session, round_id: int, text_ids: Sequence[int]
) -> dict[int, list[VoteRow]]:
    """Load the votes that a round used, by text.

    Returns:
        Votes by text id, each list ordered by voter name, voter id and replicate;
        texts without a vote are left out.
    """
    found: dict[int, list[VoteRow]] = {}
    rows = session.execute(_LOAD, {"round_id": round_id, "text_ids": list(text_ids)})
    for text_id, voter_id, voter, replicate, num_samples, codes in rows:
        codes_N = np.frombuffer(codes, dtype=np.uint8)
        row = VoteRow(voter_id, voter, replicate, num_samples, codes_N)
        found.setdefault(text_id, []).append(row)
    return found


def _insert_and_link(
    session: Session,
    round_id: int,
    staging: sql.Composable,
    values: dict[str, list[Any]],
) -> None:
    """Insert votes from a table or inline arrays, then link them to the round."""
    with psycopg_connection(session).cursor() as cursor:
        cursor.execute(sql.SQL(_INSERT).format(staging=staging), values)
        cursor.execute(
            sql.SQL(_LINK_STAGED).format(
                staging=staging, round_id=sql.Literal(round_id)
            ),
            values,
        )
