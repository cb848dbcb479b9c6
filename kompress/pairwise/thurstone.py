"""Thurstone: i beats j with probability Φ(√2 (score_i - score_j)).

N = items, E = pairs that were compared
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from kompress.pairwise.graph import read_edges
from kompress.pairwise.newton import Loss, Terms, fit_edges
from kompress.pairwise.ranking import Ranking
from kompress.types import FloatArray

_ROOT_2 = np.sqrt(2.0)
_LOG_ROOT_2_PI = 0.5 * np.log(2 * np.pi)


def fit_thurstone(
    wins_NN: ArrayLike, ties_NN: ArrayLike | None = None, *, prior: float = 1.0
) -> Ranking:
    """Fit scores to (soft) counts of wins, with a Gaussian prior.

    The scale is zELO's, P = Φ(√2 Δ) = (1 + erf Δ) / 2. choix has P = Φ(Δ): its scores
    are √2 times these, and so are their standard errors.

    Args:
        wins_NN: (N, N) [i, j] is the (soft) number of comparisons i won against j.
        ties_NN: (N, N) symmetric numbers of ties; each is half a win for both.
        prior: precision of the Gaussian around 0 on every compared item's score; 0
            gives the plain maximum likelihood.

    Returns:
        Scores with mean 0 in every component.

    Raises:
        InvalidComparisons: the counts break their contract (`read_edges`), or the prior
            is 0 and no finite maximum exists.

    Source: Thurstone 1927, case V; the scale: zELO (arXiv 2509.12541).
    """
    edges = read_edges(wins_NN, ties_NN, prior=prior)
    half_E = 0.5 * edges.ties_E
    loss = probit_loss(edges.wins_E + half_E, edges.losses_E + half_E)
    return fit_edges(edges, loss, ridge=prior)


def probit_loss(wins_E: FloatArray, losses_E: FloatArray) -> Loss:
    """Give -log-likelihood under P(first wins) = Φ(√2 η), and its derivatives.

    Args:
        wins_E: (E,) wins of the first.
        losses_E: (E,) wins of the second.

    Source: Thurstone 1927, case V.
    """

    def loss(eta_E: FloatArray, _: float) -> Terms:
        x_E = _ROOT_2 * eta_E
        log_win_E, log_loss_E = log_ndtr(x_E), log_ndtr(-x_E)
        log_density_E = -0.5 * x_E * x_E - _LOG_ROOT_2_PI
        # φ/Φ through logarithms: both vanish far out, their ratio does not.
        up_E = np.exp(log_density_E - log_win_E)
        down_E = np.exp(log_density_E - log_loss_E)
        slope_E = losses_E * down_E - wins_E * up_E
        bend_E = wins_E * up_E * (up_E + x_E) + losses_E * down_E * (down_E - x_E)
        value = -float(wins_E @ log_win_E + losses_E @ log_loss_E)
        return Terms(value, _ROOT_2 * slope_E, 2 * bend_E)

    return loss
