from dataclasses import replace

import numpy as np
import pytest

from db.models import Loop
from db.queries import gold, loops, selections
from kompress.decisions import GoldRun
from kompress.types import Gold
from tests.worker.inprocess import two_waves
from tests.worker.learning import RULES, invert, results
from tests.worker.worlds import change, make_world, query
from worker.evidence import (
    eligibility_of,
    load_known,
    pin_evidence,
    pinned_evidence,
)
from worker.stage import run_stage
from worker.stages import count


def test_gold_that_comes_after_the_look_is_not_loaded(sessions):
    world = make_world(sessions, documents_per_shard=3)
    rows = [
        (document_id, "train", False, 1.0)
        for (document_id,) in query(sessions, "SELECT id FROM documents")
    ]
    early, late = np.zeros(3, dtype=np.uint8), np.full(3, 254, dtype=np.uint8)
    first, second, third = world.text_ids
    with sessions.begin() as session:
        selections.store_selections(session, world.round_id, rows)
        gold.store_gold(session, [(second, Gold("bob", "calibrate", early))])
        found = pin_evidence(session, world.round_id)
        # On a text that had none; by a name that comes first on one that had.
        gold.store_gold(session, [(first, Gold("bob", "calibrate", late))])
        gold.store_gold(session, [(second, Gold("ann", "calibrate", late))])
        gold.store_gold(session, [(third, Gold("bob", "evaluate", late))])

        truth = load_known(session, world.text_ids, found.gold_runs, world.round_id)

    assert {text_id: codes_N.tolist() for text_id, codes_N in truth.items()} == {
        second: [0, 0, 0]
    }
    # Every text has three words.
    assert found.totals.gold_words == 3


@pytest.mark.parametrize(
    ("num_waves", "gold_words", "expected"),
    [
        # Six words have gold.
        (1, 3, 1.0),  # a first wave sees all of them
        (2, 3, 0.5),
        (2, 6, 1.0),
        (2, 2**20, 1.0),
    ],
)
def test_after_the_first_wave_gold_counts_where_every_voter_sees_it(
    sessions, num_waves, gold_words, expected
):
    world = make_world(
        sessions, documents_per_shard=3, escalation={"gold_words": gold_words}
    )
    ids = [n for (n,) in query(sessions, "SELECT id FROM documents ORDER BY seq")]
    with sessions.begin() as session:
        rows = [(document_id, "train", False, 1.0) for document_id in ids]
        selections.store_selections(session, world.round_id, rows)
        for text_id in world.text_ids[:2]:
            gold.store_gold(session, [(text_id, Gold("ann", "calibrate", codes(0)))])
        pin(session, world)
        held = loops.read_round(session, world.round_id)

        eligibility = eligibility_of(held, num_waves=num_waves)

    assert eligibility.num_gold_words == 6
    assert eligibility.gold_share == expected


MIX = {"mix": [{"source": "gold"}, {"source": "consensus"}]}


def codes(value):
    return np.full(3, value, dtype=np.uint8)


def pin(session, world):
    """Write down what could be learned from now."""
    found = pin_evidence(session, world.round_id)
    loops.decide(session, world.round_id, lambda made: replace(made, evidence=found))
    return found


def known_of(session, world, runs):
    """What is believed of a loop's four texts, by place of the text."""
    found = load_known(session, world.text_ids, runs, world.round_id)
    return {world.text_ids.index(t): codes_N.tolist() for t, codes_N in found.items()}


def select_two(sessions, **config):
    """A round that selected two of four texts; the first and third have gold."""
    world = make_world(sessions, documents_per_shard=4, **config)
    ids = [n for (n,) in query(sessions, "SELECT id FROM documents ORDER BY seq")]
    with sessions.begin() as session:
        rows = [(document_id, "train", False, 1.0) for document_id in ids[:2]]
        selections.store_selections(session, world.round_id, rows)
        for place in (0, 2):
            known = Gold("bob", "calibrate", codes(0))
            gold.store_gold(session, [(world.text_ids[place], known)])
    return world


def upload_late(session, world):
    """Gold of all texts, by a name that comes first."""
    for text_id in world.text_ids:
        gold.store_gold(session, [(text_id, Gold("ann", "calibrate", codes(254)))])


def test_students_learn_from_the_gold_that_was_there_selected_or_not(sessions):
    world = select_two(sessions, recipe=MIX)
    with sessions.begin() as session:
        pin(session, world)
        upload_late(session, world)

        pinned = pinned_evidence(loops.read_round(session, world.round_id))

        assert known_of(session, world, pinned.gold_runs) == {0: [0, 0, 0]}
        assert known_of(session, world, pinned.corpus_gold_runs) == {
            0: [0, 0, 0],
            2: [0, 0, 0],
        }


def test_gold_of_the_corpus_is_noted_where_a_student_learns_from_it(sessions):
    world = select_two(sessions)
    with sessions.begin() as session:
        upload_late(session, world)

        found = pin(session, world)

        assert found.corpus_gold_runs is None
        assert known_of(session, world, found.gold_runs) == {
            0: [254, 254, 254],
            1: [254, 254, 254],
        }


def test_a_corpus_gold_is_that_of_its_pinned_train_split(sessions):
    world = select_two(sessions, recipe=MIX)
    change(sessions, "UPDATE documents SET split = 'audit' WHERE seq = 1")
    with sessions.begin() as session:
        upload_late(session, world)
        # Pinned before the fourth text came.
        session.get(Loop, world.loop_id).corpus_seq = 3
        session.flush()

        found = pin_evidence(session, world.round_id)

    train = sorted(world.text_ids[1:3])
    assert found.corpus_gold_runs == (GoldRun("ann", train[0], train[-1]),)


@pytest.mark.slow  # runs three rounds up to their labels
def test_gold_that_arrives_between_two_shards_changes_nothing(farm):
    farm.add_documents(20)
    change(
        farm.sessions,
        "DELETE FROM gold WHERE use = 'calibrate' AND text_id % 2 = 0",
    )
    farm.start("before", shard_documents=4, aggregation=RULES, voters=two_waves())
    farm.run(until="train")
    before = results(farm, "before")
    change(farm.sessions, "UPDATE jobs SET status = 'done' WHERE status = 'pending'")
    farm.start("while", shard_documents=4, aggregation=RULES, voters=two_waves())
    farm.run(until="count")
    ((job_id,),) = farm.query("""
        SELECT min(id) FROM jobs WHERE status = 'pending' AND stage = 'count'
    """)
    assert run_stage(count.STAGE, farm.runtime, job_id) is not None
    with farm.sessions.begin() as session:
        # On texts without gold, and before other gold by its name.
        for text_id, codes in farm.query("""
            SELECT w.text_id, w.codes FROM votes w JOIN voters v ON v.id = w.voter_id
            WHERE v.name = 'alpha'
        """):
            codes_N = np.frombuffer(invert(codes), dtype=np.uint8)
            gold.store_gold(session, [(text_id, Gold("0 late", "calibrate", codes_N))])

    farm.run(until="train")
    during = results(farm, "while")
    change(farm.sessions, "UPDATE jobs SET status = 'done' WHERE status = 'pending'")
    farm.start("after", shard_documents=4, aggregation=RULES, voters=two_waves())
    farm.run(until="train")

    assert farm.parked() == []
    assert during == before
    # The next round believes it.
    assert results(farm, "after")["fits"] != during["fits"]
