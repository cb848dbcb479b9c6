"""The farm's two coins, by hand and in worlds that are known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation import dawid_skene
from kompress.aggregation.dawid_skene import hard_votes
from kompress.aggregation.dawid_skene.em import Pseudocounts
from kompress.aggregation.dawid_skene.rule import DawidSkene, LearnedDawidSkene
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import count_patterns
from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import DROP, KEEP, STRATA, UNKNOWN, encode_votes


def draw(num_words, seed=0, missing=0.1):
    """Two-coin votes of three voters in two strata, as hard byte codes."""
    rng = np.random.default_rng(seed)
    stratum_N = rng.integers(0, 2, num_words)
    truth_N = rng.random(num_words) < np.where(stratum_N == 0, 0.3, 0.8)
    right = np.where(truth_N[:, None], [0.9, 0.8, 0.6], [0.85, 0.7, 0.8])
    says_NM = (rng.random((num_words, 3)) < right) == truth_N[:, None]
    code_NM = np.where(says_NM, 254, 0).astype(np.uint8)
    code_NM[rng.random((num_words, 3)) < missing] = 255
    return code_NM, stratum_N, truth_N


def test_the_coins_and_shares_that_drew_the_votes_are_found():
    code_NM, stratum_N, _ = draw(60_000)

    learned = DawidSkene().fit(count_patterns(code_NM, np.ones(3), stratum_N))

    assert learned.sensitivity_M == pytest.approx([0.9, 0.8, 0.6], abs=0.01)
    assert learned.specificity_M == pytest.approx([0.85, 0.7, 0.8], abs=0.01)
    assert learned.keep_share_S[:2] == pytest.approx([0.3, 0.8], abs=0.01)
    assert (learned.keep_share_S[2:] == 0.5).all()


def test_it_is_the_published_model_where_there_is_one_stratum():
    # The same MAP objective in the general fit: one imagined word of either side, two
    # right and one wrong answers of either coin.
    code_NM, _, _ = draw(3_000, seed=1)
    counts_NMK = np.stack([code_NM == 0, code_NM == 254], axis=2)
    prior = Pseudocounts(classes=1.0, confusion=[[2.0, 1.0], [1.0, 2.0]])
    general = dawid_skene.fit(counts_NMK, tol=1e-14, prior=prior)

    rule = DawidSkene()
    stratum_N = np.zeros(3_000, dtype=int)
    found = rule.fit(count_patterns(code_NM, np.ones(3), stratum_N))

    confusion = np.stack([found.specificity_M, found.sensitivity_M], axis=1)
    diagonal = np.diagonal(general.confusion_MKK, axis1=1, axis2=2)
    assert np.abs(confusion - diagonal).max() < 1e-5
    heard_N = (code_NM != 255).any(axis=1)
    mean_N = rule.aggregate(code_NM, np.ones(3), stratum_N).mean_N
    assert np.abs(mean_N - general.posterior_NK[:, 1])[heard_N].max() < 1e-5


def test_a_posterior_is_bayes_rule_by_hand():
    # Plain words: share 1/4, odds 1:3. Voter 0 keeps: .8/.4 = 2. Voter 1 drops:
    # .1/.5 = 1/5. Odds 2/15, P = 2/17; two votes make a concentration of 4.
    shares_S = np.array([0.25] + [0.5] * (len(STRATA) - 1))
    learned = LearnedDawidSkene(shares_S, np.array([0.8, 0.9]), np.array([0.6, 0.5]))

    found = learned.aggregate([[0.9, 0.2], [np.nan, np.nan]], np.ones(2), [0, 0])

    assert found.alpha_N == pytest.approx([8 / 17, 1])
    assert found.beta_N == pytest.approx([60 / 17, 1])
    # |log 2| and |log 1/5|, as shares.
    whole = np.log(2) + np.log(5)
    assert found.weight_SM[0] == pytest.approx([np.log(2) / whole, np.log(5) / whole])


def test_a_vote_of_one_half_keeps():
    # Code 127 is 127.5 / 255 = 1/2, code 126 below it.
    found = DawidSkene().aggregate(np.array([[127], [126]], np.uint8), [1], [0, 0])

    assert found.mean_N[0] > 0.5 > found.mean_N[1]


def test_gold_is_observed_truth():
    # Both voters keep everything they are asked: without gold they must be right.
    code_NM = np.full((1_000, 2), 254, dtype=np.uint8)
    truth_N = np.full(1_000, UNKNOWN)
    truth_N[:400] = DROP
    stratum_N = np.zeros(1_000, dtype=int)

    blind = DawidSkene().fit(count_patterns(code_NM, np.ones(2), stratum_N))
    told = DawidSkene().fit(count_patterns(code_NM, np.ones(2), stratum_N, truth_N))

    # 400 dropped words, all kept by both, and one imagined right answer of three.
    assert (blind.specificity_M > 0.6).all()
    assert (told.specificity_M < 0.01).all()


def test_gold_rights_a_panel_that_is_wrong_together():
    rng = np.random.default_rng(3)
    truth_N = rng.random(4_000) < 0.5
    wrong_NM = rng.random((4_000, 3)) < 0.8
    code_NM = np.where(truth_N[:, None] ^ wrong_NM, 254, 0).astype(np.uint8)
    gold_N = np.where(np.arange(4_000) < 300, np.where(truth_N, KEEP, DROP), UNKNOWN)
    stratum_N = np.zeros(4_000, dtype=int)
    rule = DawidSkene()

    def accuracy(gold):
        learned = rule.fit(count_patterns(code_NM, np.ones(3), stratum_N, gold))
        posterior = learned.aggregate(code_NM, np.ones(3), stratum_N)
        return ((posterior.mean_N >= 0.5) == truth_N).mean()

    assert accuracy(None) < 0.2
    assert accuracy(gold_N) > 0.85


def test_what_was_learned_comes_back_bit_for_bit():
    code_NM, stratum_N, _ = draw(2_000)
    rule = DawidSkene()
    learned = rule.fit(count_patterns(code_NM, np.ones(3), stratum_N))

    again = rule.load(json.loads(json.dumps(learned.data)))

    one = learned.aggregate(code_NM, np.ones(3), stratum_N)
    other = again.aggregate(code_NM, np.ones(3), stratum_N)
    assert isinstance(rule, Learner)
    assert np.array_equal(one.alpha_N, other.alpha_N)
    assert np.array_equal(one.weight_SM, other.weight_SM)


@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_neither_shards_nor_the_order_of_voters_change_a_bit(seed, order):
    code_NM, stratum_N, _ = draw(50, seed=seed, missing=0.4)
    rule = DawidSkene()
    whole = rule.aggregate(code_NM, np.ones(3), stratum_N)

    moved = rule.aggregate(code_NM[::-1, order], np.ones(3), stratum_N[::-1])

    assert np.array_equal(whole.alpha_N, moved.alpha_N[::-1])
    assert np.array_equal(whole.beta_N, moved.beta_N[::-1])
    assert np.array_equal(whole.weight_SM[:, order], moved.weight_SM)
    one = rule.fit(count_patterns(code_NM, np.ones(3), stratum_N))
    other = rule.fit(count_patterns(code_NM[:, order], np.ones(3), stratum_N))
    assert np.array_equal(one.keep_share_S, other.keep_share_S)
    assert np.array_equal(one.sensitivity_M[order], other.sensitivity_M)


def test_fitting_to_words_and_to_their_patterns_is_the_same():
    code_NM, stratum_N, _ = draw(5_000)
    p_NM = np.where(code_NM == 255, np.nan, np.where(code_NM > 127, 0.7, 0.2))
    rule = DawidSkene()
    strength_M = np.array([1.0, 5.0, 2.0])

    direct = rule.aggregate(p_NM, strength_M, stratum_N)
    learned = rule.fit(count_patterns(p_NM, strength_M, stratum_N))
    applied = learned.aggregate(encode_votes(p_NM), np.ones(3), stratum_N)

    assert np.array_equal(direct.alpha_N, applied.alpha_N)


def test_more_voters_than_a_histogram_holds_are_counted_by_sorting(monkeypatch):
    code_NM, stratum_N, _ = draw(3_000)
    gold_N = np.where(np.arange(3_000) < 100, KEEP, UNKNOWN)
    patterns = count_patterns(code_NM, np.ones(3), stratum_N, gold_N)
    rule = DawidSkene()
    small = (rule.fit(patterns).data, rule.aggregate(code_NM, np.ones(3), stratum_N))

    monkeypatch.setattr(hard_votes, "_MAX_CELLS", 10)
    large = (rule.fit(patterns).data, rule.aggregate(code_NM, np.ones(3), stratum_N))

    assert small[0] == large[0]
    assert np.array_equal(small[1].alpha_N, large[1].alpha_N)


@pytest.mark.parametrize(
    ("p", "strength", "stratum", "says"),
    [
        ([0.5], [1], [0], r"expected \(N, M\)"),
        ([[1, 0]], [1, 1], [0], "float P"),
        ([[0.5, 2.0]], [1, 1], [0], r"expected \[0, 1\]"),
        ([[0.5, 0.5]], [1], [0], "one a voter"),
        ([[0.5, 0.5]], [1, -1], [0], "voter 1 has -1"),
        ([[0.5, 0.5]], [[1, np.inf]], [0], "voter 1 has inf"),
        ([[0.5, 0.5]], [1, 1], [99], "expected codes"),
        ([[0.5, 0.5, 0.5]], [1, 1, 1], [0], "the fit is of 2"),
    ],
)
def test_wrong_votes_are_refused_in_words(p, strength, stratum, says):
    learned = LearnedDawidSkene(np.full(len(STRATA), 0.5), *np.full((2, 2), 0.8))

    with pytest.raises(InvalidVotes, match=says):
        learned.aggregate(np.asarray(p), np.asarray(strength), np.asarray(stratum))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"keep_share": [0.5], "sensitivity": [0.8], "specificity": [0.8]},
        {
            "keep_share": [0.5] * len(STRATA),
            "sensitivity": [0.8],
            "specificity": [1.0],
        },
    ],
)
def test_a_fit_that_cannot_be_read_is_refused_in_words(data):
    with pytest.raises(InvalidConfig, match="fit again"):
        DawidSkene().load(data)


def test_a_prior_no_better_than_chance_is_refused():
    with pytest.raises(InvalidConfig, match="prior_wrong < prior_right"):
        DawidSkene(prior_right=1.0)
