"""Cut a text into parts short enough to be asked about at once, and number words.

N = words of the text
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kompress.errors import InvalidConfig
from kompress.words import Word, line_numbers, split_words

# A chunk ends at a line's end if that leaves it at least this share of its room.
_MIN_FILL = 0.5


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring words of a text, with the text's own line layout.

    Attributes:
        start: number of its first word in the text, from 0.
        text: from the first word's indentation to the last word's end.
        num_words: how many words it has, at least 1.
    """

    start: int
    text: str
    num_words: int

    @property
    def end(self) -> int:
        """Number after its last word's."""
        return self.start + self.num_words


def split_chunks(text: str, chunk_words: int) -> list[Chunk]:
    """Cut a text between words, where a line ends if one does in the second half.

    Args:
        text: any string of N words.
        chunk_words: most words of a chunk, at least 1.

    Returns:
        The chunks, which hold each word once and in order; none for no words.

    Raises:
        InvalidConfig: chunk_words is below 1.

    Source: ours.
    """
    if chunk_words < 1:
        raise InvalidConfig(f"chunk_words is {chunk_words}; expected 1 or more")
    words = split_words(text)
    lines_N = line_numbers(text).tolist()
    chunks: list[Chunk] = []
    start = 0
    while start < len(words):
        end = _find_end(lines_N, start, chunk_words)
        chunks.append(_cut(text, words, start, end))
        start = end
    return chunks


def number_words(chunk: Chunk, every: int) -> str:
    """Write a chunk with the numbers of some of its words, as `[1] first`.

    Args:
        chunk: its words are numbered from 1.
        every: the first word and each `every`-th after it has its number before it.

    Returns:
        The chunk's text; only numbers in brackets were added, each with a space.

    Raises:
        InvalidConfig: every is below 1.
    """
    if every < 1:
        raise InvalidConfig(f"number_every is {every}; expected 1 or more")
    return "".join(_numbered(chunk.text, every))


def _numbered(text: str, every: int) -> Iterator[str]:
    last = 0
    for index, word in enumerate(split_words(text)):
        yield text[last : word.start]
        if index % every == 0:
            yield f"[{index + 1}] "
        yield text[word.start : word.end]
        last = word.end
    yield text[last:]


def _find_end(lines_N: list[int], start: int, chunk_words: int) -> int:
    """Number after a chunk's last word."""
    limit = start + chunk_words
    if limit >= len(lines_N):
        return len(lines_N)
    least = start + max(1, int(chunk_words * _MIN_FILL))
    for end in range(limit, least - 1, -1):
        if lines_N[end] != lines_N[end - 1]:
            return end
    return limit


def _cut(text: str, words: list[Word], start: int, end: int) -> Chunk:
    """Cut words out with the indentation of the first, if that begins its line."""
    first = words[start].start
    line_start = text.rfind("\n", 0, first) + 1
    begin = first if text[line_start:first].strip() else line_start
    return Chunk(start, text[begin : words[end - 1].end], end - start)
