import hashlib
import importlib
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from db.models import Loop, Round
from db.queries import corpora, gold, jobs, loops, selections, texts, voters, votes
from db.queries.jobs import JobSpec
from kompress.decisions import SelectionCounts
from kompress.types import RULE_SETS, STRATA, Fingerprint, Gold, Vote
from tests.end_to_end.farm import VOTERS, loop_config
from tests.worker.pulse import Pulse
from tests.worker.worlds import change
from worker.evidence import pin_evidence


def let_win(farm):
    """A reference won for every other text: it keeps each second word, from the first.

    Returns:
        Its mask by text.
    """
    rows = farm.query("""
        SELECT DISTINCT v.text_id, octet_length(v.codes) FROM votes v
        ORDER BY v.text_id
    """)[::2]
    with farm.sessions.begin() as session:
        voter_id = voters.register_voter(session, Fingerprint("pairwise"), "chosen", {})
        cast = {}
        for text_id, num_words in rows:
            codes_N = np.where(np.arange(num_words) % 2 == 0, 254, 0).astype(np.uint8)
            cast[text_id] = (codes_N == 254).tolist()
            votes.store_votes(session, 1, voter_id, [(text_id, 0, Vote(codes_N))])
    change(
        farm.sessions,
        "UPDATE rounds SET config = config || CAST(:more AS jsonb)",
        more=json.dumps(
            {
                "protocol": "pairwise",
                "pairwise": {"judges": [{"name": "j", "kind": "teacher"}]},
            }
        ),
    )
    return cast


@pytest.mark.slow  # runs half a round
def test_the_winning_reference_alone_is_the_consensus_and_all_are_counted(farm):
    farm.add_documents(20)
    # The protocol changes after the fit: a rule that learned knows other columns.
    farm.start(aggregation={"rule": "beta", "compare": ["majority"]})
    farm.run(until="aggregate")
    won = let_win(farm)

    farm.run(until="train")

    assert farm.parked() == []
    labels = farm.query("SELECT text_id, mean FROM labels WHERE source = 'consensus'")
    assert {
        text_id: (np.frombuffer(mean, dtype=np.float16) >= 0.5).tolist()
        for text_id, mean in labels
    } == won
    counted = dict(
        farm.query("""
            SELECT source, num_documents FROM label_counts
            WHERE kind = 'all' AND category = 'all' AND rule_set = 'farm'
        """)
    )
    assert counted["consensus"] == counted["pairwise"] == len(won)
    assert counted["alpha"] > len(won)
    # Its own words have nobody to be compared with; the others are compared with it.
    compared = farm.query("""
        SELECT DISTINCT voter FROM voter_stats WHERE truth = 'leave_one_out'
    """)
    assert sorted(compared) == [("alpha",), ("beta",), ("gamma",)]


NUM_WORDS = 100
SHARD = 50
FEW, MANY = 100, 400
CONFIG = loop_config(
    aggregation={"rule": "reliability", "compare": ["majority"]}, shard_documents=SHARD
)


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
    row = Round(
        loop_id=loop.id,
        number=1,
        config=CONFIG.resolve(1).model_dump(mode="json"),
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
    drawn = SelectionCounts(num_documents, num_documents, num_documents, 0, 0, 0)
    evidence = pin_evidence(session, row.id)
    loops.decide(
        session,
        row.id,
        lambda made: replace(made, selection=drawn, evidence=evidence),
    )
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
    gold.store_gold(session, known)


def peak_bytes(runtime, round_id, stage, share=None):
    """The most that one job of a stage held while it read and computed."""
    module = importlib.import_module(f"worker.stages.{stage}")
    with runtime.sessions.begin() as session:
        (job,) = (
            found
            for found in (jobs.get_job(session, n) for n in range(1, 7))
            if (found.round_id, found.stage) == (round_id, stage)
        )
        stage = module.STAGE if share is None else with_share(module.STAGE, share)
        tracemalloc.start()
        out = stage.run(runtime, job, Pulse())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        stage.store(session, job, out)
    return peak


def with_share(stage, share):
    """A stage that learns from such a share of the documents."""

    def load(session, job):
        stream = stage.load(session, job)
        eligibility = replace(stream.inputs.eligibility, share=share, gold_share=share)
        return replace(stream, inputs=replace(stream.inputs, eligibility=eligibility))

    return replace(stage, load=load)


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
