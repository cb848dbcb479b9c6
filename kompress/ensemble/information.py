"""What votes tell of a word, in bits.

M = voters
"""

import itertools
from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from kompress.types import FloatArray


def entropy_bits(p: ArrayLike) -> FloatArray:
    """Give the entropy of a coin.

    Args:
        p: probabilities in [0, 1], any shape.

    Returns:
        −p·log2(p) − (1−p)·log2(1−p), in [0, 1]; 0 at 0 and 1.

    Source: Shannon 1948, section 6.
    """
    p = np.asarray(p, dtype=np.float64)
    q = 1 - p
    return np.asarray(
        -(p * np.log2(np.where(p > 0, p, 1)) + q * np.log2(np.where(q > 0, q, 1)))
    )


def joint_information(
    mean: FloatArray,
    sensitivity_M: FloatArray,
    specificity_M: FloatArray,
    count_M: Sequence[int],
) -> FloatArray:
    """Expect how much several unseen votes lower a word's entropy together.

    Args:
        mean: prior P(keep), any shape.
        sensitivity_M: (M, …) of each voter, the rest broadcasts against `mean`.
        specificity_M: likewise.
        count_M: (M,) votes of each voter.

    Returns:
        I(truth; votes) in bits, of the shape of `mean`; 0 without votes.

    Source: Shannon 1948; votes of one voter are exchangeable, so that their number of
    keeps is all that counts.
    """
    asked = [m for m, count in enumerate(count_M) if count]
    left = np.zeros_like(mean)
    for outcome in itertools.product(*(range(count_M[m] + 1) for m in asked)):
        keep, drop = mean, 1 - mean
        for m, kept in zip(asked, outcome, strict=True):
            dropped = count_M[m] - kept
            ways = comb(count_M[m], kept)
            sens, spec = sensitivity_M[m], specificity_M[m]
            keep = keep * ways * sens**kept * (1 - sens) ** dropped
            drop = drop * ways * (1 - spec) ** kept * spec**dropped
        chance = keep + drop
        left = left + chance * entropy_bits(keep / np.where(chance > 0, chance, 1))
    # Rounding may leave a vote that says nothing below 0.
    return np.maximum(entropy_bits(mean) - left, 0.0)
