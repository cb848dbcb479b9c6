"""What count, fit and aggregate hold at once does not grow with a round's documents."""

import hashlib
import importlib
import tracemalloc
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from db.models import Loop, Round
from db.queries import corpora, gold, jobs, loops, selections, texts, voters, votes
from db.queries.jobs import JobSpec
from kompress.aggregation.patterns import count_patterns
from kompress.types import RULE_SETS, STRATA, Fingerprint, Gold, Vote
from tests.end_to_end.farm import VOTERS, loop_config
from worker.evidence import merge_stream

NUM_WORDS = 100
SHARD = 50
FEW, MANY = 100, 400
CONFIG = loop_config(
    aggregation={"rule": "reliability", "compare": ["majority"]}, shard_documents=SHARD
)


class Pulse:
    """A heartbeat that nobody listens to."""

    def progress(self, done, total):
        """Report nothing."""

    def patience(self, seconds):
        """Wait for nothing."""
        return nullcontext()


def new_text(name, number, rng):
    content = f"{name} {number}"
    codes_N = rng.integers(0, 9, NUM_WORDS).astype(np.uint8)
    words = np.bincount(codes_N, minlength=len(STRATA)).tolist()
    found = texts.NewStrata("rules-1", "words-1", codes_N.tobytes(), words, 1)
    digest = hashlib.sha256(content.encode()).digest()
    return texts.NewText(content, digest, NUM_WORDS, dict.fromkeys(RULE_SETS, found))


def make_round(session, name, num_documents):
    """A round of one wave that took all documents, whose votes are all there.

    Returns:
        Its id.
    """
    rng = np.random.default_rng(0)
    news = [new_text(name, number, rng) for number in range(num_documents)]
    ids = texts.store_texts(session, news)
    corpus = corpora.create_corpus(session, name)
    rows = [
        corpora.NewDocument(ids[item.sha256], "note", f"n{n}", f"g{n}", "train")
        for n, item in enumerate(news)
    ]
    corpora.append_documents(session, corpus.id, rows)
    documents = corpora.documents(session, corpus.id, num_documents)
    loop = Loop(
        name=name,
        corpus_id=corpus.id,
        corpus_seq=num_documents,
        config=CONFIG.model_dump(mode="json"),
    )
    session.add(loop)
    session.flush()
    selected = {"num_population": num_documents, "num_selected": num_documents}
    row = Round(
        loop_id=loop.id,
        number=1,
        config=CONFIG.resolve(1).model_dump(mode="json"),
        decisions={"selection": selected},
    )
    session.add(row)
    session.flush()
    chosen = [document.id for document in documents]
    selections.store_selections(
        session, row.id, [(document, "train", False, 1.0) for document in chosen]
    )
    cut = [chosen[n : n + SHARD] for n in range(0, num_documents, SHARD)]
    selections.freeze_shards(session, row.id, 1, cut)
    fill(session, row.id, [document.text_id for document in documents], rng)
    specs = [JobSpec(stage, 0, "", 0) for stage in ("count", "fit", "aggregate")]
    loops.open_stage(session, row.id, "count", 0, specs)
    return row.id


def fill(session, round_id, text_ids, rng):
    """Random votes on every text, gold on every fourth."""
    for voter in VOTERS:
        voter_id = voters.register_voter(session, Fingerprint(voter), "simulated", {})
        cast = [
            (text_id, 0, Vote(rng.integers(0, 255, NUM_WORDS).astype(np.uint8)))
            for text_id in text_ids
        ]
        votes.store_votes(session, round_id, voter_id, cast)
    known = [
        (text_id, Gold("made", "calibrate", (cast % 2 * 254).astype(np.uint8)))
        for text_id in text_ids[::4]
        for cast in [rng.integers(0, 2, NUM_WORDS)]
    ]
    gold.store_golds(session, known)


def peak_bytes(runtime, round_id, stage, share=None):
    """The most that one job of a stage held while it read and computed."""
    module = importlib.import_module(f"worker.stages.{stage}")
    with runtime.sessions.begin() as session:
        (job,) = (
            found
            for found in (jobs.get_job(session, n) for n in range(1, 7))
            if (found.round_id, found.stage) == (round_id, stage)
        )
        tracemalloc.start()
        inputs = module.STAGE.load(session, job)
        if share is not None:
            scope = replace(inputs.scope, share=share, gold_share=share)
            inputs = replace(inputs, scope=scope)
        out = module.STAGE.compute(runtime, inputs, Pulse())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        module.STAGE.store(session, job, out)
    return peak


@pytest.mark.slow  # stores 500 texts
def test_a_jobs_memory_does_not_grow_with_the_documents_of_its_round(sessions, runtime):
    with sessions.begin() as session:
        few = make_round(session, "few", FEW)
    with sessions.begin() as session:
        many = make_round(session, "many", MANY)

    # What is held at first, such as caches of statements, is not the round's.
    peak_bytes(runtime, few, "count")
    peak_bytes(runtime, few, "fit")
    count, fit = peak_bytes(runtime, few, "count"), peak_bytes(runtime, few, "fit", 0.5)
    aggregate = peak_bytes(runtime, few, "aggregate")

    # Four times the documents.
    assert peak_bytes(runtime, many, "count") < 1.1 * count
    # The fit reads as many words of either: their limit's share.
    assert peak_bytes(runtime, many, "fit", 0.5 * FEW / MANY) < 1.5 * fit
    # Without a limit it would hold more.
    assert peak_bytes(runtime, many, "fit", 1.0) > 2 * fit
    assert peak_bytes(runtime, many, "aggregate") < 1.1 * aggregate


def test_merging_holds_no_more_than_what_parts_merge_to():
    rng = np.random.default_rng(0)

    def parts(count):
        for _ in range(count):
            codes = rng.integers(0, 9, (5_000, 3), dtype=np.uint8)
            yield count_patterns(codes, np.ones(3), np.zeros(5_000, dtype=int))

    def peak(count):
        tracemalloc.start()
        merged = merge_stream(parts(count), 3)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert merged.num_words == 5_000 * count
        return most

    peak(1)
    # 729 patterns a part: 180 of them are waiting at most.
    assert peak(800) < 1.2 * peak(200)
