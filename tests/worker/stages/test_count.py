"""Rounds whose rules learn: the same bits however cut, and nothing from students."""

import importlib
import json

import numpy as np
import pytest

from db.queries import forget, gold, jobs, labels, patterns
from kompress.aggregation.patterns import VotePatterns, merge_patterns
from kompress.types import DROP, KEEP, UNKNOWN, Gold, Label
from tests.worker.inprocess import two_waves
from tests.worker.learning import (
    LEARNERS,
    RESULTS,
    RULES,
    invert,
    results,
    rules_led_by,
)
from tests.worker.pulse import Pulse
from tests.worker.worlds import change
from worker.stage import run_stage

pytestmark = pytest.mark.slow  # every test runs rounds up to their labels


def run_backwards(farm, *, until):
    """Run pending jobs, the last of a stage first."""
    while due := farm.query(
        """SELECT id, stage FROM jobs WHERE status = 'pending' AND stage <> :until
           ORDER BY id DESC LIMIT 1""",
        until=until,
    ):
        ((job_id, stage),) = due
        module = importlib.import_module(f"worker.stages.{stage}")
        assert run_stage(module.STAGE, farm.runtime, job_id) is not None


def repeat(farm, stage):
    """Run all jobs of a stage once more, behind the round's back."""
    module = importlib.import_module(f"worker.stages.{stage}")
    for (job_id,) in farm.query("SELECT id FROM jobs WHERE stage = :s", s=stage):
        with farm.sessions.begin() as session:
            job = jobs.get_job(session, job_id)
            out = module.STAGE.run(farm.runtime, job, Pulse())
            module.STAGE.store(session, job, out)


def merged(farm, round_id=1):
    """All patterns of a round."""
    shards = farm.query(
        "SELECT shard FROM vote_patterns WHERE round_id = :r", r=round_id
    )
    with farm.sessions() as session:
        stored = [
            patterns.load_patterns(session, round_id, shard) for (shard,) in shards
        ]
    return merge_patterns([VotePatterns.from_bytes(data) for data in stored])


@pytest.mark.parametrize("rule", ["dawid_skene", "reliability"])
@pytest.mark.parametrize("waves", [1, 2])
def test_any_number_of_shards_and_any_order_of_jobs_give_the_same_bits(
    farm, waves, rule
):
    farm.add_documents(20)
    rules = rules_led_by(rule)
    voters = {"voters": two_waves()} if waves == 2 else {}
    for name, size in (("one", 500), ("two", 8), ("many", 1)):
        farm.start(name, shard_documents=size, aggregation=rules, **voters)
        farm.run(until="train")
    farm.start("backwards", shard_documents=3, aggregation=rules, **voters)
    run_backwards(farm, until="train")

    assert farm.parked() == []
    whole = results(farm, "one")
    assert {what for what, rows in whole.items() if rows} == set(RESULTS)
    # Of all rules that learn, and of the round's own without each voter.
    assert len(whole["fits"]) == len(LEARNERS) + 3
    for other in ("two", "many", "backwards"):
        assert results(farm, other) == whole
    counted = dict(
        farm.query("SELECT round_id, count(*) FROM vote_patterns GROUP BY 1")
    )
    assert counted[1] == 1
    assert counted[3] > counted[2] > 1


def test_a_repeated_job_changes_nothing(farm):
    farm.add_documents(20)
    farm.start(aggregation=RULES)
    farm.run(until="aggregate")
    before, patterns_before = results(farm), merged(farm).to_bytes()

    repeat(farm, "count")
    repeat(farm, "fit")

    assert results(farm) == before
    assert merged(farm).to_bytes() == patterns_before


VOTED = """
    SELECT d.text_id, n.name, w.codes, t.codes, g.codes, s.random_slice
    FROM selections s JOIN documents d ON d.id = s.document_id
    JOIN votes w ON w.text_id = d.text_id
    JOIN round_votes rv ON rv.vote_id = w.id AND rv.round_id = s.round_id
    JOIN voters n ON n.id = w.voter_id
    JOIN text_strata t ON t.text_id = d.text_id AND t.rule_set = 'farm'
    LEFT JOIN gold g ON g.text_id = d.text_id AND g.use = 'calibrate'
    WHERE s.role = 'train' AND s.round_id = 1
"""


def recount(farm):
    """Count joint votes from the stored rows: (stratum, truth, codes) -> words."""
    words = {}
    for text_id, voter, codes, strata, truth, random_slice in farm.query(VOTED):
        for n, code in enumerate(codes):
            known = 255 if truth is None else truth[n]
            if known != 255 or random_slice:
                word = words.setdefault((text_id, n), [strata[n], known, {}])
                word[2][voter] = code
    found = {}
    for stratum, known, codes in words.values():
        row = tuple(codes.get(name, 255) for name in ("alpha", "beta", "gamma"))
        if set(row) != {255}:
            key = (stratum, known, row)
            found[key] = found.get(key, 0) + 1
    return found


