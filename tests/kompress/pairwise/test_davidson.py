"""Davidson's ties: hand work, Bradley-Terry as a special case, scipy's optimiser."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from kompress.errors import InvalidComparisons
from kompress.pairwise import fit_bradley_terry, fit_davidson
from kompress.pairwise.davidson import davidson_loss

WINS = np.array([[0, 6, 2, 1], [3, 0, 4, 1], [1, 2, 0, 0], [1, 0, 5, 0]])
TIES = np.array([[0, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2], [0, 1, 2, 0]])


def likelihood(parameters, wins, ties):
    pi, nu = np.exp(parameters[:-1]), np.exp(parameters[-1])
    total = 0.0
    for i in range(len(wins)):
        for j in range(i + 1, len(wins)):
            even = nu * np.sqrt(pi[i] * pi[j])
            whole = pi[i] + pi[j] + even
            total += wins[i, j] * np.log(pi[i] / whole)
            total += wins[j, i] * np.log(pi[j] / whole)
            total += ties[i, j] * np.log(even / whole)
    return total


def test_two_items_are_fitted_exactly():
    # P(win) : P(loss) : P(tie) = 9 : 4 : 12 gives Δ = log(9/4), ν = 12/√36 = 2.
    ranking = fit_davidson([[0, 9], [4, 0]], [[0, 12], [12, 0]], prior=0)

    assert ranking.score_N == pytest.approx([np.log(1.5), -np.log(1.5)])
    assert ranking.tie == pytest.approx(2)
    # Multinomial shares: Var log(a/b) = 1/a + 1/b; half of Δ is a score.
    expected = np.sqrt(1 / 9 + 1 / 4) / 2
    assert ranking.se_N == pytest.approx(np.full(2, expected), rel=1e-4)


def test_it_agrees_with_scipys_optimiser():
    ranking = fit_davidson(WINS, TIES, prior=0)

    start = np.zeros(5)
    expected = minimize(lambda x: -likelihood(x, WINS, TIES), start, method="BFGS").x
    assert ranking.score_N == pytest.approx(
        expected[:4] - expected[:4].mean(), abs=1e-4
    )
    assert ranking.tie == pytest.approx(np.exp(expected[4]), abs=1e-4)
    assert ranking.converged


@pytest.mark.parametrize("prior", [0, 0.5])
@pytest.mark.parametrize("ties", [None, np.zeros((4, 4))])
def test_without_ties_it_is_bradley_terry(prior, ties):
    ranking = fit_davidson(WINS, ties, prior=prior)

    expected = fit_bradley_terry(WINS, prior=prior)
    assert ranking.score_N == pytest.approx(expected.score_N)
    assert ranking.se_N == pytest.approx(expected.se_N)
    assert ranking.tie == 0


def test_the_prior_is_half_a_win_for_both_sides_of_what_was_compared():
    prior = 0.8 * ((WINS + WINS.T + TIES) > 0)

    found = fit_davidson(WINS, TIES, prior=0.8)

    expected = fit_davidson(WINS + prior / 2, TIES, prior=0)
    assert found.score_N == pytest.approx(expected.score_N)
    assert found.tie == pytest.approx(expected.tie)


@settings(max_examples=20)
@given(
    arrays(np.float64, (2, 5, 5), elements=st.floats(0, 4)), st.permutations(range(5))
)
def test_relabelling_items_permutes_their_scores(counts, order):
    wins = counts[0] * (1 - np.eye(5)) + np.roll(np.eye(5), 1, axis=1)
    ties = (counts[1] + counts[1].T) * (1 - np.eye(5)) + 0.1 * (wins + wins.T > 0)
    swap = np.ix_(order, order)

    whole, found = fit_davidson(wins, ties), fit_davidson(wins[swap], ties[swap])

    assert whole.converged
    assert found.score_N == pytest.approx(whole.score_N[order], abs=1e-7)
    assert found.tie == pytest.approx(whole.tie)


def test_ties_alone_need_a_prior():
    ties = [[0, 3], [3, 0]]

    # Half a win for both sides and 3 ties: ν = 3 / √(1/2 · 1/2).
    assert fit_davidson(np.zeros((2, 2)), ties, prior=1).tie == pytest.approx(6)
    with pytest.raises(InvalidComparisons, match="3 ties and no win"):
        fit_davidson(np.zeros((2, 2)), ties, prior=0)


def test_derivatives_are_those_of_the_value():
    loss = davidson_loss(
        np.array([0.3, 2, 0, 1]), np.array([0.7, 0, 3, 1]), np.array([0, 1.5, 2, 0.1])
    )
    eta, log_tie, step = np.array([-1.5, -0.2, 0.4, 3.0]), 0.6, 1e-5

    terms = loss(eta, log_tie)

    for place in range(4):
        move = step * np.eye(4)[place]
        up, down = loss(eta + move, log_tie), loss(eta - move, log_tie)
        slope = (up.value - down.value) / (2 * step)
        bend = (up.eta_E - down.eta_E)[place] / (2 * step)
        assert terms.eta_E[place] == pytest.approx(slope, abs=1e-8)
        assert terms.eta2_E[place] == pytest.approx(bend, abs=1e-8)
    up, down = loss(eta, log_tie + step), loss(eta, log_tie - step)
    assert terms.tie == pytest.approx((up.value - down.value) / (2 * step), abs=1e-8)
    assert terms.tie2 == pytest.approx((up.tie - down.tie) / (2 * step), abs=1e-8)
    mixed = (up.eta_E - down.eta_E) / (2 * step)
    assert terms.eta_tie_E == pytest.approx(mixed, abs=1e-8)


def test_the_loss_does_not_overflow_far_out():
    one, none = np.ones(1), np.zeros(1)

    terms = davidson_loss(one, none, none)(np.array([-3000.0]), 0.0)

    assert terms.value == pytest.approx(3000)
    assert terms.eta_E == pytest.approx([-1])
