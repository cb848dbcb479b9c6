"""Cut a voter's P(keep) into levels: what it says more often is told apart more finely.

A voter of yes and no has two levels, one of five samples six; of one that states any
probability the levels of each side hold about equally many votes.

P = patterns, L = levels, C = byte codes
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.types import ABSTAIN, NUM_CODES, CodeArray, FloatArray

MAX_LEVELS = 16  # docs/log.md 2026-11-21: 8 cost 2 % of log-loss, 40 as much by noise
SILENT = -1
P_OF_CODE: FloatArray = (np.arange(NUM_CODES) + 0.5) / NUM_CODES


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The levels of one voter.

    Attributes:
        level_C: (255,) the level of each byte code, ascending.
        center_L: (L,) mean P(keep) of the votes in a level, ascending.
        share_L: (L,) share of the votes in a level; sums to 1.
    """

    level_C: NDArray[np.intp]
    center_L: FloatArray
    share_L: FloatArray

    @property
    def size(self) -> int:
        """L."""
        return int(self.center_L.size)

    @property
    def keeps_L(self) -> NDArray[np.bool_]:
        """(L,) whether votes of a level keep a word, P(keep) >= 1/2."""
        keeps_L: NDArray[np.bool_] = self.center_L >= 0.5
        return keeps_L

    @property
    def within_L(self) -> FloatArray:
        """(L,) logarithm of a level's share of the votes of its side."""
        keep = self.share_L[self.keeps_L].sum()
        side_L = np.where(self.keeps_L, keep, 1 - keep)
        within_L: FloatArray = np.log(self.share_L / side_L)
        return within_L

    def read(self, code_P: CodeArray) -> NDArray[np.intp]:
        """Give the level of each vote, `SILENT` for an abstention."""
        table = np.append(self.level_C, SILENT)
        return table[code_P]


def cut_levels(code_P: CodeArray, weight_P: FloatArray) -> Levels:
    """Choose levels for one voter.

    Args:
        code_P: (P,) its byte codes, 255 where it abstained; at least one vote.
        weight_P: (P,) words behind each.

    Returns:
        At most 16 levels; none holds votes of both sides of 1/2.

    Source: equal-frequency binning, Dougherty et al. 1995; by side: ours.
    """
    voted_P = code_P != ABSTAIN
    weight_C = np.bincount(
        code_P[voted_P], weights=weight_P[voted_P], minlength=NUM_CODES
    ).astype(np.float64)
    first = np.zeros(NUM_CODES, dtype=np.bool_)
    for side in (P_OF_CODE < 0.5, P_OF_CODE >= 0.5):
        seen = np.flatnonzero(side & (weight_C > 0))
        if seen.size:
            first[_starts(seen, weight_C)] = True
    starts = np.flatnonzero(first)
    # A code nobody used yet belongs to the nearest level below it, or to the first.
    level_C = np.maximum(np.cumsum(first) - 1, 0)
    total_L = np.bincount(level_C, weights=weight_C, minlength=starts.size)
    sum_L = np.bincount(level_C, weights=weight_C * P_OF_CODE, minlength=starts.size)
    return Levels(level_C, sum_L / total_L, total_L / total_L.sum())


def _starts(seen: NDArray[np.intp], weight_C: FloatArray) -> NDArray[np.intp]:
    """Give the first code of each level of one side."""
    most = MAX_LEVELS // 2
    if seen.size <= most:
        return seen
    before = np.cumsum(weight_C[seen]) - weight_C[seen]
    bin_of = np.floor(before / weight_C[seen].sum() * most).astype(np.intp)
    is_first = np.append(True, bin_of[1:] != bin_of[:-1])
    starts: NDArray[np.intp] = seen[is_first]
    return starts
