"""What copies of one voter say together.

M = voters, K = words of one block
"""

from collections.abc import Sequence

import numpy as np

from kompress.types import ABSTAIN, CodeArray, FloatArray


def common_vote(code_MK: CodeArray, columns: Sequence[int]) -> CodeArray:
    """Take the middle of the highest and the lowest vote of those copies that voted.

    Voters that never differed may differ from now on. Their mean would give a voter
    and its copy two says; the middle is the same however many say it.

    Args:
        code_MK: (M, K) byte codes of all voters.
        columns: the copies.

    Returns:
        (K,) byte codes, `ABSTAIN` where all of them are silent.

    Source: ours.
    """
    if len(columns) == 1:
        code_K: CodeArray = code_MK[columns[0]]
        return code_K
    own_MK = code_MK[list(columns)]
    # ABSTAIN is the highest code: silent copies leave the lowest as it is.
    lowest_K = own_MK.min(axis=0)
    highest_K = np.where(own_MK == ABSTAIN, 0, own_MK).max(axis=0)
    middle_K = (lowest_K.astype(np.uint16) + highest_K) // 2
    return np.where(lowest_K == ABSTAIN, ABSTAIN, middle_K).astype(np.uint8)


def common_scale(
    code_MK: CodeArray, scale_MK: FloatArray, columns: Sequence[int]
) -> FloatArray:
    """Take the largest scale of those copies that voted on a word; 1 for none.

    Args:
        code_MK: (M, K) byte codes of all voters.
        scale_MK: (M, K) what each vote counts beside a usual one.
        columns: the copies.

    Returns:
        (K,) what their common vote counts.

    Source: ours.
    """
    own = list(columns)
    scale_K: FloatArray = np.where(code_MK[own] != ABSTAIN, scale_MK[own], 0).max(0)
    return np.where(scale_K > 0, scale_K, 1.0)
