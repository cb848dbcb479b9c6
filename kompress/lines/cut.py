"""Cut a text into lines, and put kept lines together again, byte for byte.

L = lines of one text
"""

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from kompress.types import BoolArray

CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one text, each with the LF that ends it.

    Attributes:
        pieces: L strings that joined give the text; only the last may lack its LF.
    """

    pieces: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def num_chars_L(self) -> NDArray[np.int64]:
        """(L,) characters of each line, its LF included."""
        return np.fromiter(map(len, self.pieces), np.int64, len(self.pieces))

    @property
    def starts_L(self) -> NDArray[np.int64]:
        """(L,) where in the text each line begins, in characters."""
        num_chars_L = self.num_chars_L
        return np.cumsum(num_chars_L) - num_chars_L

    def contents(self) -> list[str]:
        """Give each line without its LF."""
        return [piece.removesuffix("\n") for piece in self.pieces]

    def keep(self, keep_L: BoolArray) -> str:
        """Join the kept lines; indentation and line ends stay as they are."""
        return "".join(compress(self.pieces, keep_L.tolist()))


def cut_lines(text: str) -> Lines:
    r"""Cut a text after each LF, and nowhere else: a lone CR, a form feed stay inside.

    Args:
        text: any string; '' has no lines, and "a\n" has one.
    """
    # str.splitlines would also cut at CR, form feed and six others.
    pieces = [piece + "\n" for piece in text.split("\n")]
    last = pieces.pop()[:-1]
    return Lines((*pieces, last) if last else tuple(pieces))


def count_tokens(num_chars: int) -> float:
    """Give the tokens of so many characters, as design §1 counts them for lines."""
    return num_chars / CHARS_PER_TOKEN
