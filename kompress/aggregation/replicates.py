"""Pool one voter's replicates into one vote.

N = words, R = replicates
"""

import numpy as np
from numpy.typing import ArrayLike

from kompress.aggregation.votes import sum_voters
from kompress.errors import InvalidVotes
from kompress.types import FloatArray, decode_votes


def pool_replicates(
    codes_RN: ArrayLike, num_samples_R: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Average a voter's replicates, weighted by sample count, word by word.

    Args:
        codes_RN: (R, N) uint8 byte codes; 255 is an abstention and leaves the word's
            average.
        num_samples_R: (R,) draws behind each replicate, whole numbers >= 1.

    Returns:
        (N,) P(keep) with NaN where every replicate abstained, and (N,) the samples
        behind it, 0 there.

    Raises:
        InvalidVotes: shapes disagree, codes are not bytes, or a count is below 1.

    Source: design §1 "Exactly"; ours.
    """
    codes_RN, num_R = np.asarray(codes_RN), np.asarray(num_samples_R)
    if codes_RN.ndim != 2 or num_R.shape != codes_RN.shape[:1]:
        raise InvalidVotes(
            f"codes have shape {codes_RN.shape}, sample counts {num_R.shape}; "
            "expected (R, N) and (R,), a row a replicate"
        )
    if codes_RN.dtype != np.uint8:
        raise InvalidVotes(f"codes are {codes_RN.dtype}; expected uint8 byte codes")
    if num_R.size and (num_R.dtype.kind not in "iu" or num_R.min() < 1):
        raise InvalidVotes(
            f"sample counts are {num_R.tolist()}; expected whole numbers >= 1"
        )
    p_RN = decode_votes(codes_RN)
    voted_RN = ~np.isnan(p_RN)
    weight_RN = num_R[:, None] * voted_RN
    strength_N = sum_voters(weight_RN)
    kept_N = sum_voters(weight_RN * np.where(voted_RN, p_RN, 0.0))
    some_N = strength_N > 0
    p_N = np.where(some_N, kept_N / np.where(some_N, strength_N, 1.0), np.nan)
    return p_N, strength_N
