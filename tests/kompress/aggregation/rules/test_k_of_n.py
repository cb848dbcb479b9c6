"""k-of-N drop voting against its closed forms, and the paradox."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import betabinom, poisson_binom

from kompress.aggregation.rules.k_of_n import KOfN
from kompress.aggregation.rules.majority import Majority


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
