"""Which lines fit a budget: whole lines by score, failures first.

L = lines
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from kompress.lines.cut import CHARS_PER_TOKEN
from kompress.lines.log_lines import LogLines
from kompress.types import BoolArray, FloatArray

_SURE = 1e-6  # no score counts as nearer to 0 or 1
_LINE_CHARS = 10  # what a line costs a reader beside its characters


def select_lines(score_L: FloatArray, log: LogLines, *, max_tokens: float) -> BoolArray:
    """Keep whole lines: one of each failure first, then what is worth its length.

    Of each distinct template that says failure one line goes before all others; where
    these alone are over the budget, the budget wins. A further line of a template is
    worth less than its first.

    Args:
        score_L: (L,) P(keep).
        log: the log.
        max_tokens: at most so many characters / 4, line ends included.

    Returns:
        (L,) which lines are kept.

    Source: ours; the discounts are those of docs/log.md 2026-12-01.
    """
    value_L = logit(np.clip(score_L, _SURE, 1 - _SURE))
    num_chars_L = log.lines.num_chars_L
    value_L = value_L - np.log1p(_place_in_template(value_L, log))
    value_L = value_L - 0.5 * np.log(num_chars_L + _LINE_CHARS)
    order = np.argsort(-value_L, kind="stable")
    is_floor_L = np.zeros(len(log), bool)
    is_floor_L[error_floor(order, log)] = True
    order = np.concatenate([order[is_floor_L[order]], order[~is_floor_L[order]]])
    return fill_budget(order, num_chars_L, max_tokens * CHARS_PER_TOKEN)


def select_by_score(
    score_L: FloatArray, log: LogLines, *, max_tokens: float
) -> BoolArray:
    """Keep whole lines by their score alone, of equal ones the earlier: a baseline.

    Args:
        score_L: (L,) any scores.
        log: the log.
        max_tokens: at most so many characters / 4, line ends included.
    """
    order = np.argsort(-score_L, kind="stable")
    return fill_budget(order, log.lines.num_chars_L, max_tokens * CHARS_PER_TOKEN)


def error_floor(order: NDArray[np.intp], log: LogLines) -> NDArray[np.intp]:
    """Give the first line in this order of each template that says failure."""
    says = order[log.failures.says_L[order]]
    _, first = np.unique(log.template_L[says], return_index=True)
    return says[np.sort(first)]


def fill_budget(
    order: NDArray[np.intp], num_chars_L: NDArray[np.int64], max_chars: float
) -> BoolArray:
    """Take lines in an order; one that no longer fits is passed over.

    Args:
        order: places of lines, each at most once.
        num_chars_L: (L,) what each costs.
        max_chars: what all may cost together.
    """
    kept_L = np.zeros(len(num_chars_L), bool)
    left = max_chars
    while len(order):
        order = order[num_chars_L[order] <= left]
        cost = np.cumsum(num_chars_L[order])
        num = int(np.searchsorted(cost, left, side="right"))
        if not num:
            break
        kept_L[order[:num]] = True
        left -= int(cost[num - 1])
        order = order[num:]
    return kept_L


def _place_in_template(value_L: FloatArray, log: LogLines) -> NDArray[np.int64]:
    """Give (L,) how many lines of the same template are worth more, or come earlier."""
    order = np.lexsort((-value_L, log.template_L))
    template_L = log.template_L[order]
    first_L = np.append(True, template_L[1:] != template_L[:-1])[: len(order)]
    place_L = np.arange(len(order))
    rank_L = place_L - np.maximum.accumulate(np.where(first_L, place_L, 0))
    found_L = np.empty(len(order), np.int64)
    found_L[order] = rank_L
    return found_L
