"""How fast votes go in and label quality comes out, on the embedded Postgres.

`python -m benchmarks.bench_store` prints the figures; product settings, fsync on.
"""

import hashlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from db.embedded import start_postgres, stop_postgres
from db.engine import make_engine, make_sessions
from db.migrate import upgrade
from db.queries import corpora, texts, views, voters, votes
from kompress.types import Fingerprint, Vote

INGEST_TEXTS = 20_000
SLICE_TEXTS = 2_000
# 1 M vote rows: 20 rounds, 5 voters, each document in 5 rounds.
NUM_ROUNDS = 20
NUM_DOCUMENTS = 200_000
NUM_VOTERS = 5
ROUNDS_PER_DOCUMENT = 5
REPEATS = 9

_DOCUMENTS = """
    INSERT INTO texts (sha256, content, num_words, num_bytes)
    SELECT sha256(int8send(n)), n::text, 300, 2000
    FROM generate_series(1, :documents) n;
    INSERT INTO documents (corpus_id, text_id, seq, kind, external_id, group_id, split)
    SELECT c.id, t.id, row_number() OVER (), 'kind-' || t.id % 12, t.id::text,
           t.id::text, 'train'
    FROM texts t CROSS JOIN corpora c WHERE t.num_words = 300 AND t.num_bytes = 2000;
    INSERT INTO voters (name, fingerprint, kind, params, parts)
    SELECT 'voter-' || v, v::text, 'rules', '{}', '{}'
    FROM generate_series(1, :voters) v;
    INSERT INTO votes (text_id, voter_id, codes)
    SELECT d.text_id, v.id, decode(repeat('80', 300), 'hex')
    FROM documents d CROSS JOIN voters v WHERE v.name LIKE 'voter-%';
    INSERT INTO loops (name, corpus_id, corpus_seq, config)
    SELECT 'measured', id, :documents, '{}' FROM corpora;
    INSERT INTO rounds (loop_id, number, config)
    SELECT l.id, n, '{"label_source": "silver"}'
    FROM loops l CROSS JOIN generate_series(1, :rounds) n WHERE l.name = 'measured';
"""
# Round r uses the documents d with (d + r) in 5 of 20 residues: five rounds each.
_ROUNDS = """
    INSERT INTO selections (round_id, document_id, role, probability)
    SELECT r.id, d.id, 'train', 0.25
    FROM rounds r JOIN loops l ON l.id = r.loop_id AND l.name = 'measured'
    JOIN documents d ON (d.id + r.number) % :rounds < :per_document;
    INSERT INTO round_votes (round_id, vote_id)
    SELECT s.round_id, v.id
    FROM selections s JOIN documents d ON d.id = s.document_id
    JOIN votes v ON v.text_id = d.text_id;
    INSERT INTO label_counts
    SELECT r.id, source, kind, category, rule_set, 4000, 1200000, 700000, 90000, 80000
    FROM rounds r JOIN loops l ON l.id = r.loop_id AND l.name = 'measured'
    CROSS JOIN (SELECT 'voter-' || n AS source FROM generate_series(1, :voters) n
                UNION ALL VALUES ('silver'), ('corrected'), ('consensus'),
                ('self_label_raw'), ('self_label')) AS sources
    CROSS JOIN (SELECT 'kind-' || n AS kind FROM generate_series(0, 11) n
                UNION ALL VALUES ('all')) AS kinds
    CROSS JOIN (SELECT 'category-' || n AS category FROM generate_series(0, 14) n
                UNION ALL VALUES ('all')) AS categories
    CROSS JOIN (VALUES ('farm'), ('headroom-0.42'), ('kompress-r0')) AS sets (rule_set);
"""


