"""Keep whole lines by what a student says of their words.

N = words of one text, L = its lines
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidConfig
from kompress.lines.cut import CHARS_PER_TOKEN, cut_lines
from kompress.lines.log_lines import LogLines, prepare_log
from kompress.lines.markers import count_tokens_marked, fill_cheap_gaps, mark_gaps
from kompress.lines.selection import select_lines
from kompress.types import BoolArray, FloatArray
from kompress.words import line_numbers

NUM_BEST = 3  # words of a line that speak for it
NUM_HALVINGS = 12  # of a budget, to find what markers leave of it


@dataclass(frozen=True, slots=True)
class KeptLines:
    """Whole lines of a text.

    Attributes:
        text: the kept lines as they are, with a marker for each gap if asked for.
        keep_N: (N,) which words stand in kept lines; a marker's words are none.
        keep_L: (L,) which lines are kept.
        score_L: (L,) the scores behind it.
    """

    text: str
    keep_N: BoolArray
    keep_L: BoolArray
    score_L: FloatArray


def line_budget(
    text: str, *, keep_rate: float | None, max_tokens: float | None
) -> float:
    """Give the tokens that lines may have.

    Args:
        text: the whole text.
        keep_rate: share of its characters, None if max_tokens says it.
        max_tokens: the tokens themselves, None if keep_rate says them.

    Raises:
        InvalidConfig: both or neither is given, or one is out of its range.
    """
    if (keep_rate is None) == (max_tokens is None):
        raise InvalidConfig(
            f"keep_rate is {keep_rate} and max_tokens {max_tokens}; expected one of "
            "the two for whole lines; give max_tokens=2000 or keep_rate=0.3"
        )
    if max_tokens is not None:
        return max_tokens
    if keep_rate is None or not 0 <= keep_rate <= 1:
        raise InvalidConfig(
            f"keep_rate is {keep_rate}; expected a share in [0, 1]; "
            "give 0.3 to keep three characters of ten"
        )
    return keep_rate * len(text) / CHARS_PER_TOKEN


def pool_words(
    score_N: FloatArray, line_N: NDArray[np.intp], num_lines: int
) -> FloatArray:
    """Give each line the mean score of its three best words; 0 for a line without any.

    A line's mean would drown one word that matters in filler; its best word alone would
    keep every line with a number in it.

    Args:
        score_N: (N,) scores of words, in [0, 1].
        line_N: (N,) the line of each word, ascending.
        num_lines: L.

    Source: ours.
    """
    order = np.lexsort((-score_N, line_N))
    line_N = line_N[order]
    place_N = np.arange(len(order)) - np.searchsorted(line_N, line_N)
    best_N = place_N < NUM_BEST
    size_L = np.bincount(line_N[best_N], minlength=num_lines)
    sum_L = np.bincount(line_N[best_N], score_N[order][best_N], minlength=num_lines)
    pooled_L: FloatArray = sum_L / np.maximum(size_L, 1)
    return pooled_L


def keep_lines(
    text: str, score_N: FloatArray, *, max_tokens: float, markers: bool
) -> KeptLines:
    """Shorten a text by whole lines, each failure once before anything else.

    Args:
        text: any text.
        score_N: (N,) scores of its words, in [0, 1].
        max_tokens: at most so many characters / 4, markers included.
        markers: say in place of each gap what is missing; a gap that is shorter than
            its marker is kept instead.

    Raises:
        InvalidConfig: max_tokens is negative or NaN.
    """
    if not max_tokens >= 0:
        raise InvalidConfig(
            f"max_tokens is {max_tokens}; expected a number of at least 0; "
            "give the tokens that the text may have"
        )
    log = prepare_log(cut_lines(text))
    line_N = line_numbers(text)
    score_L = pool_words(score_N, line_N, len(log))
    if markers:
        keep_L = _select_marked(score_L, log, max_tokens)
        shown = mark_gaps(log, keep_L)
    else:
        keep_L = select_lines(score_L, log, max_tokens=max_tokens)
        shown = log.lines.keep(keep_L)
    if len(shown) > max_tokens * CHARS_PER_TOKEN:
        # Not even a marker fits.
        shown = ""
    return KeptLines(shown, keep_L[line_N], keep_L, score_L)


def _select_marked(score_L: FloatArray, log: LogLines, max_tokens: float) -> BoolArray:
    """Keep what fits beside its markers: the largest budget of lines, by bisection."""
    best_L = np.zeros(len(log), bool)
    low, high = 0.0, max_tokens
    budget = high
    for _ in range(NUM_HALVINGS):
        keep_L = fill_cheap_gaps(log, select_lines(score_L, log, max_tokens=budget))
        if count_tokens_marked(log, keep_L) <= max_tokens:
            best_L, low = keep_L, budget
        else:
            high = budget
        budget = (low + high) / 2
    return best_L
