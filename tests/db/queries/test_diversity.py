"""Pairs, prices and diagrams in SQL are those of kompress."""

import dataclasses

import numpy as np
import pytest
from sqlalchemy import text

from db.models import Round
from db.queries import (
    diversity,
    labels,
    loops,
    quality,
    quality_views,
    records,
    voters,
)
from db.queries import votes as votes_of
from db.queries.labels import CountKey, Counts
from db.queries.quality import VoterStatRow
from kompress.aggregation.diagrams import reliability_diagram
from kompress.aggregation.diversity import measure_diversity, pair_rows
from kompress.aggregation.pairs import error_correlation, sides_of
from kompress.aggregation.patterns import UNKNOWN, count_patterns
from kompress.types import Fingerprint, Vote


@pytest.fixture
def votes():
    """200 words of three voters, the third errs alone; half of them have gold."""
    rng = np.random.default_rng(5)
    truth_N = rng.integers(0, 2, 200).astype(np.uint8)
    stratum_N = rng.integers(0, 3, 200)
    shared_N = rng.random(200) < 0.3
    wrong_NM = np.stack([shared_N, shared_N ^ (rng.random(200) < 0.1),
                         rng.random(200) < 0.2], axis=1)  # fmt: skip
    codes_NM = np.where(truth_N[:, None] ^ wrong_NM, 254, 0).astype(np.uint8)
    codes_NM[rng.random((200, 3)) < 0.1] = 255
    truth_N[100:] = UNKNOWN
    return codes_NM, truth_N, stratum_N


def store_pairs(session, round_id, codes_NM, truth_N, stratum_N):
    patterns = count_patterns(codes_NM, [1, 1, 1], stratum_N, truth_N)
    rows = pair_rows(("a", "b", "c"), patterns)
    diversity.store_voter_pairs(session, round_id, rows)


def test_correlation_in_sql_is_that_of_the_votes(session, world, votes):
    codes_NM, truth_N, stratum_N = votes

    store_pairs(session, world.round_id, *votes)

    found = quality_views.voter_correlation(session, "small", 1)
    expected_MM = error_correlation(*sides_of(codes_NM), truth_N, stratum_N)
    by_pair = {(row["voter"], row["other"]): row for row in found}
    assert list(by_pair) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (a, b), row in by_pair.items():
        m, n = "abc".index(a), "abc".index(b)
        assert row["error_correlation"] == pytest.approx(expected_MM[m, n], abs=1e-12)
        both_N = (codes_NM[:, [m, n]] != 255).all(axis=1)
        equal_N = codes_NM[both_N, m] == codes_NM[both_N, n]
        assert row["num_words"] == both_N.sum()
        assert row["agreement"] == pytest.approx(equal_N.mean())
        assert row["num_gold_words"] == both_N[:100].sum()
    assert by_pair["a", "b"]["error_correlation"] > 0.5


def test_without_gold_the_correlation_of_errors_is_null(session, world, votes):
    codes_NM, truth_N, stratum_N = votes

    store_pairs(
        session, world.round_id, codes_NM, np.full_like(truth_N, 255), stratum_N
    )

    for row in quality_views.voter_correlation(session, "small", 1):
        assert row["error_correlation"] is None
        assert row["num_gold_words"] == 0
        assert row["agreement"] > 0


@pytest.mark.parametrize("flawless", [0, 1])
def test_a_voter_without_errors_has_no_correlation(session, world, votes, flawless):
    codes_NM, truth_N, stratum_N = (part[:100] for part in votes)
    codes_NM = codes_NM.copy()
    codes_NM[:, flawless] = truth_N * 254

    store_pairs(session, world.round_id, codes_NM, truth_N, stratum_N)

    (row, *_) = quality_views.voter_correlation(session, "small", 1)
    assert (row["voter"], row["other"]) == ("a", "b")
    assert row["error_correlation"] is None
    assert row["num_gold_words"] > 50


def test_a_repetition_replaces_all_pairs_of_a_round(session, world, votes):
    codes_NM, truth_N, _ = votes
    store_pairs(session, world.round_id, *votes)

    # The second time there is one stratum only: no row of the others may stay.
    store_pairs(session, world.round_id, codes_NM, truth_N, np.zeros(200, int))

    strata = session.scalars(text("SELECT DISTINCT stratum FROM voter_pairs")).all()
    assert strata == ["plain"]


def test_a_rounds_diversity_is_read_from_its_decision(session, world, votes):
    codes_NM, truth_N, stratum_N = votes
    group_N = np.arange(200) // 10
    measured = measure_diversity(
        ("a", "b", "c"), codes_NM, truth_N, stratum_N, group_N,
        np.random.default_rng(0), num_bootstraps=50,
    )  # fmt: skip
    assert quality_views.ensemble_diversity(session, "small") == []

    loops.record_decision(session, world.round_id, "diversity", measured.as_json())

    (row,) = quality_views.ensemble_diversity(session, "small", 1)
    assert (row["num_voters"], row["truth"]) == (3, "gold")
    assert row["n_eff"] == measured.n_eff
    assert (row["n_eff_low"], row["n_eff_high"]) == (
        measured.n_eff_low, measured.n_eff_high,
    )  # fmt: skip
    assert row["alpha"] == measured.alpha
    assert row["num_gold_words"] == measured.num_gold_words
    assert row["error"] == pytest.approx(row["shared_bias"] + row["variance"])
    assert row["variance"] == pytest.approx(
        row["shared_variance"] + row["own_variance"]
    )


