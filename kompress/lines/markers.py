"""Say once where lines are missing: how many, which, and whether any says failure.

A marker is a line of its own that begins with an ellipsis, so that no editor takes it
for code. L = lines
"""

from collections.abc import Iterator

import numpy as np

from kompress.lines.cut import count_tokens
from kompress.lines.log_lines import LogLines
from kompress.types import BoolArray

MAX_MARKER_TOKENS = 20


def describe_gap(first: int, last: int, num_failures: int) -> str:
    """Write the marker of a gap, its LF included; at most 20 tokens.

    Args:
        first: number of the first line left out, from 1.
        last: number of the last one.
        num_failures: how many of them say failure.
    """
    if first == last:
        gap = f"… 1 line left out ({first})"
    else:
        gap = f"… {last - first + 1} lines left out ({first}-{last})"
    return f"{gap}: {num_failures} of failure\n" if num_failures else f"{gap}\n"


def mark_gaps(log: LogLines, keep_L: BoolArray) -> str:
    """Join kept lines, a marker in place of each gap.

    Args:
        log: the log.
        keep_L: (L,) which lines are kept.
    """
    return "".join(_pieces(log, keep_L))


def fill_cheap_gaps(log: LogLines, keep_L: BoolArray) -> BoolArray:
    """Keep the lines of gaps that are no longer than their markers would be.

    Args:
        log: the log.
        keep_L: (L,) which lines are kept.
    """
    filled_L = keep_L.copy()
    num_chars_L = log.lines.num_chars_L
    for first, end in _gaps(keep_L):
        if num_chars_L[first:end].sum() <= len(_marker(log, first, end)):
            filled_L[first:end] = True
    return filled_L


def count_tokens_marked(log: LogLines, keep_L: BoolArray) -> float:
    """Give the tokens of kept lines and of the markers between them."""
    return count_tokens(len(mark_gaps(log, keep_L)))


def _pieces(log: LogLines, keep_L: BoolArray) -> Iterator[str]:
    place = 0
    for first, end in _gaps(keep_L):
        kept = "".join(log.lines.pieces[place:first])
        # The text's last line may lack its end; no gap follows it.
        yield kept
        yield _marker(log, first, end)
        place = end
    yield "".join(log.lines.pieces[place:])


def _marker(log: LogLines, first: int, end: int) -> str:
    return describe_gap(first + 1, end, int(log.failures.says_L[first:end].sum()))


def _gaps(keep_L: BoolArray) -> Iterator[tuple[int, int]]:
    """Give each stretch of lines that are left out, its end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], keep_L, [True]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
