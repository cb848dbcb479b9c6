"""Bradley-Terry: i beats j with probability σ(score_i - score_j).

N = items, E = pairs that were compared
"""

import numpy as np
from numpy.typing import ArrayLike

from kompress.pairwise.graph import Edges, read_edges
from kompress.pairwise.newton import Loss, Terms, fit_edges
from kompress.pairwise.ranking import Ranking
from kompress.types import FloatArray

# A sweep costs an eighth of a Newton step; 3 to 12 of them save what they cost.
START_SWEEPS = 6


def fit_bradley_terry(
    wins_NN: ArrayLike, ties_NN: ArrayLike | None = None, *, prior: float = 1.0
) -> Ranking:
    """Fit scores to counts of wins.

    Args:
        wins_NN: (N, N) [i, j] is the (soft) number of comparisons i won against j.
        ties_NN: (N, N) symmetric numbers of ties; each is half a win for both.
        prior: comparisons' worth of belief in a draw, put on every pair that was
            compared and on no other; 0 gives the plain maximum likelihood.

    Returns:
        Scores in log-odds, with mean 0 in every component.

    Raises:
        InvalidComparisons: the counts break their contract (`read_edges`), or the prior
            is 0 and no finite maximum exists.

    Source: Bradley & Terry 1952; Newman's iteration to begin with, Newton's method to
    end with; the prior on observed pairs: ours.
    """
    edges = read_edges(wins_NN, ties_NN, prior=prior)
    share_E = 0.5 * (edges.ties_E + prior)
    wins_E, losses_E = edges.wins_E + share_E, edges.losses_E + share_E
    start_N = iterate_newman(edges, wins_E, losses_E, num_iterations=START_SWEEPS)
    return fit_edges(edges, logistic_loss(wins_E, losses_E), start_P=start_N)


def iterate_newman(
    edges: Edges, wins_E: FloatArray, losses_E: FloatArray, *, num_iterations: int
) -> FloatArray:
    """Sweep p_i ← Σ_j w_ij p_j/(p_i+p_j) / Σ_j w_ji/(p_i+p_j) from p = 1.

    All items move at once, which is fast in numpy. Where the graph has two sides, as an
    even cycle has, they then go back and forth for ever; the geometric mean of the last
    two sweeps is near the middle. Elsewhere it comes to the maximum likelihood.

    Args:
        edges: who was compared with whom; its own counts are not read.
        wins_E: (E,) wins of each pair's first item; every item has to win and to lose.
        losses_E: (E,) wins of its second item.
        num_iterations: sweeps, at least 1.

    Returns:
        (N,) log p, of mean 0; 0 for an item without comparisons.

    Source: Newman 2023, "Efficient computation of rankings from pairwise comparisons"
    (JMLR 24).
    """
    size, first_E, second_E = edges.num_items, edges.first_E, edges.second_E
    p_N = before_N = np.ones(size)
    seen_N = (
        np.bincount(first_E, minlength=size) + np.bincount(second_E, None, size) > 0
    )
    for _ in range(num_iterations):
        first_p_E, second_p_E = p_N[first_E], p_N[second_E]
        whole_E = first_p_E + second_p_E
        win_E, loss_E = wins_E / whole_E, losses_E / whole_E
        above_N = np.bincount(first_E, win_E * second_p_E, size)
        above_N += np.bincount(second_E, loss_E * first_p_E, size)
        below_N = np.bincount(first_E, loss_E, size)
        below_N += np.bincount(second_E, win_E, size)
        before_N = p_N
        p_N = np.divide(above_N, below_N, out=np.ones(size), where=seen_N)
    score_N = 0.5 * np.log(p_N * before_N)
    return np.where(seen_N, score_N - score_N[seen_N].mean(), 0.0)


def logistic_loss(wins_E: FloatArray, losses_E: FloatArray) -> Loss:
    """Give -log-likelihood under P(first wins) = σ(η), and its derivatives.

    Args:
        wins_E: (E,) wins of the first.
        losses_E: (E,) wins of the second.

    Source: Bradley & Terry 1952.
    """
    total_E = wins_E + losses_E

    def loss(eta_E: FloatArray, _: float) -> Terms:
        small_E = np.exp(-np.abs(eta_E))
        p_E = np.where(eta_E < 0, small_E, 1.0) / (1 + small_E)
        expected_E = total_E * p_E
        # log(1 + exp(η)) = max(η, 0) + log(1 + exp(-|η|)).
        softplus_E = np.maximum(eta_E, 0.0) + np.log1p(small_E)
        value = float(total_E @ softplus_E - wins_E @ eta_E)
        return Terms(value, expected_E - wins_E, expected_E * (1 - p_E))

    return loss
