"""Sums over documents that hold no more, however many documents come.

Both give the same for any order of adding, and for any cut into shards. Below their
limits they hold everything.

G = groups
"""

import heapq
import zlib
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class GroupCounts:
    """Counts by document group, of a limited number of groups.

    Of more, groups are thrown together by a hash of their names. Totals stay the same;
    an interval that draws groups draws fewer, larger ones, which is as fair: documents
    that belong together stay together.
    """

    def __init__(self, *, limit: int) -> None:
        """Start empty.

        Args:
            limit: most groups that are held, at least 1.
        """
        self._limit = limit
        self._counts: dict[str, NDArray[np.int32]] = {}
        self._is_hashed = False

    def add(self, group: str, counts: NDArray[np.int64]) -> None:
        """Add to one group's counts; all have one shape."""
        key = self._place(group) if self._is_hashed else group
        self._add(key, counts.astype(np.int32))
        if len(self._counts) > self._limit:
            held, self._counts, self._is_hashed = self._counts, {}, True
            for name, own in held.items():
                self._add(self._place(name), own)

    def stack(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Lay out the counts of all groups, (G, …), in the order of their names.

        Args:
            shape: of one group's counts; of no group at all, only this is known.
        """
        found = [self._counts[group] for group in sorted(self._counts)]
        return np.array(found, dtype=np.int64).reshape(len(found), *shape)

    def _add(self, key: str, counts: NDArray[np.int32]) -> None:
        if key in self._counts:
            self._counts[key] += counts
        else:
            self._counts[key] = counts

    def _place(self, group: str) -> str:
        return str(zlib.crc32(group.encode()) % self._limit)


class TextSample(Generic[T]):
    """Texts drawn by a hash of their ids, until they hold so many words."""

    def __init__(self, *, limit: int) -> None:
        """Start empty.

        Args:
            limit: words; the text that reaches it is the last one.
        """
        self._limit = limit
        self._num_words = 0
        # (-hash, -text id, words, what is held): the next to go comes first.
        self._heap: list[tuple[int, int, int, T]] = []

    def add(self, text_id: int, num_words: int, held: T) -> None:
        """Offer a text, once."""
        place = zlib.crc32(str(text_id).encode())
        heapq.heappush(self._heap, (-place, -text_id, num_words, held))
        self._num_words += num_words
        while self._num_words - self._heap[0][2] >= self._limit:
            self._num_words -= heapq.heappop(self._heap)[2]

    def drawn(self) -> dict[int, T]:
        """Give what is held of each text that was drawn, by text id, in order."""
        found = {-minus_id: held for _, minus_id, _, held in self._heap}
        return {text_id: found[text_id] for text_id in sorted(found)}
