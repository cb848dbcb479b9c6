"""Which documents of a round could be learned from, and whose gold is known."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from kompress.decisions import EvidenceTotals, GoldRun
from kompress.types import TrainDocument

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


def list_train_documents(
    session: Session, round_id: int, shard: int
) -> list[TrainDocument]:
    """List the train documents of one of the first wave's shards, by text id."""
    rows = session.execute(_ROWS, {"round_id": round_id, "shard": shard})
    return [TrainDocument(row[0], row[1], bytes(row[2]), bool(row[3])) for row in rows]


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
