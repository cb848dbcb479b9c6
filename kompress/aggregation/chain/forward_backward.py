"""The exact posterior of a two-state chain along each of many texts.

Odds instead of probabilities: one number a word and direction, and no underflow. Texts
are passed side by side, a place at a time; what comes out of a text does not depend on
which texts are beside it, bit for bit.

N = words, D = texts, Z = truths (drop, keep), B = boundaries (see `kompress.types`)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp2, xlogy

from kompress.aggregation.chain.texts import text_starts
from kompress.types import NEW_TEXT, CodeArray, FloatArray

# Beyond σ(30) a float64 has little room.
MAX_EVIDENCE = 30.0
_LOG2_E = 1 / np.log(2.0)
# Words that are passed at once; temporaries of so many stay small.
_BATCH_WORDS = 2**20
# Fewer texts than this are faster one by one, in Python's own floats (the same bits).
_FEW = 6


@dataclass(frozen=True, slots=True, eq=False)
class ChainPass:
    """What a pass leaves of each word.

    Attributes:
        odds_N: (N,) odds of keep given the words up to this one.
        back_N: (N,) likelihood ratio of keep, of the words after it.
        before_N: (N,) odds of keep given the words before it.
    """

    odds_N: FloatArray
    back_N: FloatArray
    before_N: FloatArray

    @property
    def log_odds_N(self) -> FloatArray:
        """(N,) log-odds of keep given the whole text."""
        return log(self.odds_N) + log(self.back_N)

    @property
    def log_likelihood(self) -> float:
        """Logarithm of what all evidence together says, over all texts."""
        return float((log(1 + self.odds_N) - log(1 + self.before_N)).sum())


def run_chain(
    evidence_N: FloatArray, boundary_N: CodeArray, transition_BZZ: FloatArray
) -> ChainPass:
    """Pass along every text, forwards and backwards.

    Args:
        evidence_N: (N,) log-likelihood ratio of keep of each word by itself; beyond
            ±30 it counts as that.
        boundary_N: (N,) what stands before each word; 3 begins a text.
        transition_BZZ: (4, 2, 2) P(truth | truth of the word before) by boundary; at 3
            both rows are P(truth of a first word).

    Returns:
        The pass; exact up to rounding.

    Source: forward-backward, Rabiner 1989, section III; in odds: ours.
    """
    ratio_N = exp(np.clip(evidence_N, -MAX_EVIDENCE, MAX_EVIDENCE))
    out = ChainPass(*(np.empty(ratio_N.size) for _ in range(3)))
    for part in _batches(boundary_N):
        own = _pass(ratio_N[part], boundary_N[part], transition_BZZ)
        out.odds_N[part], out.back_N[part], out.before_N[part] = own
    return out


def exp(values: FloatArray) -> FloatArray:
    """Exponentiate, element by element: the bits do not depend on the neighbours."""
    result: FloatArray = exp2(values * _LOG2_E)
    return result


def log(values: FloatArray) -> FloatArray:
    """Take logarithms, element by element; see `exp`."""
    result: FloatArray = xlogy(1.0, values)
    return result


def _batches(boundary_N: CodeArray) -> Iterator[slice]:
    """Cut words into whole texts of about `_BATCH_WORDS` together."""
    start, size = 0, boundary_N.size
    starts = text_starts(boundary_N)
    while start < size:
        place = np.searchsorted(starts, start + _BATCH_WORDS)
        end = int(starts[place]) if place < starts.size else size
        yield slice(start, end)
        start = end


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Words by place in their text, the longest texts first at each place."""

    index_N: NDArray[np.intp]
    size_T: NDArray[np.intp]
    offset_T: NDArray[np.intp]

    @classmethod
    def of(cls, boundary_N: CodeArray) -> "_Order":
        first_D = text_starts(boundary_N)
        size_D = np.diff(np.append(first_D, boundary_N.size))
        order = np.argsort(-size_D, kind="stable")
        first_D, size_D = first_D[order], size_D[order]
        longest = int(size_D[0]) if size_D.size else 0
        size_T = np.searchsorted(-size_D, -np.arange(longest), side="left")
        offset_T = np.append(0, np.cumsum(size_T))
        place_N = np.repeat(np.arange(longest), size_T)
        rank_N = np.arange(boundary_N.size) - np.repeat(offset_T[:-1], size_T)
        return cls(first_D[rank_N] + place_N, size_T, offset_T)