def test_gold_and_the_random_slice_are_counted_and_nothing_else(farm):
    farm.add_documents(40)
    # Half of the gold is unknown, so that the slice has something to add.
    change(
        farm.sessions,
        "DELETE FROM gold WHERE use = 'calibrate' AND text_id % 2 = 0",
    )
    farm.start(aggregation=RULES, voters=two_waves(), selection={"random_slice": 0.3})
    farm.run(until="fit")

    found = merged(farm)
    counted = {
        (int(s), int(t), tuple(codes.tolist())): int(n)
        for s, t, codes, n in zip(
            found.stratum_P, found.truth_P, found.code_PM, found.count_P, strict=True
        )
    }
    assert counted == recount(farm)
    assert set(found.truth_P.tolist()) == {DROP, KEEP, UNKNOWN}
    # Every vote is one sample.
    votes_M = ((found.code_PM != 255) * found.count_P[:, None]).sum(axis=0)
    assert found.samples_M.tolist() == votes_M.tolist()


def test_a_round_that_took_all_documents_in_one_wave_counts_them_all(farm):
    farm.add_documents(40)
    farm.start("all", aggregation=RULES, selection={"random_slice": 0.0})
    farm.start(
        "some", aggregation=RULES, selection={"random_slice": 0.0, "num_documents": 20}
    )
    farm.run(until="train")

    rows = farm.query("""
        SELECT l.name, r.decisions -> 'fit' FROM rounds r
        JOIN loops l ON l.id = r.loop_id ORDER BY 1
    """)
    decided = dict(rows)
    assert decided["all"]["documents"] == "all"
    assert decided["all"]["num_words"] > 0
    assert decided["some"]["documents"] == "random_slice"
    assert decided["some"]["num_words"] == decided["some"]["num_words_available"] == 0
    assert 0 < decided["some"]["num_gold_words"] < decided["all"]["num_gold_words"]


def test_evaluation_gold_students_and_self_labels_teach_a_rule_nothing(farm):
    farm.add_documents(20)
    farm.start("before", aggregation=RULES)
    farm.run(until="train")
    change(farm.sessions, "UPDATE jobs SET status = 'done' WHERE status = 'pending'")

    # All evaluation gold becomes wrong, some of it even about train documents, whose
    # self-labels agree with alpha in every word.
    rows = farm.query("SELECT text_id, codes FROM gold WHERE use = 'evaluate'")
    train = farm.query("""
        SELECT w.text_id, w.codes FROM votes w JOIN voters v ON v.id = w.voter_id
        JOIN documents d ON d.text_id = w.text_id AND d.split = 'train'
        WHERE v.name = 'alpha'
    """)
    for text_id, codes in rows:
        change(
            farm.sessions,
            "UPDATE gold SET codes = :c WHERE text_id = :t AND use = 'evaluate'",
            c=invert(codes),
            t=text_id,
        )
    farm.start("after", aggregation=RULES)
    farm.run(until="count")
    with farm.sessions.begin() as session:
        made = {}
        # Its origin comes before the true gold's.
        for text_id, codes in train:
            codes_N = np.frombuffer(codes, dtype=np.uint8)
            sure_N = np.where(codes_N >= 127, 254, 0).astype(np.uint8)
            gold.store_gold(session, [(text_id, Gold("0 wrong", "evaluate", sure_N))])
            mean_N = (codes_N >= 127).astype(np.float16)
            made[text_id] = Label(mean_N, np.zeros_like(mean_N))
        for source in ("self_label", "self_label+teacher"):
            labels.store_labels(session, 2, source, made)
    farm.run(until="train")

    assert farm.parked() == []
    before, after = results(farm, "before"), results(farm, "after")
    for what in ("fits", "labels", "pairs"):
        assert after[what] == before[what]
    decided = dict(after["decisions"])
    for key in ("fit", "fallback", "diversity"):
        assert decided[key] == dict(before["decisions"])[key]
    # Calibration gold does teach.
    for text_id, codes in farm.query("SELECT text_id, codes FROM gold"):
        change(
            farm.sessions,
            "UPDATE gold SET codes = :c WHERE text_id = :t AND use = 'calibrate'",
            c=invert(codes),
            t=text_id,
        )
    farm.start("wrong", aggregation=RULES)
    farm.run(until="train")
    assert results(farm, "wrong")["fits"] != before["fits"]


def test_what_a_rule_learned_of_the_voters_stands_beside_their_counts(farm):
    farm.add_documents(20)
    farm.start(aggregation={"rule": "reliability", "compare": ["majority"]})

    farm.run(until="train")

    ((decided,),) = farm.query("SELECT decisions -> 'reliability' FROM rounds")
    rows = farm.query("""
        SELECT voter, stratum, truth, fitted_sensitivity, fitted_specificity, weight
        FROM voter_stats ORDER BY 1, 2, 3
    """)
    assert {truth for _, _, truth, *_ in rows} == {"gold", "leave_one_out", "must_keep"}
    assert {voter for voter, *_ in rows} == {"alpha", "beta", "gamma"}
    for voter, stratum, _, *rates, weight in rows:
        assert rates == decided[voter].get(stratum, [None, None])
        assert stratum != "all" or 0 < weight < 1
    plain = decided["alpha"]["plain"]
    assert 0 < plain[0] < 1
    assert 0 < plain[1] < 1


