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

# A link counts if its mean phi, times the root of the gold words and pairs behind it,
# is beyond this: one false pair in 160 among independent voters, and a false family
# costs next to nothing.
_SURE = 2.5
# Words that are hard for all give .1 already, and passed over cost a quarter of the
# log-loss; below this gold cannot tell (docs/log.md 2026-11-21).
_LEAST = 0.03


def find_copies(patterns: VotePatterns) -> dict[int, int]:
    """Name for each voter the first one that it never differs from.

    Args:
        patterns: joint votes.

    Returns:
        By column, the first one with the same votes and abstentions throughout; itself
        where there is no earlier one. Voters that never voted are nobody's copies.

    Source: ours.
    """
    first: dict[bytes, int] = {}
    found = {}
    for m in range(patterns.num_voters):
        code_P = np.ascontiguousarray(patterns.code_PM[:, m])
        is_heard = (code_P != ABSTAIN).any()
        found[m] = first.setdefault(code_P.tobytes(), m) if is_heard else m
    return found


def find_families(
    patterns: VotePatterns, columns: tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    """Group voters whose errors on gold fall together.

    The two families with the highest mean correlation between them are merged, again
    and again, while that mean is at least .03 and surely above 0.

    Args:
        patterns: joint votes; only those of known truth are looked at.
        columns: the voters to group, no two of them copies.

    Returns:
        The families, each ascending; together all of `columns`.

    Source: average linkage, Sokal & Michener 1958, on error correlations; ours.
    """
    phi_MM, shared_MM = _correlations(patterns, columns)
    families: list[tuple[int, ...]] = [(n,) for n in range(len(columns))]
    while len(families) > 1:
        links = {
            (a, b): phi_MM[np.ix_(a, b)].mean()
            for n, a in enumerate(families)
            for b in families[n + 1 :]
        }
        best = max(links, key=lambda pair: links[pair])
        words = shared_MM[np.ix_(*best)].sum()
        if links[best] < _LEAST or links[best] * np.sqrt(words) < _SURE:
            break
        families = [family for family in families if family not in best]
        families.append(tuple(sorted(best[0] + best[1])))
    families = [tuple(columns[n] for n in family) for family in families]
    return tuple(sorted(families))


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
