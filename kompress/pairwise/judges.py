"""Scores from judges of different skill, each with a leaning to the first place.

E = judgments, J = judges, N = items, P = parameters
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import helmert

from kompress.errors import InvalidComparisons
from kompress.pairwise.bradley_terry import fit_bradley_terry, logistic_loss
from kompress.pairwise.davidson import davidson_loss
from kompress.pairwise.evidence import Judgments, Votes, count_votes, read_votes
from kompress.pairwise.graph import IntArray, find_components
from kompress.pairwise.newton import (
    Derivatives,
    Loss,
    Minimum,
    centre,
    minimise,
    variances,
)
from kompress.pairwise.ranking import Ranking
from kompress.pairwise.thurstone import probit_loss
from kompress.types import FloatArray

Model = Literal["bradley_terry", "thurstone", "davidson"]

# A judge's discrimination is 1 give or take 0.5 before anything is known: most judges
# know something, and few are three times as sharp as another.
DISCRIMINATION_PRECISION = 4.0
# Standing first is worth 0 give or take 1 on the score's scale.
BIAS_PRECISION = 1.0
# ν is 1 within a factor of 20 (one deviation): keeps it finite without ties and with
# nothing else.
TIE_PRECISION = 1 / 9

# What a unit of log-odds is on each model's scale, near equal items: the slopes there
# are 1/4 and √2 φ(0) = 0.564.
_START = {"bradley_terry": 1.0, "thurstone": 0.44, "davidson": 1.0}


def fit_judges(
    judgments: Judgments,
    judge_E: ArrayLike,
    *,
    num_items: int,
    model: Model = "davidson",
    prior: float = 1.0,
    num_judges: int | None = None,
) -> Ranking:
    """Fit scores, every judge's discrimination and its position bias together.

    Judge j sees η = a_j (score_first - score_second) + b_j. Bradley-Terry and Davidson
    read η as log-odds, Thurstone as Φ(√2 η); the first two models count a tie as half
    a win for both, Davidson's ν is common to all judges. An answer's win and loss weigh
    by its certainty (`weigh_certainty`), so that answers without an opinion move no
    score and shrink no error. Mean a is 1, which fixes the
    scale; a has the prior N(1, 1/4), b N(0, 1), log ν N(0, 9).

    Args:
        judgments: a failed call adds nothing.
        judge_E: (E,) who judged, 0..J-1.
        num_items: N.
        model: of a comparison.
        prior: precision of the Gaussian around 0 on every compared item's score, > 0.
        num_judges: J; one more than the greatest judge by default.

    Returns:
        Scores with mean 0 in every component, discriminations of mean 1, biases and
        the standard errors of all three; ν under Davidson.

    Raises:
        InvalidComparisons: a judgment, a judge or the prior is wrong, or every call
            failed.

    Source: BT-σ, arXiv 2602.16610; judge-aware Bradley-Terry-Luce, arXiv 2601.21817;
    order effect: Davidson & Beaver 1977. Linear discriminations with a prior, and
    fitting all at once: ours.
    """
    votes = read_votes(judgments, num_items=num_items)
    judges = _read_judges(judge_E, np.shape(judgments.first_E), num_judges)
    if not votes.place_E.size or not 0 < prior < np.inf:
        raise InvalidComparisons(
            f"found {votes.place_E.size} judgments and the prior {prior}; expected at "
            "least one judgment that did not fail, and a finite prior above 0"
        )
    fit = _JudgeFit(votes, judges[0][votes.place_E], num_items, judges[1], model, prior)
    start_P = np.zeros(fit.num_parameters)
    alike_N = _fit_alike(judgments, num_items, prior)
    start_P[:num_items] = _START[model] * alike_N
    return fit.report(minimise(fit.evaluate, start_P))


class _JudgeFit:
    """The penalised likelihood over (scores, a = 1 + Q γ, b, λ), and what it gives."""

    def __init__(
        self,
        votes: Votes,
        judge_E: IntArray,
        num_items: int,
        num_judges: int,
        model: Model,
        prior: float,
    ) -> None:
        self.first_E, self.second_E, self.judge_E = (
            votes.first_E,
            votes.second_E,
            judge_E,
        )
        self.num_items, self.num_judges = num_items, num_judges
        self.has_ties, self.prior = model == "davidson", prior
        self.loss = LOSSES[model](votes)
        self.component_N = find_components(votes.first_E, votes.second_E, num_items)
        low_E, high_E = np.sort([votes.first_E, votes.second_E], axis=0)
        self.cell_E = low_E * num_items + high_E
        # Columns of unit length that sum to 0: a has mean 1 whatever γ is.
        self.basis_JG = helmert(num_judges).T
        self.num_parameters = num_items + 2 * num_judges - 1 + self.has_ties

    def split(
        self, x_P: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Scores, discriminations, biases and λ of the parameters."""
        score_N, rest = np.split(x_P, [self.num_items])
        free_G, rest = np.split(rest, [self.num_judges - 1])
        log_tie = float(rest[-1]) if self.has_ties else 0.0
        return (
            score_N,
            1 + self.basis_JG @ free_G,
            rest[: self.num_judges],
            log_tie,
        )

    def evaluate(self, x_P: FloatArray) -> Derivatives:
        """Value, gradient and Hessian of the penalised -log-likelihood."""
        score_N, a_J, b_J, log_tie = self.split(x_P)
        gap_E = score_N[self.first_E] - score_N[self.second_E]
        a_E = a_J[self.judge_E]
        terms = self.loss(a_E * gap_E + b_J[self.judge_E], log_tie)
        pull_N = self.prior * score_N
        spare_J = DISCRIMINATION_PRECISION * (a_J - 1)
        penalty = pull_N @ score_N + spare_J @ (a_J - 1) + BIAS_PRECISION * b_J @ b_J
        gradient = [
            self._items(a_E * terms.eta_E) + pull_N,
            self.basis_JG.T @ (self._judges(gap_E * terms.eta_E) + spare_J),
            self._judges(terms.eta_E) + BIAS_PRECISION * b_J,
        ]
        if self.has_ties:
            penalty += TIE_PRECISION * log_tie**2
            gradient.append(np.array([terms.tie + TIE_PRECISION * log_tie]))
        hessian_PP = self._hessian(a_E, gap_E, *terms[1:])
        return Derivatives(
            terms.value + 0.5 * float(penalty), np.concatenate(gradient), hessian_PP
        )

    def report(self, found: Minimum) -> Ranking:
        """Turn the minimum into scores, skills and standard errors."""
        score_N, a_J, b_J, log_tie = self.split(found.x_P)
        stop = self.num_items + self.num_judges - 1
        score_N, se_N = centre(
            score_N, found.root_PP[: self.num_items], self.component_N
        )
        a_JP = self.basis_JG @ found.root_PP[self.num_items : stop]
        b_JP = found.root_PP[stop : stop + self.num_judges]
        return Ranking(
            score_N,
            se_N,
            found.num_iterations,
            found.converged,
            tie=float(np.exp(log_tie)) if self.has_ties else None,
            discrimination_J=a_J,
            bias_J=b_J,
            discrimination_se_J=np.sqrt(variances(a_JP)),
            bias_se_J=np.sqrt(variances(b_JP)),
            component_N=self.component_N,
        )

    def _hessian(
        self,
        a_E: FloatArray,
        gap_E: FloatArray,
        slope_E: FloatArray,
        bend_E: FloatArray,
        _: float,
        mixed_E: FloatArray | None,
        tie2: float,
    ) -> FloatArray:
        """Assemble the upper triangle, block by block."""
        n, basis_JG = self.num_items, self.basis_JG
        g, stop = n + self.num_judges - 1, n + 2 * self.num_judges - 1
        hessian_PP = np.zeros((self.num_parameters,) * 2)
        hessian_PP[:n, :n] = self._pairs(a_E * a_E * bend_E)
        skewed_E = a_E * gap_E * bend_E + slope_E
        hessian_PP[:n, n:g] = self._cross(skewed_E) @ basis_JG
        hessian_PP[:n, g:stop] = self._cross(a_E * bend_E)
        own_J = self._judges(gap_E * gap_E * bend_E) + DISCRIMINATION_PRECISION
        hessian_PP[n:g, n:g] = np.triu((basis_JG.T * own_J) @ basis_JG)
        hessian_PP[n:g, g:stop] = basis_JG.T * self._judges(gap_E * bend_E)
        bias_J = self._judges(bend_E) + BIAS_PRECISION
        hessian_PP[g:stop, g:stop] = np.diag(bias_J)
        if mixed_E is not None:
            hessian_PP[:n, stop] = self._items(a_E * mixed_E)
            hessian_PP[n:g, stop] = basis_JG.T @ self._judges(gap_E * mixed_E)
            hessian_PP[g:stop, stop] = self._judges(mixed_E)
            hessian_PP[stop, stop] = tie2 + TIE_PRECISION
        return hessian_PP

    def _items(self, weight_E: FloatArray) -> FloatArray:
        n = self.num_items
        plus_N = np.bincount(self.first_E, weight_E, n)
        return np.asarray(plus_N - np.bincount(self.second_E, weight_E, n))

    def _judges(self, weight_E: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(self.judge_E, weight_E, self.num_judges))

    def _cross(self, weight_E: FloatArray) -> FloatArray:
        """(N, J) sums over the judgments of an item by a judge, signed by its place."""
        j, size = self.num_judges, self.num_items * self.num_judges
        plus = np.bincount(self.first_E * j + self.judge_E, weight_E, size)
        minus = np.bincount(self.second_E * j + self.judge_E, weight_E, size)
        return np.asarray((plus - minus).reshape(self.num_items, j))

    def _pairs(self, weight_E: FloatArray) -> FloatArray:
        """(N, N) upper triangle of the weighted Laplacian, with the prior."""
        n = self.num_items
        upper_NN = -np.bincount(self.cell_E, weight_E, n * n).reshape(n, n)
        own_N = np.bincount(self.first_E, weight_E, n)
        own_N += np.bincount(self.second_E, weight_E, n)
        upper_NN.flat[:: n + 1] = own_N + self.prior
        return np.asarray(upper_NN)


