"""What another vote would tell of a document's words, in expectation, in bits.

Truths are independent words; votes are independent given the truth. What voters share
is told by `novelty`, not by the votes' likelihood.

N = words, S = strata, B = bins of the posterior mean, M = voters, D = documents,
E = cells of a histogram that hold words
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from kompress.aggregation.votes import read_stratum
from kompress.errors import InvalidSelection
from kompress.types import STRATA, FloatArray

# Of a word's entropy a bin's middle is off by at most .009 bit (at its steepest, beside
# 0 and 1), on average over a bin by far less.
NUM_BINS = 64
# Middles of the bins.
BIN_MEAN_B = (np.arange(NUM_BINS) + 0.5) / NUM_BINS


def novelty(correlation_MM: ArrayLike, asked_M: Sequence[int], voter: int) -> float:
    """Tell what share of a voter's vote those asked before have not said already.

    The growth of the effective number of voters, 1ᵀR⁻¹1, by one more vote: 1 for an
    independent voter, 0 for a copy, 1 where nobody has voted.

    Args:
        correlation_MM: (M, M) correlation of errors between voters, with the
            correlation between replicates of one voter on the diagonal (1 for a voter
            that always says the same).
        asked_M: (M,) votes that each voter has given or will have given before.
        voter: whose vote comes next.

    Returns:
        A number in [0, 1].

    Raises:
        InvalidSelection: the correlations are not (M, M) numbers in [−1, 1].

    Source: n_eff = 1ᵀR⁻¹1, docs/references.md, "Correlated voters"; its growth as a
    share of a vote: ours.
    """
    rho_MM = np.asarray(correlation_MM, dtype=np.float64)
    size = len(asked_M)
    if rho_MM.shape != (size, size) or not (np.abs(rho_MM) <= 1).all():
        raise InvalidSelection(
            f"correlations have shape {rho_MM.shape}, not all of them within [-1, 1], "
            f"or not {size} voters; expected ({size}, {size}); give 0 where they are "
            "not identified"
        )
    before = [m for m, count in enumerate(asked_M) for _ in range(count)]
    grown = _effective(rho_MM, [*before, voter]) - _effective(rho_MM, before)
    return float(np.clip(grown, 0.0, 1.0))


def histogram_words(mean_N: ArrayLike, stratum_N: ArrayLike) -> FloatArray:
    """Count a document's words by stratum and by posterior mean.

    All that the gain of a document depends on, and as small for a long document as for
    a short one.

    Args:
        mean_N: (N,) posterior P(keep); NaN leaves the word out.
        stratum_N: (N,) codes into `STRATA`.

    Returns:
        (S, B) float32 counts.

    Raises:
        InvalidSelection: a mean lies outside [0, 1].
        InvalidVotes: a stratum is none, or their number is not N.
    """
    mean_N = np.asarray(mean_N, dtype=np.float64)
    codes_N = read_stratum(stratum_N, mean_N.size)
    known_N = ~np.isnan(mean_N)
    mean_n = _probabilities(mean_N[known_N], "posterior means")
    bin_n = np.minimum((mean_n * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    flat = np.bincount(
        codes_N[known_N] * NUM_BINS + bin_n, minlength=len(STRATA) * NUM_BINS
    )
    return flat.reshape(len(STRATA), NUM_BINS).astype(np.float32)


def pack_words(words_SB: ArrayLike) -> NDArray[np.uint32]:
    """Keep only the cells of a histogram that hold words.

    Args:
        words_SB: (S, B) of `histogram_words`.

    Returns:
        (2, E) the cells s · B + b, ascending, and their counts.
    """
    flat = np.asarray(words_SB).ravel()
    cell_E = np.flatnonzero(flat)
    return np.stack([cell_E, flat[cell_E]]).astype(np.uint32)


def stack_words(packed: Sequence[NDArray[np.uint32]]) -> csr_array:
    """Lay out packed histograms, one below the other.

    Args:
        packed: D arrays of `pack_words`.

    Returns:
        (D, S · B) sparse float64 counts.
    """
    start = np.cumsum([0, *(own_2E.shape[1] for own_2E in packed)])
    none_20 = np.zeros((2, 0), dtype=np.uint32)
    cell, count = np.concatenate([none_20, *packed], axis=1)
    shape = (len(packed), len(STRATA) * NUM_BINS)
    return csr_array((count.astype(np.float64), cell.astype(np.int32), start), shape)


def _effective(rho_MM: FloatArray, asked: list[int]) -> float:
    if not asked:
        return 0.0
    r_kk = rho_MM[np.ix_(asked, asked)].copy()
    np.fill_diagonal(r_kk, 1.0)
    # Copies make R singular: the pseudo-inverse counts them once.
    inverse_kk = np.linalg.pinv(r_kk, rcond=1e-9, hermitian=True)
    return float(inverse_kk.sum())


def _probabilities(values: ArrayLike, what: str) -> FloatArray:
    p = np.asarray(values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidSelection(
            f"{what} are not all within [0, 1]: {np.ravel(p)[:5]}; expected "
            "probabilities; take them from a posterior and from fitted reliabilities"
        )
    return p
