"""How far voters differ beyond what their own samples explain.

M = voters, C = words of one block
"""

import numpy as np

from kompress.aggregation.votes import sum_voters
from kompress.types import BoolArray, FloatArray


def between_variance(
    y_MC: FloatArray, w_MC: FloatArray, voted_MC: BoolArray
) -> FloatArray:
    """Estimate τ², the variance between voters, word by word.

    With V votes of means y and weights w = 1 / variance, Q = Σ w (y - Σwy/Σw)² has
    expectation V - 1 where all mean the same; what is above that is theirs:
    τ² = max(0, Q - (V - 1)) / (Σw - Σw²/Σw).

    Args:
        y_MC: (M, C) means of the votes.
        w_MC: (M, C) inverse variances; 0 where there is no vote.
        voted_MC: (M, C) whether there is a vote.

    Returns:
        (C,) τ² >= 0; 0 for fewer than two votes.

    Source: DerSimonian & Laird 1986, equation 8.
    """
    votes_C = sum_voters(voted_MC)
    w_C = sum_voters(w_MC)
    safe_C = np.where(votes_C > 0, w_C, 1.0)
    centre_C = sum_voters(w_MC * y_MC) / safe_C
    gap_MC = y_MC - centre_C
    q_C = sum_voters(w_MC * gap_MC * gap_MC)
    spread_C = w_C - sum_voters(w_MC * w_MC) / safe_C
    excess_C = np.maximum(q_C - (votes_C - 1), 0.0)
    several_C = (votes_C > 1) & (spread_C > 0)
    divisor_C = np.where(several_C, spread_C, 1.0)
    return np.where(several_C, excess_C / divisor_C, 0.0)
