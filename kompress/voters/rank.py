"""Turn scores into P(keep) so that a text keeps a chosen share of its words.

N = words
"""

import numpy as np

from kompress.types import FloatArray

# At 0.12 the best and the worst word of a text get .99 and .02 at a keep rate of .55,
# and the words within 7 % of the threshold stay between .36 and .64. Ours.
SOFTNESS = 0.12


def squash_rank(score_N: FloatArray, keep_rate: float) -> FloatArray:
    """Squash each word's rank within its text around the text's own quantile.

    The word with the r-th highest score, r from 0, gets
    1 / (1 + exp((u - keep_rate) / SOFTNESS)) with u = (r + 1/2) / N: at least one half
    exactly if u <= keep_rate. Equal scores rank by position, earlier first, as lead
    bias has it, so that a text of equals keeps its share as well.

    Args:
        score_N: (N,) finite scores, higher is better.
        keep_rate: share to keep, in [0, 1].

    Returns:
        (N,) P(keep), inside (0, 1).

    Source: percentile filtering as in Selective Context, Li et al. 2023, section 3.3;
    the squash is ours.
    """
    size = score_N.size
    order_N = np.argsort(-score_N, kind="stable")
    rank_N = np.empty(size)
    rank_N[order_N] = np.arange(size)
    place_N = (rank_N + 0.5) / max(size, 1)
    p_N: FloatArray = 1 / (1 + np.exp((place_N - keep_rate) / SOFTNESS))
    return p_N
