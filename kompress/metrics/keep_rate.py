"""Keep the highest-scored share of a text's words; nothing here knows must-keep words.

N = words of one text
"""

from fractions import Fraction

import numpy as np

from kompress.errors import InvalidConfig
from kompress.types import BoolArray, FloatArray


def count_kept(num_words: int, keep_rate: float) -> int:
    """Round keep_rate · num_words half up, exactly.

    The rate is read as the decimal that it prints as: 0.7 is seven tenths, not the
    binary float just below it, so 0.7 of 15 words is 10.5 and rounds to 11.

    Args:
        num_words: words of the text, at least 0.
        keep_rate: share of words to keep, in [0, 1].

    Returns:
        A count in 0..num_words.

    Raises:
        InvalidConfig: keep_rate lies outside [0, 1] or is NaN.

    Source: design §1 "Exactly"; ours.
    """
    if not 0.0 <= keep_rate <= 1.0:
        raise InvalidConfig(
            f"keep_rate is {keep_rate}; expected a share in [0, 1]; "
            "give 0.8 to keep four words of five"
        )
    rate = Fraction(repr(float(keep_rate)))
    doubled = 2 * rate.numerator * num_words + rate.denominator
    return doubled // (2 * rate.denominator)


def keep_top(score_N: FloatArray, keep_rate: float) -> BoolArray:
    """Keep the round-half-up(keep_rate · N) highest-scored words, ties to the earlier.

    Args:
        score_N: (N,) scores, any scale; NaN counts as the lowest.
        keep_rate: share of words to keep, in [0, 1].

    Returns:
        (N,) keep mask.

    Raises:
        InvalidConfig: keep_rate lies outside [0, 1] or is NaN.

    Source: design §1 "Exactly"; ours.
    """
    score_N = np.asarray(score_N, dtype=np.float64)
    num_kept = count_kept(score_N.size, keep_rate)
    # NaN sorts last, and a stable sort leaves equal scores in the order of the text.
    order_N = np.argsort(-score_N, kind="stable")
    keep_N = np.zeros(score_N.size, dtype=np.bool_)
    keep_N[order_N[:num_kept]] = True
    return keep_N
