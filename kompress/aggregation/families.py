"""Find voters that cannot be told apart, and voters whose errors fall together.

Identical columns need no gold: who was never seen to differ counts as one. Whether
others agree because they are right or because they copy each other, only words of known
truth tell.

P = patterns, M = voters
"""

import numpy as np

from kompress.aggregation.pairs import count_error_pairs, sides_of
from kompress.aggregation.patterns import UNKNOWN, VotePatterns
from kompress.types import ABSTAIN, FloatArray

# Errors correlate if phi, times the root of the shared gold words, is beyond this: one
# false pair in 160 among independent voters, and a false family costs next to nothing.
_SURE = 2.5
# Words that are hard for all give .1 already, and passed over cost a quarter of the
# log-loss; below this gold cannot tell (docs/log.md 2026-11-21).
_LEAST = 0.05


def find_copies(patterns: VotePatterns) -> dict[int, int]:
    """Name for each voter the first one that it never differs from.

    Args:
        patterns: joint votes.

    Returns:
        By column of each voter that ever voted, the first column with the same votes
        and abstentions throughout; itself where there is no earlier one.

    Source: ours.
    """
    first: dict[bytes, int] = {}
    found = {}
    for m in range(patterns.num_voters):
        code_P = np.ascontiguousarray(patterns.code_PM[:, m])
        if (code_P != ABSTAIN).any():
            found[m] = first.setdefault(code_P.tobytes(), m)
    return found


def find_families(
    patterns: VotePatterns, columns: tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    """Group voters whose errors on gold fall together.

    Pairs whose correlation is not surely above 0 count as 0. Families are merged while
    the mean correlation between two of them is at least .05.

    Args:
        patterns: joint votes; only those of known truth are looked at.
        columns: the voters to group, no two of them copies.

    Returns:
        The families, each ascending; together all of `columns`.

    Source: average linkage, Sokal & Michener 1958, on error correlations; ours.
    """
    families: list[tuple[int, ...]] = [(m,) for m in columns]
    shared_MM = _correlations(patterns, columns)
    place = {m: n for n, m in enumerate(columns)}
    while len(families) > 1:
        links = {
            (a, b): float(
                np.mean([shared_MM[place[i], place[j]] for i in a for j in b])
            )
            for n, a in enumerate(families)
            for b in families[n + 1 :]
        }
        best = max(links, key=lambda pair: links[pair])
        if links[best] < _LEAST:
            break
        families = [f for f in families if f not in best]
        families.append(tuple(sorted(best[0] + best[1])))
    return tuple(sorted(families))


def _correlations(patterns: VotePatterns, columns: tuple[int, ...]) -> FloatArray:
    """Give phi of each pair's errors, 0 where it is not surely above."""
    gold = patterns.take(patterns.truth_P != UNKNOWN)
    size = len(columns)
    if not len(gold.count_P) or size < 2:
        return np.zeros((size, size))
    row_N = np.repeat(np.arange(len(gold.count_P)), gold.count_P)
    keep_PM, voted_PM = sides_of(gold.code_PM[:, columns])
    voted_NM = voted_PM[row_N]
    pairs = count_error_pairs(
        keep_PM[row_N], voted_NM, gold.truth_P[row_N], gold.stratum_P[row_N]
    )
    phi_MM = np.nan_to_num(pairs.correlation())
    shared_MM = voted_NM.T.astype(np.float64) @ voted_NM.astype(np.float64)
    sure_MM = phi_MM * np.sqrt(shared_MM) > _SURE
    return np.where(sure_MM, phi_MM, 0.0)
