"""Split what a consensus gets wrong into what stays and what averages out.

N = words, M = voters, C = cells of one stratum and one truth
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.votes import read_stratum
from kompress.decisions import ErrorSplit
from kompress.types import KEEP, UNKNOWN, FloatArray


def split_error(
    keep_NM: ArrayLike, voted_NM: ArrayLike, truth_N: ArrayLike, stratum_N: ArrayLike
) -> ErrorSplit:
    """Split what the mean vote gets wrong into what stays and what averages out.

    d̄ is the share of voters that are wrong on a word. Over the words of known truth
    on which all M voted, and cells c of one stratum and one truth,

        mean d̄² = Σ_c (n_c/n) (mean_c d̄)² + ρσ² + (1 - ρ)σ²/M,

    where σ² is the mean of the voters' error variances around their cell means and ρσ²
    the mean covariance of two voters. It holds exactly, not only in expectation.

    Args:
        keep_NM: (N, M) bool, what each voter would keep.
        voted_NM: (N, M) bool, where it voted.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`.
        stratum_N: (N,) codes into `STRATA`.

    Raises:
        InvalidVotes: a stratum is wrong.

    Source: docs/references.md, "Correlated voters"; bias and variance of ensembles:
        Ueda & Nakano 1996, equation 5; within strata: ours.
    """
    keep_NM, voted_NM = np.asarray(keep_NM, bool), np.asarray(voted_NM, bool)
    truth_N = np.asarray(truth_N)
    own_N = (truth_N != UNKNOWN) & voted_NM.all(axis=1)
    if not own_N.any() or not keep_NM.shape[1]:
        return ErrorSplit()
    is_keep_N = truth_N[own_N] == KEEP
    wrong_NM = (keep_NM[own_N] != is_keep_N[:, None]).astype(np.float64)
    codes_N = read_stratum(stratum_N, len(truth_N))[own_N]
    _, cell_N = np.unique(codes_N * 2 + is_keep_N, return_inverse=True)
    return _split_cells(wrong_NM, cell_N)


def _split_cells(wrong_NM: FloatArray, cell_N: NDArray[np.intp]) -> ErrorSplit:
    """Split the errors of M voters on N words that lie in cells."""
    num_words, num_voters = wrong_NM.shape
    size_C = np.bincount(cell_N)
    mean_CM = np.stack(
        [np.bincount(cell_N, weights=wrong_N) / size_C for wrong_N in wrong_NM.T], 1
    )
    around_NM = wrong_NM - mean_CM[cell_N]
    variance = float((around_NM**2).sum()) / num_words / num_voters
    of_mean = float((around_NM.mean(axis=1) ** 2).sum()) / num_words
    # Var of the mean is variance/M + covariance·(M - 1)/M; shared is the covariance.
    others = num_voters - 1
    shared = (of_mean * num_voters - variance) / others if others else 0.0
    return ErrorSplit(
        num_words=num_words,
        error=float((wrong_NM.mean(axis=1) ** 2).mean()),
        shared_bias=float((size_C * mean_CM.mean(axis=1) ** 2).sum()) / num_words,
        shared_variance=shared,
        own_variance=(variance - shared) / num_voters,
    )