def _fit_alike(judgments: Judgments, num_items: int, prior: float) -> FloatArray:
    """(N,) scores as if all judges were alike: from here no step has to be damped."""
    counts = count_votes(judgments, num_items=num_items)
    wins_NN = counts.wins_NN + 0.5 * counts.ties_NN
    return fit_bradley_terry(wins_NN, prior=prior).score_N


def _logistic(votes: Votes) -> Loss:
    half_E = 0.5 * votes.tie_E
    return logistic_loss(votes.win_E + half_E, votes.loss_E + half_E)


def _probit(votes: Votes) -> Loss:
    half_E = 0.5 * votes.tie_E
    return probit_loss(votes.win_E + half_E, votes.loss_E + half_E)


def _davidson(votes: Votes) -> Loss:
    return davidson_loss(votes.win_E, votes.loss_E, votes.tie_E)


LOSSES: dict[str, Callable[[Votes], Loss]] = {
    "bradley_terry": _logistic,
    "thurstone": _probit,
    "davidson": _davidson,
}


def _read_judges(
    judge_E: ArrayLike, shape: tuple[int, ...], num_judges: int | None
) -> tuple[IntArray, int]:
    judges_E = np.asarray(judge_E)
    if judges_E.shape != shape or (
        judges_E.size and not np.issubdtype(judges_E.dtype, np.integer)
    ):
        raise InvalidComparisons(
            f"judges are {judges_E.dtype} of shape {judges_E.shape}; expected integers "
            f"of shape {shape}"
        )
    greatest = int(judges_E.max(initial=0))
    count = greatest + 1 if num_judges is None else num_judges
    if judges_E.min(initial=0) < 0 or greatest >= count:
        raise InvalidComparisons(
            f"judges lie in {judges_E.min()}..{greatest}; expected 0..{count - 1}"
        )
    return judges_E.astype(np.int64), count
