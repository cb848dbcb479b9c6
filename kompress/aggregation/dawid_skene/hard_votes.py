"""Read votes as keep, drop or nothing, and count which were cast together.

M voters cast at most 3**M patterns in a stratum, however many words there are.

N = words, M = voters, C = words of one block, P = patterns
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.patterns import VotePatterns, merge_patterns
from kompress.aggregation.votes import read_votes
from kompress.types import (
    ABSTAIN,
    DROP,
    KEEP,
    KEEPS_FROM,
    STRATA,
    UNKNOWN,
    CodeArray,
)

SAID_DROP, SAID_KEEP, SILENT = 0, 1, 2
BLOCK_WORDS = 32_768
_SIDE_OF_CODE = np.full(ABSTAIN + 1, SAID_KEEP, dtype=np.uint8)
_SIDE_OF_CODE[:KEEPS_FROM] = SAID_DROP
_SIDE_OF_CODE[ABSTAIN] = SILENT
# A histogram of all patterns is held up to here: ten voters in all strata.
_MAX_CELLS = 2**22
_TRUTHS = np.array([DROP, KEEP, UNKNOWN], dtype=np.uint8)
_PLACE_OF_TRUTH = np.zeros(256, dtype=np.intp)
_PLACE_OF_TRUTH[_TRUTHS] = range(len(_TRUTHS))


@dataclass(frozen=True, slots=True, eq=False)
class HardPatterns:
    """How often which hard votes were cast together, in one order.

    Attributes:
        stratum_P: (P,) codes into `STRATA`.
        truth_P: (P,) `DROP`, `KEEP` or `UNKNOWN`.
        side_PM: (P, M) `SAID_DROP`, `SAID_KEEP` or `SILENT`; never all silent.
        count_P: (P,) int64, at least 1.
    """

    stratum_P: CodeArray
    truth_P: CodeArray
    side_PM: CodeArray
    count_P: NDArray[np.int64]

    @property
    def num_voters(self) -> int:
        """M."""
        return int(self.side_PM.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class HardVotes:
    """Checked votes, read as hard ones block by block.

    Attributes:
        code_NM: (N, M) byte codes, 255 where there is no vote.
        stratum_N: (N,) codes into `STRATA`.
    """

    code_NM: CodeArray
    stratum_N: NDArray[np.intp]

    @classmethod
    def read(
        cls, p_NM: ArrayLike, strength: ArrayLike, stratum_N: ArrayLike
    ) -> "HardVotes":
        """Check votes; see `kompress.aggregation.votes.read_votes`.

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

        Source: ours.
        """
        code_NM, _, stratum = read_votes(p_NM, strength, stratum_N)
        return cls(code_NM, stratum)

    @property
    def num_voters(self) -> int:
        """M."""
        return int(self.code_NM.shape[1])

    def blocks(self) -> Iterator[slice]:
        """Cut the words into blocks that stay in a core's cache."""
        size = len(self.stratum_N)
        return (slice(at, at + BLOCK_WORDS) for at in range(0, size, BLOCK_WORDS))

    def sides(self, part: slice) -> CodeArray:
        """Give (M, C) what each voter said of a block's words."""
        return _SIDE_OF_CODE[np.ascontiguousarray(self.code_NM[part].T)]

    def patterns(self) -> HardPatterns:
        """Count the patterns of all words, without gold.

        Source: ours.
        """
        if _num_cells(self.num_voters) > _MAX_CELLS:
            size = len(self.stratum_N)
            truth_N = np.full(size, UNKNOWN, np.uint8)
            count_N = np.ones(size, np.int64)
            side_NM = _SIDE_OF_CODE[self.code_NM]
            return _sort(side_NM, self.stratum_N, truth_N, count_N)
        cells = np.zeros(_num_cells(self.num_voters), dtype=np.int64)
        for part in self.blocks():
            _add(cells, self.sides(part), self.stratum_N[part], None, None)
        return _read_cells(cells, self.num_voters)


def harden(patterns: VotePatterns) -> HardPatterns:
    """Read patterns of byte codes as patterns of hard votes.

    Args:
        patterns: of raw votes, some with gold.

    Source: ours.
    """
    num_voters = patterns.num_voters
    if _num_cells(num_voters) > _MAX_CELLS:
        return _sort(
            _SIDE_OF_CODE[patterns.code_PM],
            patterns.stratum_P,
            patterns.truth_P,
            patterns.count_P,
        )
    cells = np.zeros(_num_cells(num_voters), dtype=np.int64)
    for at in range(0, len(patterns.count_P), BLOCK_WORDS):
        part = slice(at, at + BLOCK_WORDS)
        _add(
            cells,
            _SIDE_OF_CODE[patterns.code_PM[part].T],
            patterns.stratum_P[part].astype(np.intp),
            patterns.truth_P[part],
            patterns.count_P[part],
        )
    return _read_cells(cells, num_voters)


def _num_cells(num_voters: int) -> int:
    return int(len(STRATA) * len(_TRUTHS) * 3**num_voters)


def _add(
    cells: NDArray[np.int64],
    side_MC: CodeArray,
    stratum_C: NDArray[np.intp],
    truth_C: CodeArray | None,
    count_C: NDArray[np.int64] | None,
) -> None:
    """Count a block's patterns; the cell is a number of base 3 below its stratum."""
    key_C = stratum_C * len(_TRUTHS)
    key_C += _PLACE_OF_TRUTH[UNKNOWN if truth_C is None else truth_C]
    for side_C in side_MC:
        key_C *= 3
        key_C += side_C
    if count_C is None:
        np.add.at(cells, key_C, 1)
    else:
        np.add.at(cells, key_C, count_C)


def _read_cells(cells: NDArray[np.int64], num_voters: int) -> HardPatterns:
    """Turn a histogram into patterns; words on which nobody voted are left out."""
    key_P = np.flatnonzero(cells)
    rest_P = key_P.copy()
    side_PM = np.empty((key_P.size, num_voters), dtype=np.uint8)
    for m in reversed(range(num_voters)):
        rest_P, side_PM[:, m] = np.divmod(rest_P, 3)
    stratum_P, truth_P = np.divmod(rest_P, len(_TRUTHS))
    heard_P = (side_PM != SILENT).any(axis=1)
    return HardPatterns(
        stratum_P[heard_P].astype(np.uint8),
        _TRUTHS[truth_P[heard_P]],
        side_PM[heard_P],
        cells[key_P[heard_P]],
    )


def _sort(
    side_NM: CodeArray,
    stratum_N: NDArray[Any],
    truth_N: CodeArray,
    count_N: NDArray[np.int64],
) -> HardPatterns:
    """Count patterns of too many voters for a histogram."""
    heard_N = (side_NM != SILENT).any(axis=1)
    whole = VotePatterns(
        stratum_N.astype(np.uint8),
        truth_N,
        side_NM,
        count_N,
        np.zeros(side_NM.shape[1]),
    )
    found = merge_patterns([whole.take(heard_N)])
    return HardPatterns(found.stratum_P, found.truth_P, found.code_PM, found.count_P)
