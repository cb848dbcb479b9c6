import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.ensemble.paradox import (
    k_of_n_recall_bounds,
    k_of_n_recall_equicorrelated,
    k_of_n_recall_independent,
    nested_recall,
    spread_recalls,
    sweep,
)
from kompress.errors import InvalidConfig, InvalidVotes

recalls = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@pytest.mark.parametrize(("k", "recall"), [(1, 0.2), (2, 0.5), (3, 0.9)])
def test_nested_drops_make_the_ensemble_its_k_th_weakest_voter(k, recall):
    assert nested_recall([0.9, 0.2, 0.5], k) == recall


def test_independent_drops_are_a_poisson_binomial_tail():
    # P(at least 2 of .1, .2, .3) = .1·.2·.7 + .1·.8·.3 + .9·.2·.3 + .1·.2·.3
    #                             = .014 + .024 + .054 + .006 = .098
    assert k_of_n_recall_independent([0.9, 0.8, 0.7], 2) == pytest.approx(1 - 0.098)
    # One drop is enough: .9 · .8 · .7 survive; all must agree: 1 - .006.
    assert k_of_n_recall_independent([0.9, 0.8, 0.7], 1) == pytest.approx(0.504)
    assert k_of_n_recall_independent([0.9, 0.8, 0.7], 3) == pytest.approx(0.994)


@pytest.mark.parametrize(
    ("num_voters", "correlation", "accuracy"),
    # docs/references.md, majority of equicorrelated voters at p = .85
    [(3, 0, 0.939), (3, 0.2, 0.898), (3, 0.4, 0.873),
     (9, 0, 0.994), (9, 0.2, 0.931), (9, 0.4, 0.887)],
)  # fmt: skip
def test_correlated_drops_are_beta_binomial(num_voters, correlation, accuracy):
    k = (num_voters + 1) // 2

    found = k_of_n_recall_equicorrelated(0.85, num_voters, k, correlation)

    assert found == pytest.approx(accuracy, abs=5e-4)


def test_copies_are_one_voter_whatever_k():
    found = {k_of_n_recall_equicorrelated(0.85, 5, k, 1.0) for k in range(1, 6)}

    assert found == {0.85}


def test_no_correlation_is_independence():
    for k in range(1, 5):
        equal = k_of_n_recall_equicorrelated(0.7, 4, k, 0.0)
        assert equal == pytest.approx(k_of_n_recall_independent([0.7] * 4, k))


def test_blind_voters_collapse_at_one_drop_and_sighted_ones_at_a_majority_too():
    blind = 1 - np.eye(3)  # each voter keeps nothing of another stratum
    sighted = np.eye(3)

    def ensemble(recall_SM, k):
        return np.mean([nested_recall(recall_M, k) for recall_M in recall_SM])

    # Members of the first keep .67, of the second .33.
    assert [ensemble(blind, k) for k in (1, 2, 3)] == [0, 1, 1]
    assert [ensemble(sighted, k) for k in (1, 2, 3)] == [0, 0, 1]


def test_any_voter_keeps_is_never_below_the_best_voter():
    low, high = k_of_n_recall_bounds([0.873, 0.5, 0.34], 3)

    assert low == 0.873
    assert high == 1.0  # .873 + .5 > 1: drops need never meet


def test_bounds_are_those_of_the_worst_and_best_dependence():
    # Two voters of .6 and k = 1: kept by both, between .6 + .6 - 1 and .6.
    assert k_of_n_recall_bounds([0.6, 0.6], 1) == pytest.approx((0.2, 0.6))
    # Three of .9, k = 2: .3 of drops meet in pairs at most on .15 of the words.
    assert k_of_n_recall_bounds([0.9] * 3, 2) == pytest.approx((0.85, 1.0))
    # .5, .5, 0, k = 2: the third always drops, so both others must keep.
    assert k_of_n_recall_bounds([0.5, 0.5, 0.0], 2) == pytest.approx((0.0, 0.5))


@given(recalls)
@settings(max_examples=60, deadline=None)
def test_every_dependence_lies_within_the_bounds_and_k_only_raises_recall(kept_M):
    found = []
    for k in range(1, len(kept_M) + 1):
        low, high = k_of_n_recall_bounds(kept_M, k)
        both = nested_recall(kept_M, k), k_of_n_recall_independent(kept_M, k)
        assert all(low - 1e-9 <= recall <= high + 1e-9 for recall in both)
        found.append(both)

    for before, after in itertools.pairwise(found):
        assert after[0] >= before[0]
        assert after[1] >= before[1] - 1e-9
    assert min(found[-1]) >= max(kept_M) - 1e-9


def test_more_voters_at_a_fixed_k_never_keep_more():
    rows = sweep(2, max_voters=25, recall=0.85, correlation=0.2)

    assert [row.num_voters for row in rows] == list(range(2, 26))
    for name in ("nested", "independent", "equal_independent", "equal_correlated"):
        values = [getattr(row, name) for row in rows]
        assert values == sorted(values, reverse=True), name
    first, last = rows[0], rows[-1]
    # Both of two must drop: nested the best voter; independent 1 - .7 · .1.
    assert (first.nested, first.best, first.weakest) == (0.9, 0.9, 0.3)
    assert first.independent == pytest.approx(0.93)
    assert last.nested == pytest.approx(0.325)  # .3 + .6/24
    # Nobody drops, or exactly one does: Π r · (1 + Σ (1 - r)/r).
    spread_M = np.linspace(0.3, 0.9, 25)
    by_hand = spread_M.prod() * (1 + ((1 - spread_M) / spread_M).sum())
    assert last.independent == pytest.approx(by_hand)
    assert last.independent < 1e-4
    # .85^25 + 25 · .15 · .85^24: one drop at most.
    assert last.equal_independent == pytest.approx(0.0931, abs=1e-4)
    # Correlation slows the fall: what one misses the others miss too.
    assert last.equal_correlated > 4 * last.equal_independent


def test_a_sweep_beyond_its_end_is_empty():
    assert sweep(9, max_voters=8) == []


def test_one_voter_is_the_lowest_floor():
    assert spread_recalls(1).tolist() == [0.3]
    assert spread_recalls(3).tolist() == pytest.approx([0.3, 0.6, 0.9])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nested_recall([0.5], 2), InvalidConfig, "k is 2 for 1 voters"),
        (lambda: nested_recall([0.5], 0), InvalidConfig, "k is 0"),
        (lambda: nested_recall([], 1), InvalidConfig, "0 voters"),
        (lambda: k_of_n_recall_independent([1.2], 1), InvalidVotes, "1.2"),
        (lambda: k_of_n_recall_bounds([np.nan], 1), InvalidVotes, "nan"),
        (
            lambda: k_of_n_recall_equicorrelated(0.5, 3, 1, -0.1),
            InvalidConfig,
            "correlation is -0.1",
        ),
        (lambda: sweep(0), InvalidConfig, "k is 0"),
        (lambda: spread_recalls(0), InvalidConfig, "0 voters"),
    ],
)
def test_what_cannot_be_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
