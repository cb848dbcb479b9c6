"""Damped Newton on the likelihood of comparisons, and standard errors from its Hessian.

P = parameters, N = items, E = pairs or judgments
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from kompress.pairwise.graph import Edges
from kompress.pairwise.ranking import Ranking
from kompress.types import FloatArray

# Convergence is quadratic: after a step below this the next would be about its square.
TOLERANCE = 1e-4
MAX_ITERATIONS = 100
# In units of the Hessian's mean diagonal.
_FIRST_DAMPING = 1e-2
_LAST_DAMPING = 1e-4


class Terms(NamedTuple):
    """Negative log-likelihood of all outcomes and its derivatives.

    η is the score difference that a judge sees, λ = log ν the readiness to call a tie.

    Attributes:
        value: the sum over all outcomes.
        eta_E: (E,) derivatives by η.
        eta2_E: (E,) second derivatives by η, at least 0.
        tie: derivative by λ.
        eta_tie_E: (E,) mixed derivatives; None in a model without ties.
        tie2: second derivative by λ.
    """

    value: float
    eta_E: FloatArray
    eta2_E: FloatArray
    tie: float = 0.0
    eta_tie_E: FloatArray | None = None
    tie2: float = 0.0


# Gives the terms at (η, λ).
Loss = Callable[[FloatArray, float], Terms]


class Derivatives(NamedTuple):
    """A function's value, gradient and Hessian at one place.

    Attributes:
        value: to be made small.
        gradient_P: (P,) its slopes.
        hessian_PP: (P, P) the upper triangle of its bends, 0 below the diagonal.
    """

    value: float
    gradient_P: FloatArray
    hessian_PP: FloatArray


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where Newton's method stopped.

    Attributes:
        x_P: (P,) the place.
        root_PP: (P, P) R with R Rᵀ the inverse of the Hessian there, or less than
            `TOLERANCE` away; NaN where that is not positive definite.
        num_iterations: steps tried.
        converged: whether the last step was below `TOLERANCE`.
    """

    x_P: FloatArray
    root_PP: FloatArray
    num_iterations: int
    converged: bool


def minimise(
    evaluate: Callable[[FloatArray], Derivatives], start_P: FloatArray
) -> Minimum:
    """Walk downhill by Newton steps, damped where they would go up.

    Args:
        evaluate: value, gradient and Hessian at a place; the Hessian has to be positive
            definite at the minimum, not everywhere.
        start_P: (P,) where to begin.

    Returns:
        The minimum, or the lowest place after `MAX_ITERATIONS` steps.

    Source: Levenberg 1944; Marquardt 1963.
    """
    x_P, point, damping = start_P, evaluate(start_P), 0.0
    for iteration in range(1, MAX_ITERATIONS + 1):
        step_P, factor_PP = _newton_step(point, damping)
        if step_P is not None and damping == 0 and np.abs(step_P).max() <= TOLERANCE:
            root_PP = _invert_factor(factor_PP)
            return Minimum(x_P - step_P, root_PP, iteration, converged=True)
        trial = None if step_P is None else evaluate(x_P - step_P)
        slack = 1e-12 * (1 + abs(point.value))  # rounding is no climb
        if step_P is None or trial is None or not trial.value <= point.value + slack:
            damping = max(10 * damping, _FIRST_DAMPING)
            continue
        x_P, point = x_P - step_P, trial
        damping = damping / 10 if damping > _LAST_DAMPING else 0.0
    root_PP = inverse_root(point.hessian_PP)
    return Minimum(x_P, root_PP, MAX_ITERATIONS, converged=False)


def inverse_root(hessian_PP: FloatArray) -> FloatArray:
    """Factor the inverse of a positive definite matrix.

    Args:
        hessian_PP: (P, P) upper triangle, 0 below it.

    Returns:
        (P, P) R with R Rᵀ the inverse; NaN everywhere if it is not positive definite.

    Source: LAPACK's dpotrf and dtrtri. dpotri would wake OpenBLAS's threads even for
    a small matrix, which costs 70 ms on a busy machine.
    """
    factor_PP, failed = lapack.dpotrf(hessian_PP.T, lower=1)
    return np.full_like(hessian_PP, np.nan) if failed else _invert_factor(factor_PP)


def variances(root_PP: FloatArray) -> FloatArray:
    """Give the diagonal of R Rᵀ.

    Args:
        root_PP: (P, P) as `inverse_root` gives it, or some of its rows.
    """
    return np.asarray(np.einsum("ij,ij->i", root_PP, root_PP))


def centre(
    score_N: FloatArray, root_NP: FloatArray, component_N: NDArray[np.int32]
) -> tuple[FloatArray, FloatArray]:
    """Take every component's mean off its scores, which no comparison can see.

    Args:
        score_N: (N,) scores, whose means are arbitrary.
        root_NP: (N, P) R with R Rᵀ the scores' covariance.
        component_N: (N,) numbers of the items' components.

    Returns:
        (N,) scores of mean 0 in every component, and (N,) their standard errors:
        infinite for an item that is a component by itself.

    Source: Var(s - m's) is the row's variance once the mean row is off; ours.
    """
    size_C = np.bincount(component_N)
    if len(size_C) == 1:
        centred_NP = root_NP - root_NP.mean(axis=0)
        return score_N - score_N.mean(), np.sqrt(variances(centred_NP))
    mean_C = np.bincount(component_N, score_N) / size_C
    mean_CP = np.zeros((len(size_C), root_NP.shape[1]))
    np.add.at(mean_CP, component_N, root_NP)
    mean_CP /= size_C[:, None]
    error_N = np.sqrt(variances(root_NP - mean_CP[component_N]))
    error_N[size_C[component_N] == 1] = np.inf
    return score_N - mean_C[component_N], error_N