def main() -> dict[str, float]:
    """Measure in a server of its own, print the figures and give them back."""
    folder = Path(tempfile.mkdtemp(prefix="farm-bench-"))
    try:
        url = start_postgres(folder / "pg")
        upgrade(url)
        engine = make_engine(url)
        sessions = make_sessions(engine)
        figures = _ingest(sessions) | _quality(sessions)
        engine.dispose()
    finally:
        stop_postgres(folder / "pg")
        shutil.rmtree(folder)
    for name, value in figures.items():
        print(f"{name}: {value:,.1f}")
    return figures


def _ingest(sessions: sessionmaker[Session]) -> dict[str, float]:
    """Store votes as a teaching job does: slice by slice, a commit each."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(200, 401, INGEST_TEXTS)
    with sessions.begin() as session:
        contents = [f"ingested {number}" for number in range(INGEST_TEXTS)]
        digests = [hashlib.sha256(content.encode()).digest() for content in contents]
        ids = texts.store_texts(
            session,
            [
                texts.NewText(content, digest, int(length))
                for content, digest, length in zip(
                    contents, digests, lengths, strict=True
                )
            ],
        )
        corpus = corpora.create_corpus(session, "bench")
        voter_id = voters.register_voter(session, Fingerprint("bench"), "rules", {})
        round_id = _add_round(session, corpus.id)
    rows = [
        (ids[digest], 0, Vote(rng.integers(0, 255, length, dtype=np.uint8)))
        for digest, length in zip(digests, lengths, strict=True)
    ]
    start = time.perf_counter()
    for at in range(0, len(rows), SLICE_TEXTS):
        with sessions.begin() as session:
            votes.store_votes(session, round_id, voter_id, rows[at : at + SLICE_TEXTS])
    seconds = time.perf_counter() - start
    return {
        "ingest_word_votes_per_s": float(lengths.sum()) / seconds,
        "ingest_vote_rows_per_s": len(rows) / seconds,
    }


def _add_round(session: Session, corpus_id: int) -> int:
    loop_id = session.scalar(
        text(
            "INSERT INTO loops (name, corpus_id, corpus_seq, config) "
            "VALUES ('ingest', :corpus_id, 0, '{}') RETURNING id"
        ),
        {"corpus_id": corpus_id},
    )
    round_id = session.scalar(
        text(
            "INSERT INTO rounds (loop_id, number, config) "
            "VALUES (:loop_id, 1, '{}') RETURNING id"
        ),
        {"loop_id": loop_id},
    )
    assert isinstance(round_id, int)
    return round_id


def _quality(sessions: sessionmaker[Session]) -> dict[str, float]:
    """Read `label_quality` and `round_summary` with a million vote rows stored."""
    sizes = {
        "documents": NUM_DOCUMENTS,
        "voters": NUM_VOTERS,
        "rounds": NUM_ROUNDS,
        "per_document": ROUNDS_PER_DOCUMENT,
    }
    with sessions.begin() as session:
        # Millions of made rows need no foreign key checked; the tables are the same.
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statements in (_DOCUMENTS, _ROUNDS):
            for statement in statements.split(";")[:-1]:
                session.execute(text(statement), sizes)
    with sessions.begin() as session:
        session.execute(text("ANALYZE"))
        num_votes = session.scalar(text("SELECT count(*) FROM votes"))
        num_links = session.scalar(text("SELECT count(*) FROM round_votes"))
        return {
            "stored_vote_rows": float(num_votes or 0),
            "stored_round_votes": float(num_links or 0),
            "label_quality_round_ms": _milliseconds(
                lambda: views.label_quality(session, "measured", 7)
            ),
            "label_quality_loop_ms": _milliseconds(
                lambda: views.label_quality(session, "measured")
            ),
            "round_summary_round_ms": _milliseconds(
                lambda: views.round_summary(session, "measured", 7)
            ),
            "round_summary_loop_ms": _milliseconds(
                lambda: views.round_summary(session, "measured")
            ),
        }


def _milliseconds(read: Callable[[], views.Rows]) -> float:
    """Take the median of a few readings, the first one left out."""
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        assert read()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
