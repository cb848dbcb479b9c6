"""How many independent voters a correlated panel is worth.

M = voters, B = bootstraps
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from kompress.aggregation.pairs import ErrorPairs
from kompress.aggregation.statistics import expanded_percents
from kompress.errors import InvalidVotes
from kompress.types import FloatArray

# Fewer groups resampled give an interval that means nothing; errors shared in fewer
# make no copy: one odd document does the same to voters that have nothing in common.
MIN_GROUPS = 5
# Errors that correlate so, and surely beyond the half of it, are a copy's. Nine LLM
# judges reached about .4 on average (arXiv 2605.29800: worth two votes).
COPY_CORRELATION, COPY_LEAST = 0.8, 0.5
# Eigenvalues below it are rounding or noise: a matrix put together pair by pair, each
# on other words, need not be a correlation matrix at all.
_LEAST_EIGENVALUE = 1e-6


@dataclass(frozen=True, slots=True)
class Independence:
    """What a panel's error correlations come to.

    Attributes:
        n_eff: independent voters that the panel is worth; None where gold identifies
            no pair.
        low: lower end of the 95 % interval over resampled document groups
            (`expanded_percents`); None below 5 groups.
        high: its upper end.
        mean: correlation over the identified pairs; None where there is none.
        num_unidentified: pairs of which gold tells nothing.
        copies: (column, column, ρ) of pairs that gold shows to be near copies: they are
            wrong on the same words in at least 5 groups.
    """

    n_eff: float | None
    low: float | None
    high: float | None
    mean: float | None
    num_unidentified: int
    copies: tuple[tuple[int, int, float], ...]


def effective_voters(correlation_MM: ArrayLike) -> float:
    """Count the independent voters that a panel's errors are worth.

    The variance of the best weighted mean of M voters is σ²/n_eff. With weights of any
    sign n_eff = 1'R⁻¹1; where that would weigh a voter below 0 (to subtract one near
    copy from another, which noise in R rewards without end), weights stay at 0 and
    n_eff = max (1'w)²/(w'Rw) over w >= 0. Equicorrelated: M/(1 + (M - 1)ρ).

    Args:
        correlation_MM: (M, M) symmetric, ones on the diagonal; NaN where unidentified
            counts as the mean of the identified pairs. What is not positive definite
            is repaired: eigenvalues raised to 1e-6, the diagonal scaled back to 1.

    Returns:
        n_eff in [1, M] (voters that err in turns could be worth more: they count as
        M); NaN where there are pairs and none is identified.

    Raises:
        InvalidVotes: the matrix is not square, or not symmetric.

    Source: 1'R⁻¹1: docs/references.md, "Correlated voters" (generalised least
        squares, Aitken 1936); w >= 0 and the repair: ours.
    """
    rho_MM = _read(correlation_MM)
    size = len(rho_MM)
    if size < 2:
        return float(size)
    mean = mean_correlation(rho_MM)
    if mean is None:
        return float("nan")
    filled_MM = _repair(np.where(np.isnan(rho_MM), mean, rho_MM))
    value_M, vector_MM = np.linalg.eigh(filled_MM)
    root_M = np.sqrt(np.maximum(value_M, _LEAST_EIGENVALUE))
    half_M = vector_MM.sum(axis=0) / root_M
    weight_M = vector_MM @ (half_M / root_M)  # R⁻¹1
    if weight_M.min() < 0:
        # min ½w'Rw - 1'w over w >= 0 is reached where w'Rw = 1'w: that is n_eff.
        weight_M, _ = nnls(root_M[:, None] * vector_MM.T, half_M)
    return float(np.clip(weight_M.sum(), 1.0, size))


def mean_correlation(correlation_MM: ArrayLike) -> float | None:
    """Give the mean over pairs of voters; None where no pair is identified.

    Args:
        correlation_MM: (M, M) symmetric, NaN where unidentified.

    Raises:
        InvalidVotes: the matrix is not square, or not symmetric.

    Source: ours.
    """
    rho_MM = _read(correlation_MM)
    rho_Q = rho_MM[np.triu_indices(len(rho_MM), 1)]
    rho_Q = rho_Q[~np.isnan(rho_Q)]
    return float(rho_Q.mean()) if rho_Q.size else None


def measure_independence(
    pairs: ErrorPairs,
    identical: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    num_bootstraps: int,
) -> Independence:
    """Bring the pairs' errors to what the panel is worth.

    Args:
        pairs: counts of their votes on gold.
        identical: pairs of columns that never voted differently: ρ = 1 if gold shows an
            error of theirs. Of voters that are never wrong nobody knows whether they
            copy each other.
        rng: where resampled document groups come from.
        num_bootstraps: how often they are.

    Source: percentile intervals, Efron & Tibshirani 1993, chapter 13, clusters
        resampled; wider of few groups, Hesterberg 2015; near copies: ours.
    """
    rho_MM = pairs.correlation()
    size = len(rho_MM)
    mean = mean_correlation(rho_MM)
    num_unidentified = int(np.isnan(rho_MM[np.triu_indices(size, 1)]).sum())
    if size < 2 or mean is None:
        n_eff = 1.0 if size == 1 else None
        return Independence(n_eff, None, None, mean, num_unidentified, ())
    erring = [(a, b) for a, b in identical if not np.isnan(rho_MM[a, b])]
    n_eff = _worth_of(rho_MM, erring)
    if pairs.num_groups < MIN_GROUPS:
        return Independence(n_eff, None, None, mean, num_unidentified, ())
    drawn_BMM = pairs.resampled(rng, num_bootstraps)
    worth_B = np.array([_worth_of(drawn, erring) for drawn in drawn_BMM])
    low = high = None
    if not np.isnan(worth_B).all():
        percents = expanded_percents(pairs.num_groups)
        low, high = (float(v) for v in np.nanpercentile(worth_B, percents))
    shared_MM = pairs.groups_of_shared_errors()
    copies = tuple(
        (a, b, float(rho_MM[a, b]))
        for a, b in combinations(range(size), 2)
        if shared_MM[a, b] >= MIN_GROUPS
        and rho_MM[a, b] >= COPY_CORRELATION
        and np.nanpercentile(drawn_BMM[:, a, b], 2.5) >= COPY_LEAST
    )
    return Independence(n_eff, low, high, mean, num_unidentified, copies)


def _set(rho_MM: FloatArray, identical: Sequence[tuple[int, int]]) -> FloatArray:
    """Set what needs no gold: who never voted differently errs alike."""
    told_MM = rho_MM.copy()
    for a, b in identical:
        told_MM[a, b] = told_MM[b, a] = 1.0
    return told_MM


def _worth_of(rho_MM: FloatArray, identical: Sequence[tuple[int, int]]) -> float:
    """Give n_eff; NaN where gold identifies no pair."""
    mean = mean_correlation(rho_MM)
    if mean is None:
        return float("nan")
    # What gold does not tell is filled first: a copy's 1 is not what others are like.
    filled_MM = np.where(np.isnan(rho_MM), mean, rho_MM)
    return effective_voters(_set(filled_MM, identical))


def _repair(rho_MM: FloatArray) -> FloatArray:
    """Give the matrix back where it is positive definite, else one that is near."""
    value_M, vector_MM = np.linalg.eigh(rho_MM)
    if value_M.min() >= _LEAST_EIGENVALUE:
        return rho_MM
    value_M = np.maximum(value_M, _LEAST_EIGENVALUE)
    raised_MM = (vector_MM * value_M) @ vector_MM.T
    scale_M = np.sqrt(np.diag(raised_MM))
    repaired_MM: FloatArray = raised_MM / np.outer(scale_M, scale_M)
    return repaired_MM


def _read(correlation_MM: ArrayLike) -> FloatArray:
    rho_MM = np.asarray(correlation_MM, dtype=np.float64)
    square = rho_MM.ndim == 2 and rho_MM.shape[0] == rho_MM.shape[1]
    if not square or not np.allclose(rho_MM, rho_MM.T, equal_nan=True):
        raise InvalidVotes(
            f"the correlations have shape {rho_MM.shape}; expected a symmetric (M, M)"
        )
    return rho_MM
