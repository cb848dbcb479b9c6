"""Find voters that cannot be told apart, and let them speak with one voice.

This needs no gold: who was never seen to differ, on enough words, counts as one.

P = patterns, M = voters, K = words of one block, C = 256 byte codes
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.patterns import VotePatterns
from kompress.aggregation.reliability.common_vote import common_vote
from kompress.types import ABSTAIN, KEEPS_FROM, CodeArray

# Differences to expect of independent votes: 25 is 50 words of as many yes as no, on
# which two independent voters, right nine times in ten, are equal once in 20,000.
_ENOUGH = 25.0
# Who voted on the same words and was equal there counts as one however few they are:
# taking independent voters for one costs .02 of log-loss on 12 words and .3 at worst,
# taking five copies for five voters 2.7 on 8 words already (docs/log.md 2026-11-21).
_SAME_WORDS = 0.9
_CHUNK = 2**15


def find_copies(patterns: VotePatterns) -> dict[int, int]:
    """Name for each voter the first one of those that it cannot be told from.

    Two voters are alike if they are equal wherever both voted, and that is no accident:
    votes drawn apart, with their keep rate, would be expected to differ on 25 words or
    more; or it costs little if it is one: they voted on the same words, but for a tenth
    of them. Those that could have differed most are joined first; a group takes in
    nobody that differs from one of its members, and where only a tie would settle who
    is joined, nobody is.

    Args:
        patterns: joint votes.

    Returns:
        By column, the first one of its group; itself where it is like nobody. No two
        of a group ever differed, and groups do not depend on the order of the voters.
        Voters that never voted are nobody's copies.

    Source: ours.
    """
    code_MP = np.ascontiguousarray(patterns.code_PM.T)
    size, count_P = len(code_MP), patterns.count_P
    votes_M = [_count(code_P != ABSTAIN, count_P) for code_P in code_MP]
    differ_MM = np.zeros((size, size), dtype=np.bool_)
    alike: dict[float, list[tuple[int, int]]] = {}
    for a in range(size):
        differ_MM[a] = _ever_differ(code_MP, a)
    for a, b in np.argwhere(np.triu(~differ_MM, 1)).tolist():
        # Where one of two that never differ is silent, the higher code is ABSTAIN.
        code_P = np.maximum(code_MP[a], code_MP[b])
        words = _count(code_P != ABSTAIN, count_P)
        if words == 0:
            continue
        keeps = _count((code_P >= KEEPS_FROM) & (code_P != ABSTAIN), count_P)
        expected = 2 * keeps * (words - keeps) / words
        either = votes_M[a] + votes_M[b] - words
        if expected >= _ENOUGH or words >= _SAME_WORDS * either:
            alike.setdefault(expected, []).append((a, b))
    first_M = np.arange(size)
    for expected in sorted(alike, reverse=True):
        _join(first_M, alike[expected], differ_MM)
    return {m: int(first) for m, first in enumerate(first_M)}


def groups_of(copies: dict[int, int]) -> dict[int, tuple[int, ...]]:
    """List the columns of each group by its first one, both ascending.

    Args:
        copies: as `find_copies` gives them.

    Source: ours.
    """
    return {
        head: tuple(m for m, first in copies.items() if first == head)
        for head in sorted(set(copies.values()))
    }


def join_copies(patterns: VotePatterns, copies: dict[int, int]) -> VotePatterns:
    """Let the first voter of each group vote wherever one of them did.

    Args:
        patterns: joint votes.
        copies: as `find_copies` found them in the same patterns.

    Returns:
        The same patterns; columns of the others stay as they are.

    Source: ours.
    """
    code_MP = patterns.code_PM.T.copy()
    for head, group in groups_of(copies).items():
        code_MP[head] = common_vote(code_MP, group)
    return replace(patterns, code_PM=np.ascontiguousarray(code_MP.T))


def _ever_differ(code_MP: CodeArray, voter: int) -> NDArray[np.bool_]:
    """(M,) Tell who voted differently from a voter on a word."""
    differ_M = np.zeros(len(code_MP), dtype=np.bool_)
    left = np.arange(len(code_MP))
    # Most that differ do so in the first chunk.
    for start in range(0, code_MP.shape[1], _CHUNK):
        own_K = code_MP[voter, start : start + _CHUNK]
        others_MK = code_MP[left, start : start + _CHUNK]
        apart_M = (
            (others_MK != own_K) & (others_MK != ABSTAIN) & (own_K != ABSTAIN)
        ).any(axis=1)
        differ_M[left[apart_M]] = True
        left = left[~apart_M]
    return differ_M


def _count(wanted_P: NDArray[np.bool_], count_P: NDArray[np.int64]) -> int:
    """Count the words of some patterns."""
    return int(np.einsum("p,p->", wanted_P, count_P))


def _join(
    first_M: NDArray[np.intp],
    pairs: Sequence[tuple[int, int]],
    differ_MM: NDArray[np.bool_],
) -> None:
    """Join the groups of equally alike pairs, in place, where nobody differs."""
    merged_M = first_M.copy()
    for a, b in pairs:
        low, high = sorted((merged_M[a], merged_M[b]))
        merged_M[merged_M == high] = low
    for first in np.unique(merged_M):
        group = np.flatnonzero(merged_M == first)
        if not differ_MM[np.ix_(group, group)].any():
            first_M[group] = group[0]
