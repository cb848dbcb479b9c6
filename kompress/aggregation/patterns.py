"""Count joint votes: what a rule that learns is fitted to.

A pattern is what all voters said of a word, byte code by byte code, in one stratum and
under one known or unknown truth. Counts are integers and patterns are kept in one
order, so shards merge in any order to the same bytes. Where boundaries are told, texts
with gold and a sample of the others are kept in order beside them
(`kompress.aggregation.chain.texts`). No word of a text is in either.

N = words, M = voters, P = distinct patterns
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.chain.texts import OrderedTexts, gather_texts, merge_texts
from kompress.aggregation.votes import read_boundary, read_votes
from kompress.errors import InvalidVotes
from kompress.types import ABSTAIN, DROP, KEEP, UNKNOWN, CodeArray, FloatArray

# What stands for `KEEP` in a stored pattern.
_STORED_KEEP = 1


@dataclass(frozen=True, slots=True, eq=False)
class VotePatterns:
    """How often which votes were cast together.

    Attributes:
        stratum_P: (P,) codes into `STRATA`.
        truth_P: (P,) `KEEP` or `DROP` where gold says so, else `UNKNOWN`.
        code_PM: (P, M) byte codes, 255 where the voter abstained; never all of a row.
        count_P: (P,) int64, words with that pattern, at least 1.
        samples_M: (M,) samples behind all of a voter's votes together; whole numbers
            in the farm, so that their sum does not depend on the order.
        texts: some of the words again, in order; None where boundaries are not told.
    """

    stratum_P: CodeArray
    truth_P: CodeArray
    code_PM: CodeArray
    count_P: NDArray[np.int64]
    samples_M: FloatArray
    texts: OrderedTexts | None = None

    @property
    def num_voters(self) -> int:
        """M."""
        return int(self.code_PM.shape[1])

    @property
    def num_words(self) -> int:
        """How many words were counted."""
        return int(self.count_P.sum())

    @property
    def strength_M(self) -> FloatArray:
        """(M,) mean samples behind one vote of each voter; 1 for who never voted."""
        votes_M = self.votes_M
        mean_M: FloatArray = np.where(
            votes_M > 0, self.samples_M / np.maximum(votes_M, 1), 1.0
        )
        return mean_M

    @property
    def votes_M(self) -> NDArray[np.int64]:
        """(M,) votes of each voter."""
        voted_PM = self.code_PM != ABSTAIN
        votes_M: NDArray[np.int64] = np.einsum("p,pm->m", self.count_P, voted_PM)
        return votes_M

    def take(self, wanted_P: NDArray[np.bool_]) -> "VotePatterns":
        """Take some patterns; a vote has the samples that it has on average in all."""
        taken = VotePatterns(
            self.stratum_P[wanted_P],
            self.truth_P[wanted_P],
            self.code_PM[wanted_P],
            self.count_P[wanted_P],
            self.samples_M,
            self.texts,
        )
        return replace(taken, samples_M=self.strength_M * taken.votes_M)

    def to_bytes(self) -> bytes:
        """Write a compressed numpy archive: equal patterns give equal bytes."""
        buffer = io.BytesIO()
        ordered: dict[str, Any] = {} if self.texts is None else _pack_texts(self.texts)
        arrays: dict[str, Any] = {
            "stratum": self.stratum_P,
            "truth": _swap(self.truth_P, KEEP, _STORED_KEEP),
            "code": self.code_PM,
            "count": self.count_P,
            "samples": self.samples_M,
        }
        np.savez_compressed(buffer, **arrays, **ordered)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "VotePatterns":
        """Read what `to_bytes` wrote; nothing in it is ever executed."""
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return cls(
                found["stratum"],
                _swap(found["truth"], _STORED_KEEP, KEEP),
                found["code"],
                found["count"],
                found["samples"],
                _unpack_texts(found) if "text_boundary" in found else None,
            )


def count_patterns(
    p_NM: ArrayLike,
    strength: ArrayLike,
    stratum_N: ArrayLike,
    truth_N: ArrayLike | None = None,
    boundary_N: ArrayLike | None = None,
) -> VotePatterns:
    """Count the patterns of some words.

    Args:
        p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
        strength: (M,) or (N, M) samples behind each vote; a vote of 0 abstains.
        stratum_N: (N,) codes into `STRATA`.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`; None knows nothing.
        boundary_N: (N,) what stands before each word: 0 nothing (the same line), 1 a
            line's end, 2 a blank line, 3 the text's beginning. None: no order is told.

    Returns:
        The patterns; a word on which nobody voted is left out, but for `texts`.

    Raises:
        InvalidVotes: a shape, a probability, a stratum, a truth or a boundary is wrong.

    Source: docs/references.md, "Dawid-Skene on patterns"; hard votes: ours.
    """
    code_NM, strengths, stratum = read_votes(p_NM, strength, stratum_N)
    truths_N = _read_truth(truth_N, len(code_NM))
    voted_NM = code_NM != ABSTAIN
    heard_N = voted_NM.any(axis=1)
    strata_N = stratum.astype(np.uint8)
    rows = np.column_stack([strata_N, truths_N, code_NM])[heard_N]
    counted = _unique(
        rows,
        np.ones(len(rows), dtype=np.int64),
        np.where(voted_NM, strengths, 0.0).sum(axis=0),
    )
    if boundary_N is None:
        return counted
    boundary = read_boundary(boundary_N, len(code_NM))
    return replace(counted, texts=gather_texts(code_NM, strata_N, truths_N, boundary))


def merge_patterns(parts: Sequence[VotePatterns]) -> VotePatterns:
    """Add up shards' patterns, whatever their order.

    Args:
        parts: at least one, all of the same voters.

    Raises:
        InvalidVotes: there is no part, or their numbers of voters differ.

    Source: ours.
    """
    sizes = {part.num_voters for part in parts}
    if len(sizes) != 1:
        raise InvalidVotes(
            f"the parts have {sorted(sizes)} voters; expected one number, and at least "
            "one part"
        )
    rows = np.concatenate([
        np.column_stack([part.stratum_P, part.truth_P, part.code_PM]) for part in parts
    ])  # fmt: skip
    count = np.concatenate([part.count_P for part in parts])
    samples_M = np.sum([part.samples_M for part in parts], axis=0)
    texts = [part.texts for part in parts if part.texts is not None]
    merged = _unique(rows, count, samples_M)
    return replace(merged, texts=merge_texts(texts)) if texts else merged


def _unique(
    rows: CodeArray, count: NDArray[np.int64], samples_M: FloatArray
) -> VotePatterns:
    """Sort rows of (stratum, truth, codes) and add up equal ones."""
    # Bytes are sorted by radix, column by column: far faster than rows as one value.
    order = np.lexsort(rows.T[::-1])
    rows, count = rows[order], count[order]
    is_new = np.ones(len(rows), dtype=np.bool_)
    is_new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    first = np.flatnonzero(is_new)
    total = np.add.reduceat(count, first) if len(rows) else count
    rows = rows[first]
    return VotePatterns(
        np.ascontiguousarray(rows[:, 0]),
        np.ascontiguousarray(rows[:, 1]),
        np.ascontiguousarray(rows[:, 2:]),
        total,
        samples_M,
    )


def _pack_texts(texts: OrderedTexts) -> dict[str, NDArray[Any]]:
    return {
        "text_boundary": texts.boundary_N,
        "text_stratum": texts.stratum_N,
        "text_truth": _swap(texts.truth_N, KEEP, _STORED_KEEP),
        "text_code": texts.code_NM,
        "text_group": texts.group_N,
    }


def _unpack_texts(found: Mapping[str, NDArray[Any]]) -> OrderedTexts:
    return OrderedTexts(
        found["text_boundary"],
        found["text_stratum"],
        _swap(found["text_truth"], _STORED_KEEP, KEEP),
        found["text_code"],
        found["text_group"],
    )


def _swap(truth_P: CodeArray, old: int, new: int) -> CodeArray:
    """Put one code in place of another."""
    return np.where(truth_P == old, new, truth_P).astype(np.uint8)


def _read_truth(truth_N: ArrayLike | None, size: int) -> CodeArray:
    if truth_N is None:
        return np.full(size, UNKNOWN, dtype=np.uint8)
    truths_N = np.asarray(truth_N)
    known = np.isin(truths_N, (DROP, KEEP, UNKNOWN))
    if truths_N.shape != (size,) or not known.all():
        raise InvalidVotes(
            f"the truth has shape {truths_N.shape} and values "
            f"{np.unique(truths_N)[:5].tolist()}; expected ({size},) of {DROP} (drop), "
            f"{KEEP} (keep) and {UNKNOWN} (unknown)"
        )
    return truths_N.astype(np.uint8)
