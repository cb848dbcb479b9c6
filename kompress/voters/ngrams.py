"""Count n-grams of numbered words and ask how surprising a word is.

N = words of a text, V = vocabulary, K = distinct n-grams, H = distinct histories
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.types import FloatArray

IntArray = NDArray[np.int64]
# No word holds a separator, so no word can be mistaken for a shape.
SHAPE_MARK = " "
MAX_SHAPE_CHARS = 8
MAX_WORD_CHARS = 100  # of an endless word only the start is looked at
_LETTERS, _DIGITS = re.compile(r"[^\W\d_]+"), re.compile(r"\d+")


class NgramModel:
    """An interpolated trigram model, Witten-Bell smoothed.

    P(w | h) = (c(hw) + T(h) P(w | h')) / (c(h) + T(h)), T(h) being the number of
    different words seen after h and h' the history without its first word; below the
    unigram, words are uniform. A word that stands for `members` others shares its
    probability equally among them and one more, the next new one.

    Source: Witten & Bell 1991, method C; Jelinek & Mercer 1980 for interpolation.
    """

    def __init__(
        self,
        orders: tuple[tuple[IntArray, IntArray], ...],
        members_V: NDArray[Any],
    ) -> None:
        self._size = members_V.size
        self._members_V: FloatArray = np.log(np.maximum(members_V, 1))
        self._tables = [_Table(grams, counts, self._size) for grams, counts in orders]

    def information(self, numbers_N: IntArray) -> FloatArray:
        """Measure how surprising each word is after the two before it.

        Args:
            numbers_N: (N,) word numbers below V.

        Returns:
            (N,) -log P in nats, > 0.

        Source: Shannon 1948; see the class.
        """
        p_N = np.full(numbers_N.size, 1 / self._size)
        for order, table in enumerate(self._tables, start=1):
            p_N = table.interpolate(ngram_keys(numbers_N, order, self._size), p_N)
        information_N: FloatArray = self._members_V[numbers_N] - np.log(p_N)
        return information_N


class _Table:
    """The n-grams of one order: counts by n-gram, totals by history."""

    def __init__(self, grams_K: IntArray, counts_K: IntArray, size: int) -> None:
        self._size = size
        self._grams_K = grams_K
        self._counts_K: FloatArray = counts_K.astype(np.float64)
        # Keys are sorted, so the n-grams of one history lie side by side.
        history_K = grams_K // size
        self._histories_H, first_H = np.unique(history_K, return_index=True)
        ends_H = np.append(first_H[1:], grams_K.size)
        self._types_H: FloatArray = (ends_H - first_H).astype(np.float64)
        sums = np.concatenate(([0.0], np.cumsum(self._counts_K)))
        self._totals_H: FloatArray = sums[ends_H] - sums[first_H]

    def interpolate(self, keys_N: IntArray, lower_N: FloatArray) -> FloatArray:
        """Mix this order's counts with the lower order's probabilities."""
        history_N = keys_N // self._size
        place_N, seen_N = _find(self._histories_H, history_N)
        if not seen_N.any():
            return lower_N
        types_N = np.where(seen_N, self._types_H[place_N], 1.0)
        totals_N = np.where(seen_N, self._totals_H[place_N], 0.0)
        gram_N, known_N = _find(self._grams_K, keys_N)
        counts_N = np.where(known_N, self._counts_K[gram_N], 0.0)
        mixed_N: FloatArray = (counts_N + types_N * lower_N) / (totals_N + types_N)
        return mixed_N


def count_ngrams(
    texts: Sequence[IntArray], *, order: int, size: int
) -> tuple[IntArray, IntArray]:
    """Count the n-grams of one order.

    Args:
        texts: word numbers of each text; n-grams do not cross texts.
        order: 1, 2 or 3.
        size: V, so that size ** order fits in 63 bits.

    Returns:
        (K,) keys, ascending, as `ngram_keys` makes them, and (K,) counts.
    """
    keys = [ngram_keys(numbers_N, order, size) for numbers_N in texts]
    every = np.concatenate([*keys, np.zeros(0, dtype=np.int64)])
    grams_K, counts_K = np.unique(every, return_counts=True)
    return grams_K, counts_K.astype(np.int64)


def ngram_keys(numbers_N: IntArray, order: int, size: int) -> IntArray:
    """Pack each word and those before it into one whole number.

    Before the text's first word stands word 0, the unknown one.

    Args:
        numbers_N: (N,) word numbers below `size`.
        order: how many words a key holds, the last one being the word itself.
        size: V.

    Returns:
        (N,) keys; key // size is the history.
    """
    keys_N = numbers_N.copy()
    for back in range(1, min(order, numbers_N.size + 1)):
        keys_N[back:] += numbers_N[: numbers_N.size - back] * size**back
    return keys_N


@lru_cache(maxsize=65_536)
def word_shape(word: str) -> str:
    """Give the shape of a rare word: letters a, digits 0, runs as one.

    Args:
        word: a lower-cased word without a separator, cut to `MAX_WORD_CHARS`.

    Returns:
        At most `MAX_SHAPE_CHARS` characters after `SHAPE_MARK`: "v1.25-rc" gives
        " a0.0-a".

    Source: word classes by shape, Bikel et al. 1997; ours.
    """
    shape = _DIGITS.sub("0", _LETTERS.sub("a", word))
    return SHAPE_MARK + shape[:MAX_SHAPE_CHARS]


def _find(sorted_K: IntArray, wanted_N: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """Give each wanted key's place, and whether it is really there."""
    if not sorted_K.size:
        return np.zeros(wanted_N.size, dtype=np.int64), np.zeros(wanted_N.size, bool)
    place_N = np.minimum(np.searchsorted(sorted_K, wanted_N), sorted_K.size - 1)
    return place_N, sorted_K[place_N] == wanted_N