def test_a_diagram_in_sql_is_that_of_the_histogram(session, world):
    rng = np.random.default_rng(3)
    keep, drop = rng.integers(0, 9, (2, 256))
    keep[40:80] = drop[40:80] = 0  # a bin without a vote
    row = VoterStatRow(
        "a", "all", "gold", 1, 1, 1, 1, 0, 0, keep.tolist(), drop.tolist()
    )
    must = VoterStatRow("a", "all", "must_keep", 1, 1, 0, 0, 0, 0, [1] * 256, [0] * 256)
    quality.add_voter_stats(session, world.round_id, [row, must])

    gold, must_keep = quality_views.voter_quality(session, "small", 1)

    expected = reliability_diagram(np.array([drop, keep]))
    assert [(b["stated"], b["observed"], b["n"]) for b in gold["diagram"]] == [
        (b.stated, b.observed, b.n) for b in expected
    ]
    assert gold["diagram"][2] == {"stated": None, "observed": None, "n": 0}
    assert must_keep["diagram"] is None


def test_idle_votes_are_those_of_newest_voters_outside_the_panel(session, world):
    first, second = world.text_ids[:2]
    ids = [
        voters.register_voter(session, Fingerprint(name, parts), "salience", {})
        for name, parts in (("idle", {}), ("idle", {"model": "new"}), ("own", {}))
    ]
    vote = Vote(np.array([254, 0, 254, 0], dtype=np.uint8), num_samples=3)
    for voter_id in ids:
        rows = [(text_id, 0, vote) for text_id in (first, second)]
        votes_of.store_votes(session, world.round_id, voter_id, rows)

    found = diversity.load_idle_votes(session, ("own",), [first])

    assert list(found) == [first]
    (row,) = found[first]
    assert (row.voter, row.voter_id, row.num_samples) == ("idle", ids[1], 3)
    assert row.codes_N.tolist() == [254, 0, 254, 0]


def test_a_votes_price_is_what_its_jobs_spent_by_its_words(session, world, add_job):
    paid = add_job(session, world, "teach", voter="t1")
    again = add_job(session, world, "teach", voter="t1", shard=1)
    free = add_job(session, world, "teach", voter="rule")
    train = add_job(session, world, "train")
    for job_id, usd in ((paid, 0.75), (again, 0.25), (free, 0.0), (train, 9.0)):
        records.add_cost(session, job_id, 1, "usd", usd, usd)
    counts = {
        CountKey(source, "all", "all", rules): Counts(2, 500, 100, 10, 5)
        for source in ("t1", "rule", "consensus")
        for rules in ("farm", "kompress-r0")  # the same words: not 1,000 of them
    }
    labels.add_label_counts(session, world.round_id, counts)

    prices = diversity.voter_prices(session, "small", 1)

    assert prices == {"rule": 0.0, "t1": 1.0 / 500}


def test_a_paid_voter_is_not_free_where_its_answers_were_stored(
    session, world, add_job
):
    """Four rounds: 1 and 2 paid, 3 answered from the store, 4 after the one asked."""
    config = dict(session.get(Round, world.round_id).config)
    later = [loops.create_round(session, world.loop_id, n, config) for n in (2, 3, 4)]
    spent = {world.round_id: 8.0, later[0].id: 2.0, later[1].id: 0.0, later[2].id: 99.0}
    for round_id, usd in spent.items():
        place = dataclasses.replace(world, round_id=round_id)
        job_id = add_job(session, place, "teach", voter="t1")
        records.add_cost(session, job_id, 1, "usd", usd, usd)
        counted = {CountKey("t1", "all", "all", "farm"): Counts(2, 500, 100, 10, 5)}
        labels.add_label_counts(session, round_id, counted)

    assert diversity.voter_prices(session, "small", 3) == {"t1": 2.0 / 500}
    assert diversity.voter_prices(session, "small", 1) == {"t1": 8.0 / 500}
    # Another loop knows it by this one's newest bill.
    assert diversity.voter_prices(session, "other", 1) == {"t1": 99.0 / 500}


def test_who_could_not_join_a_panel_is_not_idle(session, world):
    kinds = {
        "pairwise": ("pairwise", {}),
        "corrector": ("teacher", {"protocol": "correct"}),
        "echo": ("references", {"origin": "student@0123456789ab"}),
        "banned": ("salience", {}),
        "teacher": ("teacher", {}),
        "reader": ("references", {"origin": "references"}),
    }
    vote = Vote(np.array([254, 0, 254, 0], dtype=np.uint8))
    text_id = world.text_ids[0]
    for name, (kind, params) in kinds.items():
        voter_id = voters.register_voter(session, Fingerprint(name, {}), kind, params)
        votes_of.store_votes(session, world.round_id, voter_id, [(text_id, 0, vote)])
    voters.quarantine(session, "banned", on=True)

    found = diversity.load_idle_votes(session, (), [text_id])

    assert [row.voter for row in found[text_id]] == ["reader", "teacher"]
