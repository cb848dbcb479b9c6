"""The plain rules, against hand-worked sums and closed forms."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import betabinom, poisson_binom

from kompress.aggregation.rules.plain import (
    Beta,
    InverseVariance,
    KOfN,
    Majority,
    RandomEffects,
    Uniform,
    between_variance,
)

ONE = np.zeros(1, int)


@pytest.mark.parametrize(
    ("votes", "mean"),
    [
        ([np.nan, np.nan, np.nan], 1 / 2),  # the prior alone
        ([0.5, 0.4, np.nan], 2 / 4),  # one keep (ties keep), one drop: (1+1)/(2+2)
        ([0.51, 0.6, 0.0], 3 / 5),  # (1 + 2) / (2 + 3)
        ([0.49, 0.0, 1.0], 2 / 5),  # (1 + 1) / (2 + 3)
    ],
)
def test_the_mean_is_laplaces_share_of_keeps(votes, mean):
    posterior = Majority().aggregate([votes], [1, 50, 1], [0])

    assert posterior.mean_N == pytest.approx([mean])


@pytest.mark.parametrize(("num_voters", "accuracy"), [(3, 0.939), (9, 0.994)])
def test_independent_voters_right_with_085_reach_condorcets_accuracy(
    num_voters, accuracy
):
    # docs/references.md: M=3 .939, M=9 .994 at rho = 0. Every pattern, exactly.
    patterns = np.array(list(product([0.0, 1.0], repeat=num_voters)))
    chance = np.where(patterns == 1, 0.85, 0.15).prod(axis=1)

    posterior = Majority().aggregate(
        patterns, np.ones(num_voters), np.zeros(len(patterns), int)
    )

    assert chance[posterior.mean_N >= 0.5].sum() == pytest.approx(accuracy, abs=5e-4)


def keep(k, p_NM):
    p_NM = np.asarray(p_NM, dtype=float)
    size, num_voters = p_NM.shape
    posterior = KOfN(k=k).aggregate(p_NM, np.ones(num_voters), np.zeros(size, int))
    return posterior.mean_N.astype(np.float16) >= 0.5


PATTERNS = np.array(list(product([0.0, 1.0], repeat=3)))


@pytest.mark.parametrize(("k", "expected"), [(1, 0.496), (2, 0.098), (3, 0.006)])
def test_independent_voters_drop_by_the_poisson_binomial_tail(k, expected):
    # p = .1 .2 .3; k=2: .1*.2*.7 + .1*.8*.3 + .9*.2*.3 + .1*.2*.3 = .098;
    # k=1: 1 - .9*.8*.7 = .496; k=3: .1*.2*.3 = .006.
    drop_M = np.array([0.1, 0.2, 0.3])
    chance = np.where(PATTERNS == 0, drop_M, 1 - drop_M).prod(axis=1)

    dropped = chance[~keep(k, PATTERNS)].sum()

    assert dropped == pytest.approx(expected)
    assert dropped == pytest.approx(poisson_binom.sf(k - 1, drop_M))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_equicorrelated_voters_drop_by_the_beta_binomial_tail(k):
    # A drop rate drawn from Beta(2, 6) correlates the voters by 1 / (2 + 6 + 1).
    drops = (PATTERNS == 0).sum(axis=1)
    chance = np.array([betabinom.pmf(d, 3, 2, 6) / comb(3, d) for d in drops])

    dropped = chance[~keep(k, PATTERNS)].sum()

    assert dropped == pytest.approx(betabinom.sf(k - 1, 3, 2, 6))


def test_three_voters_blind_on_different_strata_collapse_only_at_k_1():
    # Each voter drops another third of the words to keep: recall 2/3 each.
    blind = np.repeat(1 - np.eye(3), 4, axis=0)

    assert (blind >= 0.5).mean(axis=0) == pytest.approx([2 / 3] * 3)
    assert keep(1, blind).mean() == 0.0
    assert keep(2, blind).mean() == 1.0
    assert keep(3, blind).mean() == 1.0


def test_three_voters_sighted_on_one_stratum_each_collapse_by_majority_too():
    sighted = np.repeat(np.eye(3), 4, axis=0)

    assert keep(2, sighted).mean() == 0.0  # members' recall is 1/3
    assert keep(3, sighted).mean() == 1.0


@given(arrays(np.int64, 12, elements=st.integers(0, 4)), st.integers(1, 4))
def test_with_nested_drops_the_rule_is_exactly_the_kth_weakest_voter(depth_N, k):
    # Voter m keeps words deeper than m: voter 3 drops most and is the weakest.
    nested_NM = (depth_N[:, None] > np.arange(4)).astype(float)

    assert keep(k, nested_NM).tolist() == (nested_NM[:, 4 - k] == 1).tolist()


@given(
    arrays(np.float64, (8, 5), elements=st.floats(0, 1) | st.just(np.nan)),
    st.integers(1, 5),
)
def test_the_rule_keeps_exactly_where_fewer_than_k_drop(p_NM, k):
    drops_N = (p_NM < 0.5).sum(axis=1)

    assert keep(k, p_NM).tolist() == (drops_N < k).tolist()
    assert not (keep(k, p_NM) & ~keep(k + 1, p_NM)).any()  # nested in k


def test_the_middle_k_is_the_majority_itself():
    ones, zeros = np.ones(3), np.zeros(8, int)

    bent = KOfN(k=2).aggregate(PATTERNS, ones, zeros)
    plain = Majority().aggregate(PATTERNS, ones, zeros)

    assert bent.alpha_N == pytest.approx(plain.alpha_N)
    assert bent.beta_N == pytest.approx(plain.beta_N)


def test_the_posterior_bends_the_share_of_keeps():
    # k=1, V=5: t = 1/2. D=0: g = 1. D=1: g = 4 / (2*4.5) = 4/9. D=5: g = 0.
    p_NM = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], dtype=float)

    posterior = KOfN(k=1).aggregate(p_NM, np.ones(5), np.zeros(3, int))

    assert posterior.alpha_N == pytest.approx([6, 1 + 20 / 9, 1])
    assert posterior.beta_N == pytest.approx([1, 1 + 25 / 9, 6])


def test_fewer_votes_than_k_always_keep():
    assert keep(3, [[0.0, 0.0, np.nan]]).tolist() == [True]


def test_votes_are_averaged_whatever_their_strength():
    # .9 + .6 + 0 = 1.5 of 3 votes: Beta(1 + 1.5, 1 + 1.5); the third of 50 samples.
    posterior = Uniform().aggregate([[0.9, 0.6, 0.0, np.nan]], [1, 2, 50, 9], ONE)

    assert posterior.alpha_N == pytest.approx([2.5])
    assert posterior.beta_N == pytest.approx([2.5])
    assert posterior.weight_SM[0] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


@given(arrays(np.float64, (5, 4), elements=st.sampled_from([0.0, 1.0, np.nan])))
def test_on_hard_votes_it_is_the_majority(p_NM):
    uniform = Uniform().aggregate(p_NM, np.ones(4), np.zeros(5, int))
    majority = Majority().aggregate(p_NM, np.ones(4), np.zeros(5, int))

    assert np.array_equal(uniform.alpha_N, majority.alpha_N)
    assert np.array_equal(uniform.beta_N, majority.beta_N)


@given(arrays(np.float64, (5, 4), elements=st.floats(0, 1)))
def test_it_keeps_what_the_plain_mean_keeps(p_NM):
    mean_N = p_NM.mean(axis=1)

    posterior = Uniform().aggregate(p_NM, np.ones(4), np.zeros(5, int))

    clear_N = np.abs(mean_N - 0.5) > 1e-12
    assert np.array_equal(posterior.mean_N[clear_N] > 0.5, mean_N[clear_N] > 0.5)


@pytest.mark.parametrize(
    ("votes", "strength", "alpha", "beta"),
    [
        ([np.nan], [9], 1, 1),  # the prior alone
        ([0.5], [1], 1.5, 1.5),  # a tie adds one half to both
        ([0.8], [5], 5, 2),  # 1 + 4, 1 + 1
        ([1.0, 1.0, 0.0], [1, 1, 1], 3, 2),  # y = 2/3 2/3 1/3, Q = 4/3 < 2: counts
        ([1.0, 0.5, np.nan], [2, 2, 8], 4, 2),  # Q = .71 < 1: 1 + 2 + 1, 1 + 0 + 1
    ],
)
def test_without_disagreement_beyond_chance_it_is_the_pooled_counts(
    votes, strength, alpha, beta
):
    posterior = Beta().aggregate([votes], strength, ONE)

    assert posterior.alpha_N == pytest.approx([alpha])
    assert posterior.beta_N == pytest.approx([beta])


def test_a_flat_conflict_is_wider_than_the_counts():
    # y = 6/7 and 1/7, v = 3/196, w = 196/3, Q = 2w(5/14)^2 = 50/3, Sw - Sw2/Sw = w,
    # tau2 = (50/3 - 1)/(196/3) = 47/196 = .24 (statsmodels' combine_effects says the
    # same), d = 1 + 47/196 * 50/(10/4) = 1 + 940/196, alpha = beta = 1 + 5/d.
    alpha = 1 + 5 / (1 + 940 / 196)

    posterior = Beta().aggregate([[1.0, 0.0]], [5, 5], ONE)

    assert posterior.alpha_N == pytest.approx([alpha])
    assert posterior.beta_N == pytest.approx([alpha])
    assert posterior.sd_N[0] ** 2 >= 0.0192  # what Beta(6, 6) claims
    assert posterior.sd_N[0] ** 2 == pytest.approx(0.0529, abs=5e-5)


def test_in_a_conflict_a_voter_counts_for_about_one_draw():
    # Four voters of 50 draws, two against two: 200 draws must not look like 200.
    posterior = Beta().aggregate([[1.0, 1.0, 0.0, 0.0]], [50] * 4, ONE)

    draws = posterior.alpha_N[0] + posterior.beta_N[0] - 2
    assert 3 < draws < 6


@given(
    arrays(np.float64, (6, 4), elements=st.floats(0, 1) | st.just(np.nan)),
    arrays(np.float64, 4, elements=st.floats(0.5, 100)),
)
def test_it_is_never_surer_than_the_counts_and_keeps_what_they_keep(p_NM, strength_M):
    cast_NM = ~np.isnan(p_NM)
    keeps_N = (np.where(cast_NM, p_NM, 0) * strength_M).sum(axis=1)
    total_N = (cast_NM * strength_M).sum(axis=1)
    mean_N = (1 + keeps_N) / (2 + total_N)
    counts_variance_N = mean_N * (1 - mean_N) / (3 + total_N)

    posterior = Beta().aggregate(p_NM, strength_M, np.zeros(6, int))

    assert (posterior.sd_N**2 >= counts_variance_N * (1 - 1e-9)).all()
    side_N = np.sign(mean_N - 0.5) * np.sign(posterior.mean_N - 0.5)
    assert (side_N[np.abs(mean_N - 0.5) > 1e-9] >= 0).all()
    assert (np.abs(posterior.mean_N - 0.5) <= np.abs(mean_N - 0.5) + 1e-12).all()


def test_more_disagreement_is_wider():
    gaps = np.array([[0.5, 0.5], [0.7, 0.3], [0.9, 0.1], [1.0, 0.0]])

    posterior = Beta().aggregate(gaps, [20, 20], np.zeros(4, int))

    assert (np.diff(posterior.sd_N) > 0).all()


@given(st.floats(0, 1), st.floats(0.1, 100))
def test_one_vote_is_its_own_beta_posterior(p, strength):
    posterior = InverseVariance().aggregate([[p]], [strength], ONE)

    assert posterior.alpha_N == pytest.approx([1 + strength * p])
    assert posterior.beta_N == pytest.approx([1 + strength * (1 - p)])


def test_a_flat_conflict_reports_less_variance_than_the_counts():
    # Beta(6, 1) and Beta(1, 6): v = 6/(49*8) = 3/196 each, pooled 3/392 = .00765.
    posterior = InverseVariance().aggregate([[1.0, 0.0]], [5, 5], ONE)

    assert posterior.mean_N == pytest.approx([0.5])
    assert posterior.sd_N**2 == pytest.approx([3 / 392])


def test_two_votes_pool_by_the_inverse_of_their_variances():
    # p=1, n=1: y = 2/3, v = (2/9)/4 = 1/18, w = 18. p=1/2, n=6: y = 1/2,
    # v = (1/4)/9 = 1/36, w = 36. Mean (18*2/3 + 36/2)/54 = 30/54 = 5/9, variance 1/54.
    posterior = InverseVariance().aggregate([[1.0, 0.5]], [1, 6], ONE)

    assert posterior.mean_N == pytest.approx([5 / 9])
    assert posterior.sd_N**2 == pytest.approx([1 / 54])
    assert posterior.weight_SM[0] == pytest.approx([1 / 3, 2 / 3])


def test_a_flat_conflict_has_the_variance_of_two_voters_that_differ():
    # Beta(6, 1) and Beta(1, 6): v = 3/196, tau2 = 47/196 (test_beta): v + tau2 =
    # 50/196, so the mean of the two has variance 25/196 = .128.
    posterior = RandomEffects().aggregate([[1.0, 0.0]], [5, 5], ONE)

    assert posterior.mean_N == pytest.approx([0.5])
    assert posterior.sd_N**2 == pytest.approx([25 / 196])


def test_disagreement_evens_out_the_weights():
    # y = 2/3 (v = 1/18) and 1/13 (v = 12/169/14 = 6/1183), w = 18 and 1183/6.
    # tau2 for two votes is gap^2/2 - (v1 + v2)/2: gap = 23/39.
    v1, v2 = 1 / 18, 6 / 1183
    tau2 = (23 / 39) ** 2 / 2 - (v1 + v2) / 2
    w1, w2 = 1 / (v1 + tau2), 1 / (v2 + tau2)

    posterior = RandomEffects().aggregate([[1.0, 0.0]], [1, 11], ONE)

    assert posterior.mean_N == pytest.approx([(w1 * 2 / 3 + w2 / 13) / (w1 + w2)])
    assert posterior.sd_N**2 == pytest.approx([1 / (w1 + w2)])
    assert posterior.weight_SM[0] == pytest.approx([w1 / (w1 + w2), w2 / (w1 + w2)])


@given(st.lists(st.floats(0.45, 0.55), min_size=1, max_size=6))
def test_agreement_within_chance_is_the_fixed_effect(p_M):
    # y in [.475, .525], w = 5 / (y(1 - y)) <= 20.1: Q <= 6 * .025^2 * 20.1 = .08 < 1.
    strength = [2.0] * len(p_M)

    one = RandomEffects().aggregate([p_M], strength, ONE)
    other = InverseVariance().aggregate([p_M], strength, ONE)

    assert one.alpha_N == pytest.approx(other.alpha_N)
    assert one.beta_N == pytest.approx(other.beta_N)


def test_the_variance_between_5_0_and_0_5_is_024():
    y_MC, voted_MC = np.array([[6 / 7], [1 / 7]]), np.ones((2, 1), dtype=np.bool_)

    tau2_C = between_variance(y_MC, np.full((2, 1), 196 / 3), voted_MC)

    assert tau2_C == pytest.approx([47 / 196])
    assert between_variance(y_MC[:1], np.ones((1, 1)), voted_MC[:1]).tolist() == [0]


def test_hard_opponents_of_many_samples_are_as_wide_as_a_beta_can_be():
    posterior = RandomEffects().aggregate([[1.0, 0.0]], [1e4, 1e4], ONE)

    assert posterior.sd_N[0] == pytest.approx(0.5, abs=1e-3)
    assert posterior.sd_N[0] < 0.5
