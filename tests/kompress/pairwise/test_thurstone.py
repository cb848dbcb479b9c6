"""Thurstone against scipy's optimiser, choix's scale and hand work."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import erf
from scipy.stats import norm

from kompress.errors import InvalidComparisons
from kompress.pairwise import fit_thurstone
from kompress.pairwise.graph import hamiltonian_pairs
from kompress.pairwise.thurstone import probit_loss


def soft_counts(seed, num_items):
    rng = np.random.default_rng(seed)
    score, wins = rng.normal(size=num_items), np.zeros((num_items, num_items))
    for i, j in hamiltonian_pairs(num_items, 3, rng):
        wins[i, j] = norm.cdf(np.sqrt(2) * (score[i] - score[j]) + rng.normal())
        wins[j, i] = 1 - wins[i, j]
    return wins


def test_it_agrees_with_scipys_lbfgs_on_soft_outcomes_with_a_gaussian_prior():
    wins = soft_counts(0, 20)

    def objective(score):
        gap = score[:, None] - score
        log_p = norm.logcdf(np.sqrt(2) * gap)
        return -(wins * log_p).sum() + 0.5 * 0.7 * (score**2).sum()

    found = fit_thurstone(wins, prior=0.7)

    options = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000}
    expected = minimize(objective, np.zeros(20), method="L-BFGS-B", options=options)
    assert found.score_N == pytest.approx(expected.x, abs=1e-4)
    assert objective(found.score_N) <= expected.fun + 1e-10


def test_two_items_differ_by_the_inverse_of_zelos_link():
    # P = Φ(√2 Δ) = (1 + erf Δ)/2; 3 of 4 wins: Δ = Φ⁻¹(.75)/√2 = .476936.
    ranking = fit_thurstone([[0, 3], [1, 0]], prior=0)

    gap = ranking.score_N[0] - ranking.score_N[1]
    assert gap == pytest.approx(0.476936, abs=1e-6)
    assert (1 + erf(gap)) / 2 == pytest.approx(0.75)
    # choix's scale, P = Φ(Δ): √2 times.
    assert norm.cdf(np.sqrt(2) * gap) == pytest.approx(0.75)


def test_two_items_have_the_standard_error_of_the_inverse_link():
    # Var p = p(1-p)/n, dΔ/dp = 1/(√2 φ(x)), and a centred score is half of Δ.
    ranking = fit_thurstone([[0, 3], [1, 0]], prior=0)

    error = np.sqrt(0.75 * 0.25 / 4) / (np.sqrt(2) * norm.pdf(norm.ppf(0.75)))
    assert ranking.se_N == pytest.approx(np.full(2, error / 2), rel=1e-4)


def test_the_prior_is_in_the_errors_but_for_the_mean():
    # Two items, x = √2 Δ = 0: information of Δ is 2 · 4φ(0)² a comparison.
    ranking = fit_thurstone([[0, 5], [5, 0]], prior=3)

    # A score is Δ/2; in it the pair's Hessian is 4 · 10 · 8φ(0)² / 2 ... by matrix:
    information = 10 * 8 * norm.pdf(0) ** 2
    hessian = information * np.array([[1, -1], [-1, 1]]) + 3 * np.eye(2)
    centre = np.eye(2) - 0.5
    expected = np.sqrt((centre @ np.linalg.inv(hessian) @ centre).diagonal())
    assert ranking.score_N == pytest.approx([0, 0], abs=1e-12)
    assert ranking.se_N == pytest.approx(expected)


@settings(max_examples=20)
@given(
    arrays(np.float64, (5, 5), elements=st.floats(0, 4)).map(
        lambda counts: counts * (1 - np.eye(5)) + np.roll(np.eye(5), 1, axis=1)
    ),
    st.permutations(range(5)),
)
def test_relabelling_items_permutes_their_scores(wins, order):
    whole = fit_thurstone(wins)

    found = fit_thurstone(wins[np.ix_(order, order)])

    assert found.score_N == pytest.approx(whole.score_N[order], abs=1e-7)
    assert whole.score_N.sum() == pytest.approx(0, abs=1e-8)


def test_a_tie_is_half_a_win_for_both():
    wins = soft_counts(1, 8)
    ties = 2.0 * (wins > 0)

    found = fit_thurstone(wins, ties).score_N

    assert found == pytest.approx(fit_thurstone(wins + ties / 2).score_N)


def test_an_item_that_never_wins_needs_the_prior():
    wins = [[0, 4], [0, 0]]

    assert fit_thurstone(wins, prior=0.01).converged
    with pytest.raises(InvalidComparisons, match="pass prior > 0"):
        fit_thurstone(wins, prior=0)


def test_derivatives_are_those_of_the_value():
    loss = probit_loss(np.array([0.3, 2, 0, 1, 5]), np.array([0.7, 0, 3, 1, 1]))
    eta, step = np.array([-1.5, -0.2, 0.0, 0.4, 2.0]), 1e-5

    terms = loss(eta, 0.0)

    for place in range(5):
        move = step * np.eye(5)[place]
        up, down = loss(eta + move, 0.0), loss(eta - move, 0.0)
        slope = (up.value - down.value) / (2 * step)
        bend = (up.eta_E - down.eta_E)[place] / (2 * step)
        assert terms.eta_E[place] == pytest.approx(slope, abs=1e-8)
        assert terms.eta2_E[place] == pytest.approx(bend, abs=1e-8)


def test_the_loss_does_not_overflow_far_out():
    terms = probit_loss(np.ones(2), np.zeros(2))(np.array([-50.0, 50.0]), 0.0)

    # -log Φ(-x) ~ x²/2 + log(x √(2π)) with x = 50√2.
    tail = 2500 + np.log(50 * np.sqrt(2) * np.sqrt(2 * np.pi))
    assert terms.value == pytest.approx(tail, rel=1e-6)
    assert terms.eta_E == pytest.approx([-100, 0], rel=1e-3)
    assert terms.eta2_E == pytest.approx([2, 0], rel=1e-3)
