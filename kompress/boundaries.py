"""What stands before each word of a text: nothing, a line's end, a blank line.

N = words
"""

import numpy as np
from numpy.typing import ArrayLike

from kompress.types import BLANK_LINE, NEW_TEXT, CodeArray
from kompress.words import line_numbers


def boundaries_of(text: str) -> CodeArray:
    """Say of each word of one text what stands before it.

    Args:
        text: any string.

    Returns:
        (N,) uint8: 3 before the first word, else 0 on the same line, 1 on the next
        line, 2 with at least one line without words between.

    Source: ours.
    """
    return boundaries_of_lines(line_numbers(text))


def boundaries_of_lines(line_N: ArrayLike) -> CodeArray:
    """Say of each word of one text what stands before it, by the words' lines.

    Args:
        line_N: (N,) the line of each word, ascending.

    Returns:
        (N,) as of `boundaries_of`.

    Source: ours.
    """
    lines_N = np.asarray(line_N, dtype=np.int64)
    if not lines_N.size:
        return np.zeros(0, dtype=np.uint8)
    step_N = np.minimum(np.diff(lines_N), BLANK_LINE)
    return np.concatenate([[NEW_TEXT], step_N]).astype(np.uint8)
