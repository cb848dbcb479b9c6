import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidSelection
from kompress.selection.estimate import hajek_ratio
from kompress.selection.probabilities import inclusion_probabilities
from kompress.selection.sampling import systematic_sample


def test_the_ratio_and_its_error_are_those_worked_by_hand():
    # Σk/π = 1/.5 + 2 = 4, Σt/π = 2/.5 + 2 = 6, R = 2/3. Only the first document is
    # uncertain: (1 - 4/3) / .5 = -2/3, se² = 2/1 * .5 * 4/9 / 36 = 1/81.
    estimate = hajek_ratio(np.array([1, 2]), np.array([2, 2]), np.array([0.5, 1.0]))

    assert estimate.value == pytest.approx(2 / 3)
    assert estimate.se == pytest.approx(1 / 9)


def test_a_census_has_no_error():
    estimate = hajek_ratio(np.array([1, 3]), np.array([4, 4]), np.ones(2))

    assert (estimate.value, estimate.se) == (0.5, 0.0)


def test_one_document_gives_a_ratio_without_an_error():
    estimate = hajek_ratio(np.array([1]), np.array([4]), np.array([0.5]))

    assert (estimate.value, estimate.se) == (0.25, None)


@pytest.mark.parametrize("size", [0, 3])
def test_nothing_to_keep_gives_no_ratio(size):
    estimate = hajek_ratio(np.zeros(size), np.zeros(size), np.ones(size))

    assert (estimate.value, estimate.se) == (None, None)


def test_a_probability_of_zero_is_refused():
    with pytest.raises(InvalidSelection, match=r"\(0, 1\]"):
        hajek_ratio(np.ones(2), np.ones(2), np.array([0.0, 1.0]))


def test_lengths_that_differ_are_refused():
    with pytest.raises(InvalidSelection, match="one number each"):
        hajek_ratio(np.ones(2), np.ones(3), np.ones(2))


@given(st.lists(st.integers(1, 50), min_size=2, max_size=30), st.floats(0.1, 1))
def test_equal_probabilities_leave_the_plain_ratio(totals, pi):
    total_n = np.array(totals)
    kept_n = total_n // 2

    estimate = hajek_ratio(kept_n, total_n, np.full(len(totals), pi))

    assert estimate.value == pytest.approx(kept_n.sum() / total_n.sum())


@pytest.mark.slow
def test_ninety_five_per_cent_intervals_cover_the_truth_that_often():
    rng = np.random.default_rng(0)
    total_N = rng.integers(5, 60, size=600)
    quality_N = rng.beta(4, 2, size=600)
    kept_N = rng.binomial(total_N, quality_N)
    truth = kept_N.sum() / total_N.sum()
    # Documents that are kept badly are chosen more often: the naive ratio is biased.
    pi_N = inclusion_probabilities(1 - quality_N, 90, uniform_share=0.2, gamma=1.0)

    covered, naive, values = 0, [], []
    for _ in range(1_000):
        n = systematic_sample(pi_N, rng)
        estimate = hajek_ratio(kept_N[n], total_N[n], pi_N[n])
        covered += abs(estimate.value - truth) <= 1.96 * estimate.se
        values.append(estimate.value)
        naive.append(kept_N[n].sum() / total_N[n].sum())

    # The sd of the coverage is sqrt(.95 * .05 / 1000) = .007.
    assert 0.92 <= covered / 1_000 <= 0.98
    assert np.mean(values) == pytest.approx(truth, abs=0.005)
    assert np.mean(naive) < truth - 0.03