def _pass(
    ratio_N: FloatArray, boundary_N: CodeArray, transition_BZZ: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    order = _Order.of(boundary_N)
    ratio, boundary = ratio_N[order.index_N], boundary_N[order.index_N]
    odds, back, before = (np.empty(ratio.size) for _ in range(3))
    table = tuple(np.ascontiguousarray(transition_BZZ[:, a, b]) for a, b in _CELLS)
    num_wide = int((order.size_T >= _FEW).sum())
    start = transition_BZZ[NEW_TEXT, 0, 1] / transition_BZZ[NEW_TEXT, 0, 0]
    for t in range(num_wide):
        here = slice(order.offset_T[t], order.offset_T[t + 1])
        if t:
            last = odds[order.offset_T[t - 1] :][: order.size_T[t]]
            dd, dk, kd, kk = (cell[boundary[here]] for cell in table)
            before[here] = (kk * last + dk) / (kd * last + dd)
        else:
            before[here] = start
        odds[here] = ratio[here] * before[here]
    if num_wide < order.size_T.size:
        tail = _Tail(order, num_wide, tuple(cell.tolist() for cell in table))
        tail.run(ratio, boundary, start, odds, back, before)
    last_wide = num_wide - 1
    for t in range(last_wide, -1, -1):
        here = slice(order.offset_T[t], order.offset_T[t + 1])
        # Texts that end here; `_Tail` has filled in those that go on.
        going = order.size_T[t + 1] if t + 1 < order.size_T.size else 0
        back[order.offset_T[t] + going : order.offset_T[t + 1]] = 1.0
        if going and t < last_wide:
            then = slice(order.offset_T[t + 1], order.offset_T[t + 1] + going)
            seen = ratio[then] * back[then]
            dd, dk, kd, kk = (cell[boundary[then]] for cell in table)
            back[here.start : here.start + going] = (kk * seen + kd) / (dk * seen + dd)
    result = []
    for values in (odds, back, before):
        flat = np.empty(values.size)
        flat[order.index_N] = values
        result.append(flat)
    return result[0], result[1], result[2]


# (truth before, truth) of the four cells that a step reads.
_CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True, slots=True)
class _Tail:
    """The ends of the few longest texts, one after the other."""

    order: _Order
    first: int
    table: tuple[list[float], ...]

    def run(
        self,
        ratio: FloatArray,
        boundary: CodeArray,
        start: float,
        odds: FloatArray,
        back: FloatArray,
        before: FloatArray,
    ) -> None:
        """Fill in, for each of these texts, its words from place `first` on."""
        order, first = self.order, self.first
        dd, dk, kd, kk = self.table
        for rank in range(int(order.size_T[first])):
            length = int((order.size_T > rank).sum())
            place = order.offset_T[first:length] + rank
            ratios, steps = ratio[place].tolist(), boundary[place].tolist()
            last = float(odds[order.offset_T[first - 1] + rank]) if first else 0.0
            seen, told = [], []
            for n, (own, b) in enumerate(zip(ratios, steps, strict=True)):
                if n or first:
                    prior = (kk[b] * last + dk[b]) / (kd[b] * last + dd[b])
                else:
                    prior = start
                last = own * prior
                told.append(prior)
                seen.append(last)
            odds[place], before[place] = seen, told
            after, value = [1.0], 1.0
            for own, b in zip(ratios[::-1], steps[::-1], strict=True):
                x = own * value
                value = (kk[b] * x + kd[b]) / (dk[b] * x + dd[b])
                after.append(value)
            back[place] = after[-2::-1]
            if first:
                back[order.offset_T[first - 1] + rank] = after[-1]
