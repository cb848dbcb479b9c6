"""Keys and values that live or die together: `key: value`, `key = value`, JSON.

A value without its key reads as another's, and a key without its value reads as empty.
`key=value` is one word and needs no help. N = words of one text
"""

import re
from dataclasses import dataclass, field

import numpy as np

from kompress.types import BoolArray, FloatArray

# `enabled:`, `"ok":`, `{"ok":`, `user=`; no times, no places such as main.c:10:
_KEY = re.compile(r"""[{\[(,]*["']?[^\W\d][\w.$/@-]*["']?(?::|=|:=|=>)""")
# A name before a sign that stands alone: `retries = 3`.
_NAME = re.compile(r"""[{\[(,]*["']?[^\W\d][\w.$/@-]*["']?""")
_SIGNS = frozenset(("=", ":", ":=", "=>"))


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of a text, by word numbers; `stop` is after the last word.

    Attributes:
        whole: (start, stop) of keys with a value of one piece: all of it or nothing.
        led: (start, first, stop) of a key and the words after it on its line: the key
            lives as long as one of them does.
    """

    whole: list[tuple[int, int]] = field(default_factory=list)
    led: list[tuple[int, int, int]] = field(default_factory=list)

    def rank(self, rank_N: FloatArray) -> FloatArray:
        """Give every word of a pair the rank that decides for the pair.

        Args:
            rank_N: (N,) the words' own, +inf for words that stay whatever their score.

        Returns:
            (N,) the greatest of a pair's words for each; of a led key the greatest of
            the words it leads, if it is not +inf itself.
        """
        joint_N = np.array(rank_N, dtype=np.float64)
        for start, stop in self.whole:
            joint_N[start:stop] = joint_N[start:stop].max()
        for start, first, stop in self.led:
            key = joint_N[start:first]
            key[:] = np.where(key.max() == np.inf, np.inf, joint_N[first:stop].max())
        return joint_N

    def settle(self, keep_N: BoolArray, forced_N: BoolArray) -> BoolArray:
        """Drop what a rate cut in the middle of a pair.

        Args:
            keep_N: (N,) the words chosen by `rank`.
            forced_N: (N,) words that stay.

        Returns:
            (N,) no more words than before; a forced word's pair stays whole.
        """
        settled_N = keep_N.copy()
        for start, stop in self.whole:
            if not keep_N[start:stop].all() and not forced_N[start:stop].any():
                settled_N[start:stop] = False
        for start, first, stop in self.led:
            if not settled_N[first:stop].any() and not forced_N[start:first].any():
                settled_N[start:first] = False
        return settled_N


def find_pairs(text: str) -> Pairs:
    """Find the pairs of a text, line by line.

    Args:
        text: any text.

    Source: ours; scalars as in YAML 1.2 and RFC 8259, one line each.
    """
    pairs = Pairs()
    number = 0
    for line in text.split("\n"):
        words = line.split()
        keys = list(_find_keys(words))
        for place, (start, first) in enumerate(keys):
            is_last = place + 1 == len(keys)
            end = len(words) if is_last else keys[place + 1][0]
            stop = _end_of_value(words, first, end)
            if stop:
                pairs.whole.append((number + start, number + stop))
            elif first < end:
                pairs.led.append((number + start, number + first, number + end))
        number += len(words)
    return pairs


def _find_keys(words: list[str]) -> list[tuple[int, int]]:
    """Give (its first word, the first word after it) for each key of a line."""
    found = []
    for at, word in enumerate(words):
        if _KEY.fullmatch(word):
            found.append((at, at + 1))
        elif word in _SIGNS and at and _NAME.fullmatch(words[at - 1]):
            found.append((at - 1, at + 1))
    return found


def _end_of_value(words: list[str], first: int, end: int) -> int:
    """Say where a value of one piece ends; 0 if the words are no such value."""
    if first >= end:
        return 0
    quote = words[first][0]
    if quote in "\"'" and not _closes(words[first][1:], quote):
        closing = (at for at in range(first + 1, end) if _closes(words[at], quote))
        return next(closing, -1) + 1
    is_alone = first + 1 == end or words[first + 1].startswith(("#", "//"))
    return first + 1 if is_alone else 0


def _closes(word: str, quote: str) -> bool:
    return word.rstrip(",;)]}").endswith(quote)
