"""Texts as ordered votes: what a chain is fitted to.

Texts with gold, and a sample of the others. The sample is the texts with the smallest
digests, so that shards merge in any order to the same texts. No word of a text is in
them.

N = words, M = voters, D = texts
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kompress.types import NEW_TEXT, UNKNOWN, BoolArray, CodeArray

# Rates of transition behind so many words are known to a hundredth; a pass over them
# takes 10 ms, a fit some dozens of passes.
MAX_GOLD_WORDS = 2**17
MAX_OPEN_WORDS = 2**17


@dataclass(frozen=True, slots=True, eq=False)
class OrderedTexts:
    """Some texts' votes, word by word, in the order of the texts' digests.

    Attributes:
        boundary_N: (N,) what stands before each word; 3 begins a text.
        stratum_N: (N,) codes into `STRATA`.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`.
        code_NM: (N, M) byte codes, 255 for an abstention.
        group_N: (N,) uint32, equal within a document group.
    """

    boundary_N: CodeArray
    stratum_N: CodeArray
    truth_N: CodeArray
    code_NM: CodeArray
    group_N: NDArray[np.uint32]

    @property
    def text_N(self) -> NDArray[np.intp]:
        """(N,) the number of each word's text."""
        return text_numbers(self.boundary_N)

    @property
    def known_N(self) -> BoolArray:
        """(N,) whether gold tells a word's truth."""
        known_N: BoolArray = self.truth_N != UNKNOWN
        return known_N

    @property
    def has_gold_N(self) -> BoolArray:
        """(N,) whether gold tells of a word of the same text."""
        text_N = self.text_N
        some_D = np.bincount(text_N, weights=self.known_N) > 0
        has_gold_N: BoolArray = some_D[text_N]
        return has_gold_N

    def take(self, wanted_N: BoolArray) -> "OrderedTexts":
        """Take some texts; all words of a text are wanted, or none."""
        return OrderedTexts(
            self.boundary_N[wanted_N],
            self.stratum_N[wanted_N],
            self.truth_N[wanted_N],
            self.code_NM[wanted_N],
            self.group_N[wanted_N],
        )

    def with_codes(self, code_NM: CodeArray) -> "OrderedTexts":
        """Put other votes in place of these."""
        return replace(self, code_NM=np.ascontiguousarray(code_NM))


def text_starts(boundary_N: CodeArray) -> NDArray[np.intp]:
    """Give the place of each text's first word."""
    return np.flatnonzero(boundary_N == NEW_TEXT)


def text_numbers(boundary_N: CodeArray) -> NDArray[np.intp]:
    """Give the number of each word's text, from 0."""
    return np.cumsum(boundary_N == NEW_TEXT) - 1


def gather_texts(
    code_NM: CodeArray,
    stratum_N: CodeArray,
    truth_N: CodeArray,
    boundary_N: CodeArray,
    group_N: NDArray[np.uint32] | None = None,
) -> OrderedTexts:
    """Take the texts with gold and a sample of the others.

    Args:
        code_NM: (N, M) byte codes.
        stratum_N: (N,) codes into `STRATA`.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`.
        boundary_N: (N,) as checked by `read_boundary`.
        group_N: (N,) uint32, equal within a document group; None: a text is a group.

    Source: bottom-k sampling by hash, Cohen & Kaplan 2007.
    """
    whole = OrderedTexts(
        boundary_N,
        stratum_N.astype(np.uint8),
        truth_N,
        code_NM,
        np.zeros(boundary_N.size, dtype=np.uint32) if group_N is None else group_N,
    )
    return _sample(whole, own_groups=group_N is None)


def merge_texts(parts: Sequence[OrderedTexts]) -> OrderedTexts:
    """Put shards' texts together, whatever their order.

    Args:
        parts: of `gather_texts`, at least one, all of the same voters.

    Source: ours.
    """
    return _sample(
        OrderedTexts(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("boundary_N", "stratum_N", "truth_N", "code_NM", "group_N")
            )
        ),
        own_groups=False,
    )


def _sample(whole: OrderedTexts, *, own_groups: bool) -> OrderedTexts:
    """Order texts by digest, those with gold first, and take as many as fit."""
    start_D = text_starts(whole.boundary_N)
    if not start_D.size:
        return whole
    size_D = np.diff(np.append(start_D, whole.boundary_N.size))
    known_D = np.add.reduceat(whole.known_N.astype(np.int64), start_D) > 0
    digests = [
        _digest(whole, int(start), int(start + size))
        for start, size in zip(start_D, size_D, strict=True)
    ]
    order = sorted(range(start_D.size), key=lambda d: (not known_D[d], digests[d]))
    room = {True: MAX_GOLD_WORDS, False: MAX_OPEN_WORDS}
    taken = []
    for d in order:
        kind = bool(known_D[d])
        if room[kind] > 0:
            room[kind] -= int(size_D[d])
            taken.append(d)
    index = np.concatenate(
        [np.arange(start_D[d], start_D[d] + size_D[d]) for d in taken]
    )
    group_N = whole.group_N[index]
    if own_groups:
        names = [int.from_bytes(digests[d][:4], "big") for d in taken]
        group_N = np.repeat(np.array(names, dtype=np.uint32), size_D[taken])
    return OrderedTexts(
        whole.boundary_N[index],
        whole.stratum_N[index],
        whole.truth_N[index],
        np.ascontiguousarray(whole.code_NM[index]),
        group_N,
    )


def _digest(whole: OrderedTexts, start: int, end: int) -> bytes:
    part = slice(start, end)
    digest = hashlib.blake2b(digest_size=16)
    for values in (whole.boundary_N, whole.stratum_N, whole.truth_N, whole.code_NM):
        digest.update(np.ascontiguousarray(values[part]).tobytes())
    return digest.digest()
