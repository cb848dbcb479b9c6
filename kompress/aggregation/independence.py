"""How many independent voters a correlated panel is worth.

M = voters
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from kompress.errors import InvalidVotes
from kompress.types import FloatArray

# Eigenvalues below it are rounding or noise: a matrix put together pair by pair, each
# on other words, need not be a correlation matrix at all.
_LEAST_EIGENVALUE = 1e-6


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

    Source: 1'R⁻¹1: facts/mathematics.md, "Correlated voters" (generalised least
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
