"""A generator's product before it becomes a document, and how its length is met."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from kompress.corpora.generators.composer import Line

MIN_WORDS = 60
MAX_WORDS = 150
# A line of the longest kind may overshoot the aim by this much.
_SLACK = 22


@dataclass(frozen=True, slots=True)
class Planted:
    """Lines with planted facts, and the question that needs all of them.

    Attributes:
        lines: the text, with roles.
        question: what a reader must decide.
    """

    lines: list[Line]
    question: str


def draw_filler(
    rng: Random,
    anchors: list[list[Line]],
    make: Callable[[], list[Line]],
    *,
    num_words: int = 0,
    words_per_line: int = 0,
) -> list[list[Line]]:
    """Draw blocks of filler until facts are about 28 to 43 % of the words.

    Args:
        rng: where the aim is drawn from.
        anchors: the blocks that carry the facts.
        make: draws one block of lines.
        num_words: words that the text will have beside anchors and blocks.
        words_per_line: words that each line will gain later, such as a time.

    Returns:
        The blocks, so many that the text has between MIN_WORDS and MAX_WORDS words.
    """
    rows = [row for anchor in anchors for row in anchor]
    num_facts = sum(row.num_facts for row in rows)
    num_words += _count_words(rows, words_per_line)
    share = rng.uniform(0.28, 0.43)
    aim = min(max(round(num_facts / share), MIN_WORDS), MAX_WORDS - _SLACK)
    blocks: list[list[Line]] = []
    while num_words < aim:
        block = make()
        size = _count_words(block, words_per_line)
        if num_words + size <= MAX_WORDS:
            blocks.append(block)
            num_words += size
    return blocks


def interleave(
    rng: Random, anchors: list[list[Line]], blocks: list[list[Line]]
) -> list[Line]:
    """Spread blocks of filler between blocks that keep their order."""
    total = len(anchors) + len(blocks)
    places = set(rng.sample(range(total), len(anchors)))
    anchor, block = iter(anchors), iter(blocks)
    return [
        row
        for place in range(total)
        for row in next(anchor if place in places else block)
    ]


def _count_words(rows: list[Line], words_per_line: int) -> int:
    return sum(row.num_words + words_per_line for row in rows)
