"""Cut a voter's P(keep) into bins: what it says more often is told apart more finely.

A voter of yes and no has two bins, one of five samples six; of one that states any
probability the bins of each side hold about equally many votes.

P = patterns, L = bins, C = byte codes
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.types import (
    ABSTAIN,
    KEEPS_FROM,
    NUM_CODES,
    P_OF_CODE,
    CodeArray,
    FloatArray,
)

MAX_BINS = 16  # docs/log.md 2026-11-21: 8 cost 2 % of log-loss, 40 as much by noise
SILENT = -1
_UNUSED = 1e-6  # share of a bin that was never used: less than one word in any round


@dataclass(frozen=True, slots=True, eq=False)
class QuantileBins:
    """The bins of one voter.

    Attributes:
        bin_C: (255,) the bin of each byte code, ascending.
        center_L: (L,) mean P(keep) of the votes in a bin, ascending.
        share_L: (L,) share of the votes in a bin; sums to 1, or to 0 where there is
            no vote.
    """

    bin_C: NDArray[np.intp]
    center_L: FloatArray
    share_L: FloatArray

    @property
    def size(self) -> int:
        """L."""
        return int(self.center_L.size)

    @property
    def keeps_L(self) -> NDArray[np.bool_]:
        """(L,) whether votes of a bin keep a word, P(keep) >= 1/2."""
        keeps_L: NDArray[np.bool_] = self.center_L >= 0.5
        return keeps_L

    @property
    def within_L(self) -> FloatArray:
        """(L,) logarithm of a bin's share of the votes of its side."""
        share_L = self.share_L + _UNUSED
        keep, drop = share_L[self.keeps_L].sum(), share_L[~self.keeps_L].sum()
        within_L: FloatArray = np.log(share_L / np.where(self.keeps_L, keep, drop))
        return within_L

    @property
    def is_heard(self) -> bool:
        """Whether there was any vote."""
        return bool(self.share_L.any())

    def read(self, code_P: CodeArray) -> NDArray[np.intp]:
        """Give the bin of each vote, `SILENT` for an abstention."""
        table = np.append(self.bin_C, SILENT)
        return table[code_P]


def cut_bins(code_P: CodeArray, weight_P: FloatArray) -> QuantileBins:
    """Choose bins for one voter.

    Args:
        code_P: (P,) its byte codes, 255 where it abstained.
        weight_P: (P,) words behind each.

    Returns:
        At most 16 bins, at least one each side of 1/2; none holds votes of both.

    Source: equal-frequency binning, Dougherty et al. 1995; by side: ours.
    """
    voted_P = code_P != ABSTAIN
    weight_C = np.bincount(
        code_P[voted_P], weights=weight_P[voted_P], minlength=NUM_CODES
    ).astype(np.float64)
    first = np.zeros(NUM_CODES, dtype=np.bool_)
    for side in (P_OF_CODE < 0.5, P_OF_CODE >= 0.5):
        seen = np.flatnonzero(side & (weight_C > 0))
        # A side that was never taken is a bin all the same: it may be yet.
        first[_starts(seen, weight_C) if seen.size else side.argmax()] = True
    size = int(first.sum())
    # A code nobody used yet belongs to the nearest bin of its side below it, or to
    # the side's first.
    number_C = np.cumsum(first) - 1
    num_drops = int(first[:KEEPS_FROM].sum())
    bin_C = np.maximum(number_C, np.where(P_OF_CODE < 0.5, 0, num_drops))
    # An unused bin lies in the middle of its codes.
    used_L = np.bincount(bin_C, weights=weight_C, minlength=size)
    counted_C = np.where(used_L[bin_C] > 0, weight_C, 1.0)
    total_L = np.bincount(bin_C, weights=counted_C, minlength=size)
    sum_L = np.bincount(bin_C, weights=counted_C * P_OF_CODE, minlength=size)
    return QuantileBins(bin_C, sum_L / total_L, used_L / max(used_L.sum(), 1.0))


def _starts(seen: NDArray[np.intp], weight_C: FloatArray) -> NDArray[np.intp]:
    """Give the first code of each bin of one side."""
    most = MAX_BINS // 2
    if seen.size <= most:
        return seen
    before = np.cumsum(weight_C[seen]) - weight_C[seen]
    bin_of = np.floor(before / weight_C[seen].sum() * most).astype(np.intp)
    is_first = np.append(True, bin_of[1:] != bin_of[:-1])
    starts: NDArray[np.intp] = seen[is_first]
    return starts
