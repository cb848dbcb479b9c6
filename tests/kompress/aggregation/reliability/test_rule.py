"""The default rule as its users meet it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability import rule as reliability
from kompress.aggregation.reliability.rule import Reliability
from kompress.aggregation.rules.plain import Uniform
from kompress.types import STRATA, UNKNOWN
from tests.truth_codes import coded


def draw(seed, rates, size=8_000, strata=3):
    """Draw yes and no votes; rates[m][s] of voter m is P(right) in stratum s."""
    rng = np.random.default_rng(seed)
    stratum = rng.integers(0, strata, size)
    truth = rng.random(size) < 0.5
    right = rng.random((size, len(rates))) < np.array(rates)[:, stratum].T
    return np.where(right == truth[:, None], 254, 0).astype(np.uint8), stratum, truth


def fit(codes, stratum, truth=None, strength=None):
    known = np.full(len(codes), UNKNOWN) if truth is None else truth
    strength = np.ones(codes.shape[1]) if strength is None else strength
    return Reliability().fit(count_patterns(codes, strength, stratum, coded(known)))


def test_each_voter_is_believed_where_it_can_see():
    rates = [[0.95, 0.5, 0.9], [0.9, 0.95, 0.5], [0.5, 0.9, 0.95]]
    codes, stratum, truth = draw(0, rates)
    gold = np.where(np.arange(8_000) < 600, truth, UNKNOWN)

    found = fit(codes, stratum, gold).aggregate(codes, np.ones(3), stratum)

    keep = found.mean_N >= 0.5
    # The blind one has next to no weight in its stratum.
    assert found.weight_SM[:3].argmin(axis=1).tolist() == [2, 0, 1]
    assert found.weight_SM[0, 2] < 0.02
    for s in range(3):
        own = stratum == s
        best = max(((codes[own, m] > 0) == truth[own]).mean() for m in range(3))
        assert (keep[own] == truth[own]).mean() >= best - 0.005


def test_equal_strengths_and_reliabilities_are_uniform_averaging():
    # Symmetric counts: every pattern and its mirror, so that all rates are equal.
    half = np.array([[a, b, c] for a in (0, 254) for b in (0, 254) for c in (0, 254)])
    codes = np.repeat(half, [9, 2, 2, 2, 2, 2, 2, 9], axis=0).astype(np.uint8)
    stratum = np.zeros(len(codes), int)

    found = Reliability().aggregate(codes, np.ones(3), stratum)
    uniform = Uniform().aggregate(codes, np.ones(3), stratum)

    row = found.weight_SM[0]
    assert row.max() - row.min() < 1e-12
    assert np.allclose(row, 1 / 3)
    # The posterior depends on the mean vote alone, and keeps where the mean does.
    for share in np.unique(uniform.mean_N):
        assert np.ptp(found.mean_N[uniform.mean_N == share]) < 1e-9
    assert np.array_equal(found.mean_N >= 0.5, uniform.mean_N >= 0.5)
    order = np.argsort(uniform.mean_N, kind="stable")
    assert (np.diff(found.mean_N[order]) >= -1e-9).all()


def test_five_copies_are_one_voter():
    codes, stratum, _ = draw(1, [[0.9] * 3, [0.85] * 3, [0.7] * 3])
    strength = np.array([1, 2, 1])
    copied = codes[:, [0, 1, 2, 2, 2, 2, 2]]

    one = Reliability().aggregate(codes, strength, stratum)
    many = Reliability().aggregate(copied, np.array([1, 2, 1, 1, 1, 1, 1]), stratum)

    assert np.array_equal(one.alpha_N, many.alpha_N)
    assert np.array_equal(one.beta_N, many.beta_N)
    assert np.allclose(many.weight_SM[:, 2:].sum(axis=1), one.weight_SM[:, 2])


def test_strata_without_gold_are_named():
    codes, stratum, truth = draw(2, [[0.9] * 3] * 3)
    gold = np.where((np.arange(8_000) < 300) & (stratum != 1), truth, UNKNOWN)

    learned = fit(codes, stratum, gold)

    assert learned.undetectable == (STRATA[1],)
    assert learned.gold_S[1] == 0
    assert learned.words_S.sum() == 8_000


def test_rates_are_reported_by_stratum():
    codes, stratum, truth = draw(3, [[0.9, 0.6, 0.9], [0.8] * 3, [0.7] * 3])

    learned = fit(codes, stratum, truth)

    assert np.allclose(learned.sensitivity_SM[:3, 0], [0.9, 0.6, 0.9], atol=0.03)
    assert np.allclose(learned.specificity_SM[:3, 1], 0.8, atol=0.03)


def test_a_voter_that_never_voted_has_no_rate():
    codes, stratum, _ = draw(4, [[0.9] * 3, [0.8] * 3, [0.7] * 3], size=500)
    silent = np.full((500, 1), 255, np.uint8)

    learned = fit(np.hstack([codes, silent]), stratum)

    assert np.isnan(learned.sensitivity_SM[:, 3]).all()
    assert not np.isnan(learned.sensitivity_SM[:, :3]).any()


def test_families_are_named_with_their_copies():
    codes, stratum, truth = draw(5, [[0.9] * 3, [0.75] * 3, [0.75] * 3])
    shared = np.random.default_rng(6).random(8_000) < 0.7
    codes[shared, 2] = codes[shared, 1]
    gold = np.where(np.arange(8_000) < 1_000, truth, UNKNOWN)

    learned = fit(codes[:, [0, 1, 2, 2]], stratum, gold)

    assert learned.families == ((1, 2, 3),)


def test_more_words_than_a_fit_needs_are_thinned_but_rare_strata_are_whole(monkeypatch):
    stratum = np.repeat([0, 3, 5], [50_000, 40, 9_000])
    monkeypatch.setattr(reliability, "MAX_FIT_WORDS", 10_000)

    some = reliability.spread_words(stratum)

    sizes = np.bincount(stratum[some], minlength=6)
    assert sizes[3] == 40
    assert sizes.sum() <= 10_000
    assert sizes[0] > 4_000
    assert sizes[5] >= 4_500
    assert (np.diff(some) > 0).all()


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0.0, 0.6]))
def test_what_was_learned_survives_json(seed, knows, shared):
    codes, stratum, truth = draw(seed, [[0.9] * 3, [0.8] * 3, [0.7] * 3], size=300)
    rng = np.random.default_rng(seed)
    together = rng.random(300) < shared
    codes[together, 1:] = codes[together, :1]
    codes[rng.random(codes.shape) < 0.2] = 255
    learned = fit(codes, stratum, truth if knows else None, np.array([1, 5, 2]))

    again = Reliability().load(json.loads(json.dumps(learned.data)))
    strength = rng.integers(1, 6, codes.shape)
    one = learned.aggregate(codes, strength, stratum)
    other = again.aggregate(codes, strength, stratum)

    assert np.array_equal(one.alpha_N, other.alpha_N)
    assert np.array_equal(one.beta_N, other.beta_N)
    assert np.array_equal(one.weight_SM, other.weight_SM)
    assert again.data == learned.data


def test_voters_without_evidence_vote_by_their_prior():
    # Nobody voted where the fit may look, as where only echoes of a student vote.
    learned = fit(np.full((9, 2), 255, np.uint8), np.zeros(9, int))
    codes = np.array([[0, 255], [254, 255], [0, 0]], np.uint8)

    found = learned.aggregate(codes, np.ones(2), np.zeros(3, int))

    # Right in seven words of ten, and independent: 3/10, 7/10, 9/58.
    assert np.allclose(found.mean_N, [0.3, 0.7, 9 / 58])
    assert np.isnan(learned.sensitivity_SM).all()


def test_who_is_heard_for_the_first_time_has_a_say_where_nobody_else_voted():
    codes, stratum, _ = draw(7, [[0.9] * 3, [0.8] * 3, [0.8] * 3])
    learned = fit(np.hstack([codes, np.full((8_000, 1), 255, np.uint8)]), stratum)

    alone = learned.aggregate(
        np.array([[255, 255, 255, 0]], np.uint8), np.ones(4), np.array([0])
    )

    assert alone.mean_N[0] < 0.4


def test_a_keep_of_a_voter_that_only_ever_dropped_is_not_read_as_a_drop():
    codes, stratum, _ = draw(8, [[0.9] * 3, [0.8] * 3, [0.8] * 3], size=400)
    drops = np.where(np.arange(400) % 3 == 0, 20, 0).astype(np.uint8)[:, None]
    learned = fit(np.hstack([codes, drops]), stratum)

    found = learned.aggregate(
        np.array([[255, 255, 255, 254], [255, 255, 255, 0]], np.uint8),
        np.ones(4),
        np.array([0, 0]),
    )

    assert found.mean_N[0] > found.mean_N[1]


@pytest.mark.parametrize("size", [40, 400, 4_000])
def test_a_word_that_all_keep_is_kept_beside_voters_that_keep_everything(size):
    # Two keep everything, the third one word in ten.
    codes = np.full((size, 3), 254, np.uint8)
    codes[np.arange(size) % 10 != 0, 2] = 0

    found = Reliability().aggregate(codes, np.ones(3), np.arange(size) // 5 % 2)

    assert found.mean_N[0] > 0.8
    assert found.mean_N[0] > found.mean_N[1]


@pytest.mark.parametrize("num_words", [0, 1, 2])
def test_few_words_are_no_error(num_words):
    codes = np.full((num_words, 2), 254, np.uint8)

    found = Reliability().aggregate(codes, np.ones(2), np.zeros(num_words, int))

    assert found.alpha_N.shape == (num_words,)
    assert (found.mean_N > 0.5).all()
