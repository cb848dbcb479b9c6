"""How much a document's label changes what a student says of it.

N = words of one text
"""

import numpy as np

from kompress.errors import InvalidSelection
from kompress.types import FloatArray


def influence(seen_N: FloatArray, unseen_N: FloatArray) -> float:
    """Average the squared change of a student's score by having seen the document.

    A residual alone is large where nothing can be learned, too: where a label is a
    coin's toss, or where students already say what the label's posterior says on
    average. Students that learned from the document differ from one that did not by
    what its label teaches (and by their other documents: how little they are sure).

    Args:
        seen_N: (N,) scores of a student that learned from the document, in [0, 1].
        unseen_N: (N,) scores of the one whose fold left it out.

    Returns:
        The mean over words, in [0, 1]; 0 for a text without words.

    Raises:
        InvalidSelection: the scores are not two arrays of N numbers within [0, 1].

    Source: the numerator of Cook's distance (Cook 1977), by fold instead of by
    document; as a weight of sampling: ours.
    """
    both = [np.asarray(scores, dtype=np.float64) for scores in (seen_N, unseen_N)]
    inside = all(((scores >= 0) & (scores <= 1)).all() for scores in both)
    if both[0].shape != both[1].shape or both[0].ndim != 1 or not inside:
        raise InvalidSelection(
            f"scores have shapes {both[0].shape} and {both[1].shape} or leave [0, 1]; "
            "expected (N,) each; score the same text with both students"
        )
    return float(np.square(both[0] - both[1]).mean()) if both[0].size else 0.0
