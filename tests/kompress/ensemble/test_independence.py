"""Effective voters: closed forms, copies, matrices that are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.ensemble.independence import effective_voters, mean_correlation
from kompress.errors import InvalidVotes


def equicorrelated(num_voters, rho):
    return (1 - rho) * np.eye(num_voters) + rho * np.ones((num_voters, num_voters))


@pytest.mark.parametrize("num_voters", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("rho", [0.0, 0.1, 0.2, 0.5, 0.9])
def test_equicorrelated_voters_are_worth_the_closed_form(num_voters, rho):
    found = effective_voters(equicorrelated(num_voters, rho))

    assert found == pytest.approx(num_voters / (1 + (num_voters - 1) * rho), abs=1e-9)


def test_uneven_correlations_are_worth_what_the_inverse_says():
    rho = np.array([[1, 0.5, 0.1], [0.5, 1, 0.2], [0.1, 0.2, 1]])

    # All rows of the inverse have a sum above 0: nobody is weighed below 0.
    inverse = np.linalg.inv(rho)
    assert inverse.sum(axis=0).min() > 0
    assert effective_voters(rho) == pytest.approx(inverse.sum(), abs=1e-12)


def test_a_copy_adds_nobody():
    # Voters 1 and 2 are one; beside an independent third they are two.
    rho = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])

    assert effective_voters(rho) == pytest.approx(2, abs=1e-5)
    assert effective_voters(np.ones((4, 4))) == pytest.approx(1, abs=1e-5)


def test_noise_between_near_copies_is_no_new_voter():
    # No correlation matrix: copies differ in what they share with the third. 1'R⁻¹1
    # of its repair would weigh one copy against the other and claim all three.
    rho = np.array([[1, 0.98, 0.5], [0.98, 1, 0.3], [0.5, 0.3, 1]])
    assert np.linalg.eigvalsh(rho).min() < 0

    # Two voters at .3 to .5 are worth 1.33 to 1.54, the copy next to nothing.
    assert 1.3 < effective_voters(rho) < 1.6


def test_what_gold_does_not_identify_counts_as_the_others():
    rho = equicorrelated(4, 0.3)
    rho[0, 1] = rho[1, 0] = np.nan

    assert mean_correlation(rho) == pytest.approx(0.3)
    assert effective_voters(rho) == pytest.approx(4 / 1.9)


def test_no_identified_pair_has_no_worth():
    nothing = np.where(np.eye(3) > 0, 1.0, np.nan)

    assert np.isnan(effective_voters(nothing))
    assert mean_correlation(nothing) is None
    assert mean_correlation([[1.0]]) is None


@given(st.integers(0, 2**32), st.integers(1, 7))
def test_a_panel_is_worth_one_voter_to_all(seed, num_voters):
    rng = np.random.default_rng(seed)
    rho = np.tril(rng.uniform(-1, 1, (num_voters, num_voters)), -1)
    rho = rho + rho.T + np.eye(num_voters)

    worth = effective_voters(rho)

    assert 1 <= worth <= num_voters
    order = rng.permutation(num_voters)
    assert effective_voters(rho[np.ix_(order, order)]) == pytest.approx(worth, rel=1e-3)


def test_what_is_no_correlation_is_refused():
    with pytest.raises(InvalidVotes, match="symmetric"):
        effective_voters([[1.0, 0.2], [0.3, 1.0]])
    with pytest.raises(InvalidVotes, match="symmetric"):
        mean_correlation([[1.0, 0.2]])
