"""What dropping a word at k votes of M does to recall: the theorem and closed forms.

A word is dropped if at least k of M voters drop it. All is said of words to keep, where
a voter's share of kept words is its recall. On words to drop the same functions turn
the voters' false positive rates into the ensemble's: k = 1 loses recall and gains
specificity, k = M the reverse, so recall alone never says which k is best.

M = voters, S = strata
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import FloatArray

# Floors of the published simulator: its voters' recalls lie evenly between them.
LOWEST_FLOOR, HIGHEST_FLOOR = 0.3, 0.9
EQUAL_RECALL = 0.85  # of the sweep's equal voters
CORRELATION = 0.2  # between LLM voters' errors, where nobody says otherwise
MAX_VOTERS = 25


@dataclass(frozen=True, slots=True)
class SweepRow:
    """What k of M voters keep of the words to keep, k being the same in every row.

    Attributes:
        num_voters: M.
        best: recall of the best of M voters whose recalls lie evenly between .3 and .9.
        weakest: recall of the weakest of them.
        nested: recall of k-of-M over them if their drops are nested.
        independent: recall of k-of-M over them if they err independently.
        equal_independent: of k-of-M over M equal voters that err independently.
        equal_correlated: of k-of-M over M equal voters whose errors correlate.
    """

    num_voters: int
    best: float
    weakest: float
    nested: float
    independent: float
    equal_independent: float
    equal_correlated: float


def nested_recall(recall_M: ArrayLike, k: int) -> float:
    """Give the recall of k-of-M over voters whose drops are nested.

    Nested: whatever a voter drops, every weaker one drops too. Then "at least k drop
    it" is "the k-th weakest drops it", so the ensemble is that voter: k = 1 the
    weakest, k = M the best.

    Args:
        recall_M: (M,) each voter's recall in [0, 1], at least one.
        k: drops needed, in 1..M.

    Returns:
        The k-th smallest recall.

    Raises:
        InvalidVotes: a recall is no share, or there is none.
        InvalidConfig: k is not in 1..M.

    Source: docs/references.md, "k-of-N drop voting": the k-th largest indicator.
    """
    return float(np.sort(_read(recall_M, k))[k - 1])


def k_of_n_recall_independent(recall_M: ArrayLike, k: int) -> float:
    """Give the recall of k-of-M over voters that err independently.

    The number of drops is Poisson-binomial: recall = 1 - P(at least k drops).

    Args:
        recall_M: (M,) each voter's recall in [0, 1], at least one.
        k: drops needed, in 1..M.

    Raises:
        InvalidVotes: a recall is no share, or there is none.
        InvalidConfig: k is not in 1..M.

    Source: Poisson 1837; scipy.stats.poisson_binom.
    """
    kept_M = _read(recall_M, k)
    # A sum of products may leave [0, 1] by a rounding.
    return float(np.clip(stats.poisson_binom(1 - kept_M).cdf(k - 1), 0, 1))


def k_of_n_recall_equicorrelated(
    recall: float, num_voters: int, k: int, correlation: float
) -> float:
    """Give the recall of k-of-M over equal voters, each two of equal correlation.

    The number of drops is beta-binomial with a + b = 1/ρ - 1: a word's difficulty is
    drawn from a Beta, then voters err independently. With k = (M + 1)/2 this is the
    accuracy of a majority.

    Args:
        recall: of each voter, in [0, 1].
        num_voters: M, at least 1.
        k: drops needed, in 1..M.
        correlation: ρ of two voters' drops in [0, 1]; at 1 they are one voter.

    Raises:
        InvalidVotes: the recall is no share.
        InvalidConfig: k is not in 1..M, or ρ not in [0, 1].

    Source: Skellam 1948 (beta-binomial); ρ = 1/(a + b + 1).
    """
    kept = float(_read([recall] * max(num_voters, 0), k)[0])
    if not 0 <= correlation <= 1:
        raise InvalidConfig(
            f"the correlation is {correlation}; expected 0 (independent) to 1 (copies)"
            "; voters that are equally correlated cannot all disagree"
        )
    if correlation == 1 or kept in {0.0, 1.0}:
        return kept
    if correlation == 0:
        return float(stats.binom(num_voters, 1 - kept).cdf(k - 1))
    total = 1 / correlation - 1
    drops = stats.betabinom(num_voters, (1 - kept) * total, kept * total)
    return float(np.clip(drops.cdf(k - 1), 0, 1))


def k_of_n_recall_bounds(recall_M: ArrayLike, k: int) -> tuple[float, float]:
    """Bound the recall of k-of-M whatever the voters' dependence; both ends occur.

    At k = M ("any voter keeps") the low end is the best voter's recall: such an
    ensemble keeps a superset of each voter's words. A published figure outside the
    bounds cannot be right.

    Args:
        recall_M: (M,) each voter's recall in [0, 1], at least one.
        k: drops needed, in 1..M.

    Returns:
        The lowest and the highest recall that voters of these recalls allow.

    Raises:
        InvalidVotes: a recall is no share, or there is none.
        InvalidConfig: k is not in 1..M.

    Source: Rüger 1978, "Das maximale Signifikanzniveau des Tests Lehne H0 ab, wenn k
        unter n gegebenen Tests zur Ablehnung führen"; both ends by complement.
    """
    kept_M = _read(recall_M, k)
    return 1 - _most_likely(1 - kept_M, k), _most_likely(kept_M, len(kept_M) - k + 1)


def spread_recalls(num_voters: int) -> FloatArray:
    """Give the published simulator's floors: M recalls evenly from .3 to .9.

    Raises:
        InvalidConfig: there is no voter.

    Source: the published simulator, linspace(.3, .9, N).
    """
    if num_voters < 1:
        raise InvalidConfig(
            f"there are {num_voters} voters; expected at least 1; give N >= 1"
        )
    return np.linspace(LOWEST_FLOOR, HIGHEST_FLOOR, num_voters)


def sweep(
    k: int,
    *,
    max_voters: int = MAX_VOTERS,
    recall: float = EQUAL_RECALL,
    correlation: float = CORRELATION,
) -> list[SweepRow]:
    """Add voters at a fixed k: what happens to recall.

    Every further voter is one more that can drop a word, so recall at a fixed k never
    rises. Nested it falls to that of the weakest, independent to 0; correlation only
    slows the fall.

    Args:
        k: drops needed, at least 1.
        max_voters: the last M; the first is k.
        recall: of each of the equal voters, in [0, 1].
        correlation: ρ of the equal voters that correlate, in [0, 1].

    Returns:
        A row for each M from k to max_voters; none if that is below k.

    Raises:
        InvalidVotes: the recall is no share.
        InvalidConfig: k is below 1, or ρ not in [0, 1].

    Source: docs/references.md, "k-of-N drop voting"; ours.
    """
    if k < 1:
        raise InvalidConfig(f"k is {k}; expected at least 1 drop; give k in 1..N")
    return [
        _sweep_row(num_voters, k, recall, correlation)
        for num_voters in range(k, max_voters + 1)
    ]


def _sweep_row(num_voters: int, k: int, recall: float, correlation: float) -> SweepRow:
    spread_M = spread_recalls(num_voters)
    return SweepRow(
        num_voters=num_voters,
        best=float(spread_M.max()),
        weakest=float(spread_M.min()),
        nested=nested_recall(spread_M, k),
        independent=k_of_n_recall_independent(spread_M, k),
        equal_independent=k_of_n_recall_equicorrelated(recall, num_voters, k, 0.0),
        equal_correlated=k_of_n_recall_equicorrelated(
            recall, num_voters, k, correlation
        ),
    )


def _most_likely(p_M: FloatArray, k: int) -> float:
    """Give the highest P(at least k events) of M events of these probabilities.

    min over r < k of (sum of all but the r largest p) / (k - r), and 1.
    """
    sum_M = np.cumsum(np.sort(p_M))
    shares = [sum_M[len(p_M) - 1 - r] / (k - r) for r in range(k)]
    return float(min(1.0, *shares))


def _read(recall_M: ArrayLike, k: int) -> FloatArray:
    """Check recalls and k."""
    kept_M = np.asarray(recall_M, dtype=np.float64)
    if kept_M.ndim != 1 or not ((kept_M >= 0) & (kept_M <= 1)).all():
        raise InvalidVotes(
            f"the recalls are {kept_M.tolist()}; expected one share in [0, 1] a voter"
        )
    if not 1 <= k <= len(kept_M):
        raise InvalidConfig(
            f"k is {k} for {len(kept_M)} voters; expected 1..{len(kept_M)}, the drops "
            "that it takes to drop a word"
        )
    return kept_M
