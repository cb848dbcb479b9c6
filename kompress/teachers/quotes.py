"""Quotes of what is worth keeping, each found again by its words, never by offsets.

N = words of the text
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kompress.teachers.chunks import Chunk
from kompress.teachers.prompt import CRITERIA, DATA_NOTE, delimit, prompt_hash
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Capabilities, Request, Sample
from kompress.types import BoolArray
from kompress.words import WORD_VERSION, word_list

NAME = "quotes"
# Changes whenever any prompt, or any vote read in an answer, would.
VERSION = "1"
NOTHING = "NOTHING"

_SYSTEM = (
    "{criterion} {note} "
    "Quote the words worth keeping, exactly and in order: one quote a line, between "
    'quotation marks, as "these words". A quote never goes over the end of a line. If '
    f"no word is worth keeping, answer {NOTHING}."
)
_LAST = "The quotes:"
# Tokenizers need a token for two or more bytes of all but random text.
_BYTES_PER_TOKEN = 2
# Two quotation marks and a line end around each word, at the worst.
_TOKENS_PER_QUOTE = 3
_SPARE_TOKENS = 16


class Quotes:
    """Asks for the spans worth keeping, quoted.

    An answer is lines, each one quote; anything else is left out, as is an answer that
    was cut, or of whose quotes more than the share `max_unfound` is not in the text. A
    text of which some chunk has no answer left is a failure.

    Source: quoting instead of counting offsets, which models do badly, is common
    practice; the anchoring ours.
    """

    def __init__(self, params: ProtocolParams, capabilities: Capabilities) -> None:
        self._params = params
        del capabilities  # any engine can write quotes
        self._system = _SYSTEM.format(
            criterion=CRITERIA[params.criterion], note=DATA_NOTE
        )

    @property
    def parts(self) -> dict[str, Any]:
        """What of a voter's fingerprint is the protocol's."""
        return {
            "protocol": NAME,
            "version": VERSION,
            "prompt": prompt_hash(self._system, _LAST),
            "criterion": self._params.criterion,
            "chunk_words": self._params.chunk_words,
            "samples": self._params.samples,
            "temperature": self._params.temperature,
            "max_unfound": self._params.max_unfound,
            "words": WORD_VERSION,
            "reads": "samples",
        }

    @property
    def num_samples(self) -> int:
        """Samples drawn for each chunk."""
        return self._params.samples

    def ask(self, chunk: Chunk, draft_N: BoolArray | None) -> Request:
        """Ask for the quotes of a chunk; the draft is not looked at."""
        del draft_N
        num_bytes = len(chunk.text.encode("utf-8", "surrogatepass"))
        max_quotes = _TOKENS_PER_QUOTE * chunk.num_words
        return Request(
            system=self._system,
            user=f"{delimit(chunk.text)}\n{_LAST}",
            max_tokens=num_bytes // _BYTES_PER_TOKEN + max_quotes + _SPARE_TOKENS,
            temperature=self._params.temperature,
        )

    def read(self, chunk: Chunk, sample: Sample) -> BoolArray | str:
        """Read the words that a sample quotes.

        Returns:
            (N,) mask, or why the sample cannot be used.

        Source: see `anchor`.
        """
        if sample.finish_reason == "length":
            return "it was cut at its greatest length"
        quotes = parse_quotes(sample.text)
        if quotes is None:
            return (
                f"it begins {sample.text[:80]!r}; expected one quote a line, between "
                "quotation marks"
            )
        keep_N, num_unfound = anchor(word_list(chunk.text), quotes)
        if num_unfound > self._params.max_unfound * len(quotes):
            return (
                f"{num_unfound} of {len(quotes)} quotes are not in the text; expected "
                f"at most {self._params.max_unfound:.0%}"
            )
        return keep_N


def parse_quotes(answer: str) -> list[list[str]] | None:
    """Read an answer of one quote a line.

    Nothing is unescaped: what stands between a line's first and last quotation mark is
    the quote, quotation marks among it.

    Args:
        answer: any string.

    Returns:
        The words of each quote; no quote if the answer is `NOTHING`; None if it is
        anything else.
    """
    if answer.strip() == NOTHING:
        return []
    lines = [line.strip() for line in answer.split("\n")]
    quotes: list[list[str]] = []
    for line in filter(None, lines):
        if len(line) < 2 or line[0] != '"' or line[-1] != '"':
            return None
        words = word_list(line[1:-1])
        if not words:
            return None
        quotes.append(words)
    return quotes or None


def anchor(
    words: Sequence[str], quotes: Sequence[Sequence[str]]
) -> tuple[BoolArray, int]:
    """Find quotes among words.

    A quote is found where its words stand side by side; only if they do nowhere, where
    they do but for punctuation around words. One that stands in the text once lies
    there. Of one that stands there more often the next place is taken: the first after
    all that was found before. The search never starts again from the front.

    Args:
        words: the text's N words.
        quotes: each with at least one word.

    Returns:
        (N,) the words that were quoted, and the number of quotes that have no place.

    Source: ours.
    """
    keep_N = np.zeros(len(words), dtype=np.bool_)
    cores = [_core(word) for word in words]
    taken: set[tuple[int, int]] = set()
    cursor = num_unfound = 0
    for quote in quotes:
        size = len(quote)
        places = _find_runs(words, quote)
        places = places or _find_runs(cores, [_core(word) for word in quote])
        is_single = len(places) == 1
        free = [p for p in places if (p, size) not in taken]
        place = next((p for p in free if is_single or p >= cursor), None)
        if place is None:
            num_unfound += 1
            continue
        taken.add((place, size))
        keep_N[place : place + size] = True
        cursor = max(cursor, place + size)
    return keep_N, num_unfound


def _find_runs(words: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Find where some words stand side by side, ascending; runs may overlap."""
    size = len(wanted)
    wanted = list(wanted)
    return [
        place
        for place in range(len(words) - size + 1)
        if words[place] == wanted[0] and list(words[place : place + size]) == wanted
    ]


def _core(word: str) -> str:
    """Strip the punctuation around a word; all punctuation stays."""
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return word[start:end] or word
