"""Bradley-Terry against published figures, another implementation and hand work."""

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.errors import InvalidComparisons
from kompress.pairwise import fit_bradley_terry
from kompress.pairwise.bradley_terry import iterate_newman, logistic_loss
from kompress.pairwise.graph import hamiltonian_pairs, read_edges

# 22 games of four players: Wikipedia's worked example, and arena-rank's own test.
GAMES = np.array([[0, 2, 0, 1], [3, 0, 5, 0], [0, 3, 0, 1], [4, 0, 3, 0]])

COUNTS = arrays(np.float64, (5, 5), elements=st.integers(0, 6)).map(
    lambda counts: counts * (1 - np.eye(5)) + np.roll(np.eye(5), 1, axis=1)
)


def test_it_gives_the_published_strengths_of_22_games():
    ranking = fit_bradley_terry(GAMES, prior=0)

    assert np.exp(ranking.score_N) == pytest.approx(
        [0.640, 1.043, 0.660, 2.270], abs=5e-4
    )
    assert ranking.converged


def test_it_gives_the_maximum_likelihood_of_choixs_test_case():
    # 0 beats 1 twice, 1 beats 2, 2 beats 0. Let t = e^score of item 0: by symmetry the
    # scores are (x, -x, 0) and 2 t²/(1+t²) + t/(1+t) = 2, so t³ = t + 2.
    wins = [[0, 2, 0], [0, 0, 1], [1, 0, 0]]

    ranking = fit_bradley_terry(wins, prior=0)

    assert ranking.score_N == pytest.approx([0.419617624, -0.419617624, 0], abs=1e-8)


def test_it_agrees_with_choix_on_a_sparse_graph():
    rng = np.random.default_rng(5)
    score = rng.normal(size=40)
    wins, games = np.zeros((40, 40)), []
    for i, j in hamiltonian_pairs(40, 3, rng):
        won = rng.binomial(8, 1 / (1 + np.exp(score[j] - score[i])))
        wins[i, j], wins[j, i] = won, 8 - won
        games += [(i, j)] * won + [(j, i)] * (8 - won)

    found = fit_bradley_terry(wins, prior=0).score_N

    expected = choix.ilsr_pairwise(40, games, tol=1e-10)
    assert np.abs(found - (expected - expected.mean())).max() < 1e-6


