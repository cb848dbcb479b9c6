"""Davidson: Bradley-Terry that counts ties as outcomes of their own.

N = items, E = pairs that were compared
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from kompress.errors import InvalidComparisons
from kompress.pairwise.bradley_terry import START_SWEEPS, iterate_newman, logistic_loss
from kompress.pairwise.graph import read_edges
from kompress.pairwise.newton import Loss, Terms, fit_edges
from kompress.pairwise.ranking import Ranking
from kompress.types import FloatArray


def fit_davidson(
    wins_NN: ArrayLike, ties_NN: ArrayLike | None = None, *, prior: float = 1.0
) -> Ranking:
    """Fit scores and the readiness to tie.

    With π = exp(score): P(i beats j) : P(j beats i) : P(tie) = π_i : π_j : ν√(π_i π_j).

    Args:
        wins_NN: (N, N) [i, j] is the (soft) number of comparisons i won against j.
        ties_NN: (N, N) symmetric numbers of ties; without any it is Bradley-Terry, and
            ν is 0.
        prior: wins' worth of belief in equal items, half for either side, put on every
            pair that was compared and on no other; 0 gives the maximum likelihood.

    Returns:
        Scores with mean 0 in every component, on Bradley-Terry's scale, and ν.

    Raises:
        InvalidComparisons: the counts break their contract (`read_edges`), there are
            only ties and no prior, or the prior is 0 and no finite maximum exists.

    Source: Davidson 1970; its likelihood is concave in the scores and
    log ν together; the prior: ours.
    """
    edges = read_edges(wins_NN, ties_NN, prior=prior)
    wins_E, losses_E = edges.wins_E + 0.5 * prior, edges.losses_E + 0.5 * prior
    won, tied = float(wins_E.sum() + losses_E.sum()), float(edges.ties_E.sum())
    if won == 0:
        raise InvalidComparisons(
            f"found {tied:g} ties and no win; expected a win, or prior > 0: with ties "
            "alone every item is equal and ν is infinite"
        )
    half_E = 0.5 * edges.ties_E
    start_N = iterate_newman(
        edges, wins_E + half_E, losses_E + half_E, num_iterations=START_SWEEPS
    )
    if tied == 0:
        found = fit_edges(edges, logistic_loss(wins_E, losses_E), start_P=start_N)
        return replace(found, tie=0.0)
    loss = davidson_loss(wins_E, losses_E, edges.ties_E)
    # Between equal items P(tie) = ν / (2 + ν), so ν = 2 ties / wins.
    start_P = np.append(start_N, np.log(2 * tied / won))
    return fit_edges(edges, loss, has_ties=True, start_P=start_P)


def davidson_loss(wins_E: FloatArray, losses_E: FloatArray, ties_E: FloatArray) -> Loss:
    """Give -log-likelihood of three outcomes with weights e^(η/2), e^(-η/2), e^λ.

    Args:
        wins_E: (E,) wins of the first.
        losses_E: (E,) wins of the second.
        ties_E: (E,) ties.

    Source: Davidson 1970, divided by √(π_i π_j).
    """
    total_E = wins_E + losses_E + ties_E
    lead_E, tied = 0.5 * (wins_E - losses_E), float(ties_E.sum())

    def loss(eta_E: FloatArray, log_tie: float) -> Terms:
        top_E = np.maximum(0.5 * np.abs(eta_E), log_tie)
        up_E, down_E = np.exp(0.5 * eta_E - top_E), np.exp(-0.5 * eta_E - top_E)
        even_E = np.exp(log_tie - top_E)
        whole_E = up_E + down_E + even_E
        gap_E = 0.5 * (up_E - down_E) / whole_E
        tie_E = even_E / whole_E
        expected_E = total_E * tie_E
        value = total_E @ (top_E + np.log(whole_E)) - lead_E @ eta_E - tied * log_tie
        return Terms(
            float(value),
            total_E * gap_E - lead_E,
            total_E * (0.25 * (1 - tie_E) - gap_E * gap_E),
            float(expected_E.sum()) - tied,
            -expected_E * gap_E,
            float(expected_E @ (1 - tie_E)),
        )

    return loss
