"""Find voters whose errors fall together.

Whether voters agree because they are right or because they follow each other, only
words of known truth tell.

P = patterns, M = voters
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np

from kompress.aggregation.pairs import count_error_pairs, sides_of
from kompress.aggregation.patterns import VotePatterns
from kompress.types import UNKNOWN, FloatArray

# A link counts if its mean phi, times the root of the gold words and pairs behind it,
# is beyond this: one false pair in 160 among independent voters, and a false family
# costs next to nothing.
_SURE = 2.5
# Words that are hard for all give .1 already, and passed over cost a quarter of the
# log-loss; below this gold cannot tell (docs/log.md 2026-11-21).
_LEAST = 0.03

Family: TypeAlias = tuple[int, ...]


class Link(NamedTuple):
    """How families' errors correlate: mean phi, and what is behind it, over pairs."""

    phi: float
    words: float
    num_pairs: int

    @property
    def is_sure(self) -> bool:
        """Whether it is above 0 beyond chance, and large enough to matter."""
        return self.phi >= _LEAST and self.phi * self.words**0.5 >= _SURE


def find_families(
    patterns: VotePatterns, columns: tuple[int, ...]
) -> tuple[Family, ...]:
    """Group voters whose errors on gold fall together.

    The two families with the highest mean correlation between them are merged, again
    and again, while that mean is at least .03 and surely above 0. Those that tie are
    merged at once if the mean between all of them is such, else not at all, so that
    families do not depend on the voters' order.

    Args:
        patterns: joint votes; only those of known truth are looked at.
        columns: the voters to group, no two of them copies.

    Returns:
        The families, each ascending; together all of `columns`.

    Source: average linkage, Sokal & Michener 1958, on error correlations; ours.
    """
    if not (patterns.truth_P != UNKNOWN).any():
        return tuple((column,) for column in sorted(columns))
    phi_MM, shared_MM = _correlations(patterns, columns)
    families: list[Family] = [(n,) for n in range(len(columns))]
    torn: set[tuple[Family, Family]] = set()
    while True:
        links: dict[Link, list[tuple[Family, Family]]] = {}
        for a, b in combinations(families, 2):
            if (a, b) not in torn:
                links.setdefault(_link((a, b), phi_MM, shared_MM), []).append((a, b))
        best = _choose(links)
        if best is None:
            break
        for group in _tied(links[best]):
            if not _link(group, phi_MM, shared_MM).is_sure:
                torn.update(combinations(group, 2))
                continue
            families = [family for family in families if family not in group]
            families.append(tuple(sorted(sum(group, ()))))
        families.sort()
    found = [tuple(columns[n] for n in family) for family in families]
    return tuple(sorted(found))


def _link(group: Sequence[Family], phi_MM: FloatArray, shared_MM: FloatArray) -> Link:
    between = [np.ix_(a, b) for a, b in combinations(group, 2)]
    phi = np.concatenate([phi_MM[pairs].ravel() for pairs in between])
    words = sum(shared_MM[pairs].sum() for pairs in between)
    # Sums of the same numbers in another order: a tie must stay one.
    return Link(round(float(phi.mean()), 9), float(words), phi.size)


def _choose(links: Iterable[Link]) -> Link | None:
    """Choose the highest link, None if it is not sure.

    One that is not, on less than half of the words a pair, hides no other: by chance
    a voter with little gold errs as somebody else does.
    """
    passed = 0.0
    for link in sorted(links, reverse=True):
        words = link.words / link.num_pairs
        if link.is_sure:
            return link if words > 2 * passed else None
        passed = max(passed, words)
    return None


def _tied(pairs: Sequence[tuple[Family, Family]]) -> list[tuple[Family, ...]]:
    """Group families that pairs hang together, each group ascending."""
    groups: list[set[Family]] = []
    for pair in pairs:
        near = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in near]
        groups.append(set(pair).union(*near))
    return [tuple(sorted(group)) for group in groups]


def _correlations(
    patterns: VotePatterns, columns: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """Give phi of each pair's errors, 0 where unknown, and the gold words behind it."""
    gold = patterns.take(patterns.truth_P != UNKNOWN)
    row_N = np.repeat(np.arange(len(gold.count_P)), gold.count_P)
    keep_PM, voted_PM = sides_of(gold.code_PM[:, columns])
    voted_NM = voted_PM[row_N]
    pairs = count_error_pairs(
        keep_PM[row_N], voted_NM, gold.truth_P[row_N], gold.stratum_P[row_N]
    )
    shared_MM = voted_NM.T.astype(np.float64) @ voted_NM.astype(np.float64)
    return np.nan_to_num(pairs.correlation()), shared_MM