def test_newmans_iteration_alone_comes_to_the_same_place():
    wins = GAMES + np.array([[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    edges = read_edges(wins, prior=0)

    found = iterate_newman(edges, edges.wins_E, edges.losses_E, num_iterations=100)

    assert found == pytest.approx(fit_bradley_terry(wins, prior=0).score_N, abs=1e-9)


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "prior", "gap", "variance"),
    [
        (3, 1, 0, 0, np.log(3), 1 / 3 + 1),
        (2, 0, 2, 0, np.log(3), 1 / 3 + 1),  # a tie is half a win for both
        (3, 0, 0, 1, np.log(7), 1 / 3.5 + 1 / 0.5),  # the prior: half a win for both
        (0.3, 0.7, 0, 0, np.log(3 / 7), 1 / 0.3 + 1 / 0.7),
    ],
)
def test_two_items_differ_by_the_log_odds(wins, losses, ties, prior, gap, variance):
    # The log-odds have variance 1/a + 1/b; a centred score is half of them.
    ranking = fit_bradley_terry(
        [[0, wins], [losses, 0]], [[0, ties], [ties, 0]], prior=prior
    )

    assert ranking.score_N == pytest.approx([gap / 2, -gap / 2])
    assert ranking.se_N == pytest.approx(np.full(2, np.sqrt(variance) / 2), rel=1e-4)


def test_standard_errors_are_those_of_the_pseudo_inverse():
    ranking = fit_bradley_terry(GAMES, prior=0)

    gap = ranking.score_N[:, None] - ranking.score_N
    p = 1 / (1 + np.exp(-gap))
    weight = (GAMES + GAMES.T) * p * (1 - p)
    laplacian = np.diag(weight.sum(axis=0)) - weight
    expected = np.sqrt(np.linalg.pinv(laplacian).diagonal())
    assert ranking.se_N == pytest.approx(expected, rel=1e-4)


@settings(max_examples=30)
@given(COUNTS, st.permutations(range(5)))
def test_relabelling_items_permutes_their_scores(wins, order):
    whole = fit_bradley_terry(wins)

    found = fit_bradley_terry(wins[np.ix_(order, order)])

    assert found.score_N == pytest.approx(whole.score_N[order], abs=1e-7)
    assert found.se_N == pytest.approx(whole.se_N[order], rel=1e-4)


@settings(max_examples=30)
@given(COUNTS, st.floats(0.1, 50))
def test_counts_times_k_keep_the_maximum_and_shrink_errors_by_root_k(wins, k):
    # COUNTS holds the cycle 0 > 1 > … > 0, so the maximum exists.
    one, many = fit_bradley_terry(wins, prior=0), fit_bradley_terry(k * wins, prior=0)

    assert many.score_N == pytest.approx(one.score_N, abs=1e-7)
    assert many.se_N * np.sqrt(k) == pytest.approx(one.se_N, rel=1e-4)


@settings(max_examples=30)
@given(COUNTS, st.floats(0.1, 50))
def test_ties_of_a_pair_never_draw_it_apart(wins, number):
    # They add to the loss a function of the pair's gap that is least at 0.
    ties = np.zeros((5, 5))
    ties[0, 3] = ties[3, 0] = number

    before, after = fit_bradley_terry(wins), fit_bradley_terry(wins, ties)

    gap = abs(before.score_N[0] - before.score_N[3])
    assert abs(after.score_N[0] - after.score_N[3]) <= gap + 1e-7


def test_turning_all_outcomes_round_turns_the_scores_round():
    one, other = fit_bradley_terry(GAMES), fit_bradley_terry(GAMES.T)

    assert one.score_N == pytest.approx(-other.score_N)


def test_with_a_prior_an_item_that_never_wins_is_finite_and_last():
    wins = np.array([[0, 3, 5], [2, 0, 4], [0, 0, 0]])

    ranking = fit_bradley_terry(wins, prior=0.1)

    assert np.isfinite(ranking.score_N).all()
    assert ranking.score_N.argmin() == 2
    with pytest.raises(InvalidComparisons, match="pass prior > 0"):
        fit_bradley_terry(wins, prior=0)


def test_components_are_fitted_as_if_the_others_were_not_there():
    wins = np.zeros((7, 7))
    wins[:4, :4] = GAMES
    wins[5, 6], wins[6, 5] = 3, 1

    ranking = fit_bradley_terry(wins, prior=0)

    alone = fit_bradley_terry(GAMES, prior=0)
    assert ranking.score_N[:4] == pytest.approx(alone.score_N, abs=1e-8)
    assert ranking.se_N[:4] == pytest.approx(alone.se_N, rel=1e-4)
    assert ranking.score_N[4:] == pytest.approx([0, np.log(3) / 2, -np.log(3) / 2])
    assert ranking.se_N[4] == np.inf
    assert ranking.component_N.tolist() == [0, 0, 0, 0, 1, 2, 2]


@pytest.mark.parametrize("prior", [1e-6, 1e-3])
def test_a_tiny_prior_on_a_long_chain_of_walkovers_still_converges(prior):
    wins = np.diag(np.full(30, 1.0), 1)

    ranking = fit_bradley_terry(wins, prior=prior)

    # Each gap is a pair by itself: log((1 + prior/2) / (prior/2)).
    assert ranking.converged
    assert -np.diff(ranking.score_N) == pytest.approx(
        np.full(30, np.log(2 / prior + 1)), rel=1e-4
    )


def test_the_loss_does_not_overflow_far_out():
    terms = logistic_loss(np.ones(2), np.zeros(2))(np.array([-800.0, 800.0]), 0.0)

    assert terms.value == pytest.approx(800)
    assert terms.eta_E == pytest.approx([-1, 0])