def find_pins(component_N: NDArray[np.int32], ridge: float) -> NDArray[np.int64]:
    """Name the items to hold in place, so that a Hessian of differences has an inverse.

    Args:
        component_N: (N,) numbers of the items' components.
        ridge: what stands on the Hessian's diagonal already.

    Returns:
        One item of every component; none where there is a ridge.
    """
    if ridge > 0:
        return np.zeros(0, dtype=np.int64)
    return np.unique(component_N, return_index=True)[1]


def fit_edges(
    edges: Edges,
    loss: Loss,
    *,
    ridge: float = 0.0,
    has_ties: bool = False,
    start_P: FloatArray | None = None,
) -> Ranking:
    """Minimise loss + ridge/2 Σ score² over the scores, and over λ where ties count.

    Args:
        edges: who was compared with whom.
        loss: of the pairs' outcomes, convex.
        ridge: precision of a Gaussian prior on scores, at least 0.
        has_ties: whether λ is a parameter.
        start_P: (N,) scores to begin with, and λ where it is fitted; all 0 by default.

    Returns:
        The ranking; its tie is ν = exp(λ) where λ was fitted.
    """
    fit = _EdgeFit(edges, loss, ridge, has_ties=has_ties)
    size = edges.num_items
    if start_P is None:
        start_P = np.zeros(size + has_ties)
    found = minimise(fit.evaluate, start_P)
    score_N, se_N = centre(found.x_P[:size], found.root_PP[:size], edges.component_N)
    return Ranking(
        score_N,
        se_N,
        found.num_iterations,
        found.converged,
        tie=float(np.exp(found.x_P[size])) if has_ties else None,
        component_N=edges.component_N,
    )


class _EdgeFit:
    """The penalised likelihood over (scores, λ)."""

    def __init__(
        self, edges: Edges, loss: Loss, ridge: float, *, has_ties: bool
    ) -> None:
        self.loss, self.ridge, self.has_ties = loss, ridge, has_ties
        self.first_E, self.second_E = edges.first_E, edges.second_E
        self.num_items, self.width = edges.num_items, edges.num_items + has_ties
        self.pair_E = edges.first_E * self.width + edges.second_E
        self.pin_C = find_pins(edges.component_N, ridge)

    def evaluate(self, x_P: FloatArray) -> Derivatives:
        """Value, gradient and Hessian of the penalised -log-likelihood."""
        size, width = self.num_items, self.width
        score_N = x_P[:size]
        log_tie = float(x_P[size]) if self.has_ties else 0.0
        terms = self.loss(score_N[self.first_E] - score_N[self.second_E], log_tie)
        gradient_P = self._items(terms.eta_E) + self.ridge * score_N
        hessian_PP = np.zeros((width, width))
        flat = hessian_PP.reshape(-1)
        flat[self.pair_E] = -terms.eta2_E
        own_N = np.bincount(self.first_E, terms.eta2_E, size)
        own_N += np.bincount(self.second_E, terms.eta2_E, size)
        own_N[self.pin_C] += own_N.mean()
        flat[: size * width : width + 1] = own_N + self.ridge
        if self.has_ties and terms.eta_tie_E is not None:
            hessian_PP[:size, size] = self._items(terms.eta_tie_E)
            hessian_PP[size, size] = terms.tie2
            gradient_P = np.append(gradient_P, terms.tie)
        value = terms.value + 0.5 * self.ridge * float(score_N @ score_N)
        return Derivatives(value, gradient_P, hessian_PP)

    def _items(self, weight_E: FloatArray) -> FloatArray:
        plus_N = np.bincount(self.first_E, weight_E, self.num_items)
        return np.asarray(plus_N - np.bincount(self.second_E, weight_E, self.num_items))


def _newton_step(
    point: Derivatives, damping: float
) -> tuple[FloatArray | None, FloatArray]:
    """Solve for the step, None where the damped Hessian is not positive definite."""
    hessian_PP = point.hessian_PP
    if damping:
        hessian_PP = hessian_PP.copy()
        diagonal_P = hessian_PP.diagonal()
        hessian_PP.flat[:: len(diagonal_P) + 1] += damping * np.abs(diagonal_P).mean()
    # The transpose is in LAPACK's order already.
    factor_PP, step_P, failed = lapack.dposv(hessian_PP.T, point.gradient_P, lower=1)
    return None if failed else step_P, factor_PP


def _invert_factor(factor_PP: FloatArray) -> FloatArray:
    """R = L⁻ᵀ; beyond the diagonal LAPACK leaves the 0 that it found."""
    inverse_PP, _ = lapack.dtrtri(factor_PP, lower=1)
    return np.asarray(inverse_PP.T, dtype=np.float64)
