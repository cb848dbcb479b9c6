"""Joint votes by shard, and which documents of a round a rule may learn from."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from db.copy import copy_rows
from kompress.decisions import EvidenceTotals, GoldRun


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A train document of a shard, and why it might be learned from."""

    text_id: int
    group_id: str
    sha256: bytes
    random_slice: bool


_PATTERN = {"round_id": "int8", "shard": "int4", "patterns": "bytea"}
_HAS_GOLD = """
    EXISTS (SELECT FROM gold g WHERE g.text_id = d.text_id AND g.use = 'calibrate')
"""
_TOTALS = text(f"""
    WITH train AS (
        SELECT t.num_words, s.random_slice, s.probability, {_HAS_GOLD} AS has_gold
        FROM selections s
        JOIN documents d ON d.id = s.document_id
        JOIN texts t ON t.id = d.text_id
        WHERE s.round_id = :round_id AND s.role = 'train'
    )
    SELECT count(*), coalesce(bool_and(probability >= 1), false),
           coalesce(sum(num_words) FILTER (WHERE has_gold), 0),
           coalesce(sum(num_words) FILTER (WHERE random_slice), 0),
           coalesce(sum(num_words), 0)
    FROM train
""")  # noqa: S608  # no input is interpolated
_ROWS = text("""
    SELECT d.text_id, d.group_id, t.sha256, s.random_slice
    FROM shard_documents p
    JOIN selections s ON s.round_id = p.round_id AND s.document_id = p.document_id
    JOIN documents d ON d.id = s.document_id
    JOIN texts t ON t.id = d.text_id
    WHERE p.round_id = :round_id AND p.wave = 1 AND p.shard = :shard
      AND s.role = 'train'
    ORDER BY d.text_id
""")
# Made documents come in a row, all of them with gold of one origin: one run of many.
_RUNS = """
    WITH train AS (
        SELECT DISTINCT d.text_id, (
            SELECT g.origin FROM gold g
            WHERE g.text_id = d.text_id AND g.use = 'calibrate'
            ORDER BY g.origin LIMIT 1
        ) AS origin
        FROM {train_documents}
    ), numbered AS (
        SELECT text_id, origin, row_number() OVER (ORDER BY text_id)
               - row_number() OVER (PARTITION BY origin ORDER BY text_id) AS run
        FROM train
    )
    SELECT origin, min(text_id) AS first, max(text_id) FROM numbered
    WHERE origin IS NOT NULL GROUP BY origin, run ORDER BY first
"""
_GOLD_RUNS = text(
    _RUNS.format(
        train_documents="""
        selections s JOIN documents d ON d.id = s.document_id
        WHERE s.round_id = :round_id AND s.role = 'train'
    """
    )
)
_CORPUS_GOLD_RUNS = text(
    _RUNS.format(
        train_documents="""
        documents d
        WHERE d.corpus_id = :corpus_id AND d.seq <= :corpus_seq AND d.split = 'train'
    """
    )
)
_LOAD = text("""
    SELECT patterns FROM vote_patterns WHERE round_id = :round_id AND shard = :shard
""")
_SHARDS = text("""
    SELECT shard FROM vote_patterns WHERE round_id = :round_id ORDER BY shard
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


def stream_patterns(session: Session, round_id: int) -> Iterator[bytes]:
    """Read a round's packed patterns shard by shard, one at a time."""
    shards = session.scalars(_SHARDS, {"round_id": round_id}).all()
    for shard in shards:
        data = session.scalar(_LOAD, {"round_id": round_id, "shard": shard})
        if data is not None:
            yield bytes(data)


def count_evidence(session: Session, round_id: int) -> EvidenceTotals:
    """Count the words that a round's rules could learn from."""
    row = session.execute(_TOTALS, {"round_id": round_id}).one()
    return EvidenceTotals(
        num_documents=int(row[0]),
        is_certain=bool(row[1]),
        gold_words=int(row[2]),
        slice_words=int(row[3]),
        all_words=int(row[4]),
    )


def list_evidence(session: Session, round_id: int, shard: int) -> list[EvidenceRow]:
    """List the train documents of one of the first wave's shards, by text id."""
    rows = session.execute(_ROWS, {"round_id": round_id, "shard": shard})
    return [EvidenceRow(row[0], row[1], bytes(row[2]), bool(row[3])) for row in rows]


def list_gold_runs(session: Session, round_id: int) -> list[GoldRun]:
    """List which of a round's train texts have calibration gold now, by text id."""
    rows = session.execute(_GOLD_RUNS, {"round_id": round_id})
    return [GoldRun(*row) for row in rows]


def list_corpus_gold_runs(
    session: Session, corpus_id: int, corpus_seq: int
) -> list[GoldRun]:
    """List which train texts of a pinned corpus have calibration gold now, by id.

    Args:
        session: the session.
        corpus_id: the corpus.
        corpus_seq: documents with a greater `seq` are left out.
    """
    pin = {"corpus_id": corpus_id, "corpus_seq": corpus_seq}
    return [GoldRun(*row) for row in session.execute(_CORPUS_GOLD_RUNS, pin)]


def origin_in(runs: Sequence[GoldRun], text_id: int) -> str | None:
    """Name whose gold of a text runs name; None for none.

    Args:
        runs: in the order of text ids.
        text_id: one of the train texts that the runs are about.
    """
    after = bisect_right(runs, text_id, key=lambda run: run.first)
    if not after or text_id > runs[after - 1].last:
        return None
    return runs[after - 1].origin
