"""Build a text from segments of known role, so that gold is exact by construction.

Segments are joined by white space only: a word belongs to one segment, and so a planted
fact never shares a word with filler.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kompress.types import DROP, KEEP, UNKNOWN, CodeArray, Fact

Role = Literal["fact", "filler", "glue"]

_CODES: dict[Role, int] = {"fact": KEEP, "filler": DROP, "glue": UNKNOWN}
# Inside a fact these carry nothing that a decision needs; dropping them gains little.
_ARTICLES = frozenset(
    {"a", "an", "the", "of", "is", "are", "was", "were", "it", "that"}
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Some words of one role.

    Attributes:
        text: the words; runs of white space become one space.
        role: `fact` (a decision needs it), `filler` (droppable) or `glue` (neither).
        name: the fact's name, '' for the other roles.
    """

    text: str
    role: Role
    name: str = ""

    @property
    def num_words(self) -> int:
        """How many words the segment has."""
        return len(self.text.split())

    @property
    def num_needed(self) -> int:
        """How many of them a decision needs."""
        needed = self.role == "fact"
        return sum(needed and word not in _ARTICLES for word in self.text.split())


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a text.

    Attributes:
        segments: what stands on it, in order.
        indent: white space before the first word.
    """

    segments: tuple[Segment, ...]
    indent: str = ""

    @property
    def num_words(self) -> int:
        """How many words the line has."""
        return sum(segment.num_words for segment in self.segments)

    @property
    def num_facts(self) -> int:
        """How many words of the line a decision needs."""
        return sum(s.num_needed for s in self.segments)


@dataclass(frozen=True, slots=True)
class Composed:
    """A text with what is known about each of its N words.

    Attributes:
        text: the text.
        codes_N: (N,) `KEEP` for a fact's word, `DROP` for filler, `UNKNOWN` for glue.
        facts: the planted facts, in the order of their first words.
    """

    text: str
    codes_N: CodeArray
    facts: tuple[Fact, ...]


def fact(name: str, text: str) -> Segment:
    """Plant words that the document's question needs."""
    return Segment(text, "fact", name)


def filler(text: str) -> Segment:
    """Add words that nobody needs, whatever they look like."""
    return Segment(text, "filler")


def glue(text: str) -> Segment:
    """Add words that are neither needed nor clearly droppable, such as a bracket."""
    return Segment(text, "glue")


def line(*segments: Segment, indent: str = "") -> Line:
    """Put segments on one line."""
    return Line(segments, indent)


def compose(lines: list[Line]) -> Composed:
    """Join lines into a text and number its words.

    Segments of one name, wherever they stand, are one fact. Articles and the like in a
    fact are glue: the fact survives without them.
    """
    rows: list[str] = []
    codes: list[int] = []
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in lines:
        words: list[str] = []
        for segment in row.segments:
            for word in segment.text.split():
                role: Role = segment.role
                if role == "fact" and word in _ARTICLES:
                    role = "glue"
                if role == "fact":
                    numbers[segment.name].append(len(codes))
                codes.append(_CODES[role])
                words.append(word)
        rows.append(row.indent + " ".join(words))
    facts = tuple(Fact(name, tuple(words)) for name, words in numbers.items())
    return Composed("\n".join(rows), np.array(codes, dtype=np.uint8), facts)
