"""Lines of a stream, in constant memory, and what is said of a bad one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kompress.corpora.decoding import decode_stream
from kompress.errors import InvalidText

MAX_TEXT_BYTES = 8 * 2**20
# A text escaped as \uXXXX takes 3 bytes for each of its own in Cyrillic, the worst case
# of real files; more than that is not held in memory to find out.
MAX_LINE_BYTES = 4 * MAX_TEXT_BYTES


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no document.

    Attributes:
        number: the line's number, from 1.
        reason: what was found, what was expected and how to fix it.
    """

    number: int
    reason: str


# A line's number, and its bytes or why they are not given.
Line = tuple[int, bytes | BadLine]


def iter_lines(chunks: Iterable[bytes]) -> Iterator[Line]:
    r"""Split a stream at line feeds, holding at most one line of bounded length.

    Packed streams are unpacked, UTF-16 and UTF-32 become UTF-8 (`decode_stream`).

    Args:
        chunks: pieces of the stream of any length, for example an upload's or a file's.

    Yields:
        (number from 1, the line without its ``\n``), blank lines included; a line of
        over MAX_LINE_BYTES comes as a `BadLine` once its end has passed by. Where the
        stream is damaged, a `BadLine` that says so is the last.
    """
    number = 1
    try:
        for number, line in _split(decode_stream(chunks)):
            yield number, line
    except InvalidText as error:
        yield number, BadLine(number, str(error))


def _split(chunks: Iterable[bytes]) -> Iterator[Line]:
    number, size = 1, 0
    held = bytearray()
    for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            size += end - start
            if size > MAX_LINE_BYTES:
                yield number, _too_long(number, size)
            else:
                yield number, bytes(held) + chunk[start:end]
            held.clear()
            number, size, start = number + 1, 0, end + 1
        size += len(chunk) - start
        if size > MAX_LINE_BYTES:
            held.clear()
        else:
            held += chunk[start:]
    if size > MAX_LINE_BYTES:
        yield number, _too_long(number, size)
    elif size:
        yield number, bytes(held)


def _too_long(number: int, size: int) -> BadLine:
    return BadLine(
        number,
        f"the line has {size:,} bytes; expected at most {MAX_LINE_BYTES:,}; "
        "split the text into several documents",
    )
