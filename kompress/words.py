r"""Split a text into the words that are labelled, and put kept words back together.

A word is what `str.split()` gives: text between runs of the 29 white-space characters.
They are listed here one by one, because `\s` differs between Python, Rust and
Postgres. A source line ends at "\n" and nowhere else, as in the deployed client:
"\r", "\x0b" or "\u2028" only separate words. N = words
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidVotes

ASCII_SEPARATORS = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
WIDE_SEPARATORS = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
SEPARATORS = ASCII_SEPARATORS + WIDE_SEPARATORS
# Changes whenever any text would be split differently; part of voters' fingerprints.
WORD_VERSION = "1"

# Longer words are no units of meaning in any text that people write.
MAX_SOUND_CHARS = 64

_WORD = re.compile(f"[^{re.escape(SEPARATORS)}]+")


class Word(NamedTuple):
    """Where a word stands in its text.

    Attributes:
        start: offset of its first character.
        end: offset after its last character.
    """

    start: int
    end: int


def split_words(text: str) -> list[Word]:
    """Find the words of a text.

    Args:
        text: any string.

    Returns:
        (N,) character offsets, ascending; `text[start:end]` equals `text.split()`.

    Source: ours (design §1).
    """
    return [Word(*match.span()) for match in _WORD.finditer(text)]


def word_list(text: str) -> list[str]:
    """List the words of a text as strings.

    Args:
        text: any string.

    Returns:
        (N,) the words, equal to `text.split()`.

    Source: ours (design §1).
    """
    return text.split()


def count_giant(text: str) -> tuple[int, int]:
    """Count the characters of words of over 64, and of all words.

    Such a word (minified code, base64, prose of a script without spaces) is one unit to
    the deployed client, and no unit of meaning: all of it is kept or nothing.

    Args:
        text: any string.

    Returns:
        Characters in giant words, and in all words.

    Source: ours.
    """
    sizes = [len(word) for word in text.split()]
    return sum(size for size in sizes if size > MAX_SOUND_CHARS), sum(sizes)


def line_numbers(text: str) -> NDArray[np.intp]:
    r"""Tell each word's source line.

    Args:
        text: any string.

    Returns:
        (N,) line numbers from 0, ascending; lines end at "\n" only.

    Source: the deployed client, headroom-ai 0.42.0.
    """
    counts = [len(line.split()) for line in text.split("\n")]
    return np.repeat(np.arange(len(counts), dtype=np.intp), counts)


def join_kept(text: str, keep_N: NDArray[np.bool_] | Sequence[bool]) -> str:
    """Shorten a text to its kept words.

    Kept words of one source line are joined by one space, lines by a newline; a line
    with no kept word vanishes.

    Args:
        text: any string of N words.
        keep_N: (N,) which words stay.

    Returns:
        The reference; its words are exactly the kept words, in order.

    Raises:
        InvalidVotes: the mask's length is not the number of words.

    Source: the deployed client, headroom-ai 0.42.0.
    """
    lines = [line.split() for line in text.split("\n")]
    keep = [bool(keep) for keep in keep_N]
    num_words = sum(map(len, lines))
    if len(keep) != num_words:
        raise InvalidVotes(
            f"the mask has {len(keep)} entries, the text {num_words} words; "
            "make one entry for each word of `word_list(text)`"
        )
    return "\n".join(_kept_lines(lines, iter(keep)))


def _kept_lines(lines: list[list[str]], keep: Iterator[bool]) -> Iterator[str]:
    """Give each line that keeps a word, in order."""
    for line in lines:
        kept = [word for word in line if next(keep)]
        if kept:
            yield " ".join(kept)