def test_a_round_without_gold_works_and_says_so(farm):
    farm.add_documents(20)
    change(farm.sessions, "DELETE FROM gold WHERE use = 'calibrate'")
    farm.start(aggregation=RULES)

    farm.run(until="train")

    assert farm.parked() == []
    found = results(farm)
    decided = {key: json.loads(value) for key, value in found["decisions"]}
    assert decided["fit"]["num_gold_words"] == 0
    assert decided["fit"]["num_words"] > 500
    assert decided["diversity"]["truth"] == "none"
    assert "fallback" not in decided
    assert len(found["fits"]) == len(LEARNERS) + 3
    assert len(found["labels"]) == 16


LABELLED = """
    SELECT b.mean, (array_agg(w.codes) FILTER (WHERE v.name = 'alpha'))[1],
           (array_agg(w.codes) FILTER (WHERE v.name = 'beta'))[1],
           (array_agg(w.codes) FILTER (WHERE v.name = 'gamma'))[1]
    FROM labels b JOIN votes w ON w.text_id = b.text_id
    JOIN voters v ON v.id = w.voter_id
    WHERE b.source = 'consensus' GROUP BY b.text_id, b.mean
"""


@pytest.mark.parametrize("rule", LEARNERS)
def test_a_round_with_neither_gold_nor_a_slice_works_too(farm, rule):
    farm.add_documents(20)
    change(farm.sessions, "DELETE FROM gold WHERE use = 'calibrate'")
    farm.start(
        aggregation=rules_led_by(rule),
        selection={"random_slice": 0.0, "num_documents": 8},
    )

    farm.run(until="train")

    assert farm.parked() == []
    decided = {key: json.loads(v) for key, v in results(farm)["decisions"]}
    assert decided["fit"]["num_words"] == decided["fit"]["num_gold_words"] == 0
    assert "diversity" not in decided
    # Nothing is known of the voters; what all of them say is believed all the same.
    kept = {True: [], False: []}
    for means, *codes in farm.query(LABELLED):
        keep_N = np.frombuffer(means, dtype=np.float16) >= 0.5
        side_NM = np.stack([np.frombuffer(c, np.uint8) >= 127 for c in codes], axis=1)
        for side in kept:
            kept[side] += keep_N[(side_NM == side).all(axis=1)].tolist()
    assert len(kept[True]) > 20
    assert len(kept[False]) > 20
    assert all(kept[True])
    assert not any(kept[False])


def test_plain_rules_count_no_patterns_and_learn_nothing(farm):
    farm.add_documents(20)
    farm.start(aggregation={"rule": "beta", "compare": ["majority"]})

    farm.run(until="train")

    assert farm.parked() == []
    found = results(farm)
    assert farm.query("SELECT count(*) FROM vote_patterns") == [(0,)]
    assert found["fits"] == []
    assert "fit" not in dict(found["decisions"])
    # What can be known of the voters does not depend on the rule.
    assert {"fallback", "diversity"} <= set(dict(found["decisions"]))


def test_forgetting_a_text_leaves_its_counts_and_no_later_round_learns_from_it(farm):
    farm.add_documents(20)
    farm.start("first", aggregation=RULES)
    farm.run(until="fit")
    before = merged(farm).num_words
    ((digest, num_words),) = farm.query("""
        SELECT t.sha256, t.num_words FROM texts t JOIN documents d ON d.text_id = t.id
        WHERE d.split = 'train' ORDER BY t.num_words DESC LIMIT 1
    """)
    with farm.sessions.begin() as session:
        forget.forget_text(session, sha256=bytes(digest))

    farm.run(until="train")
    farm.start("second", aggregation=RULES)
    farm.run(until="train")

    assert farm.parked() == []
    assert merged(farm, 1).num_words == before
    assert merged(farm, 2).num_words == before - num_words
    assert len(results(farm, "second")["labels"]) == 15


def test_patterns_hold_no_word_of_a_text(farm):
    farm.add_documents(20)
    farm.start(aggregation=RULES)
    farm.run(until="fit")

    found = merged(farm)

    kinds = {
        field: getattr(found, field).dtype
        for field in ("stratum_P", "truth_P", "code_PM", "count_P", "samples_M")
    }
    assert set(map(str, kinds.values())) == {"uint8", "int64", "float64"}
    digests = farm.query("SELECT encode(sha256, 'hex') FROM texts")
    stored = farm.query("SELECT patterns FROM vote_patterns")
    for (digest,) in digests:
        assert not any(bytes.fromhex(digest) in bytes(data) for (data,) in stored)
