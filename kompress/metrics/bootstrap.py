"""Percentile intervals by resampling whole groups of documents.

Counts are integers, so every resampled sum is exact and no order of summation shows.

B = bootstraps, G = groups, K = counts of one statistic, T = texts
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kompress.errors import InvalidConfig
from kompress.types import FloatArray

LEVEL = 0.95  # design §1 "Exactly"

Statistic = Callable[[FloatArray], FloatArray]


class Interval(NamedTuple):
    """Both ends of an interval, None where it cannot be computed."""

    low: float | None
    high: float | None


NO_INTERVAL = Interval(None, None)


def sum_by_group(counts_TK: FloatArray, group_ids: Sequence[str]) -> FloatArray:
    """Add up the counts of texts that belong together.

    Args:
        counts_TK: (T, K) counts per text.
        group_ids: T names; texts of one name are resampled together.

    Returns:
        (G, K) counts per group, groups in sorted order.

    Raises:
        InvalidConfig: the two do not have one entry per text each.

    Source: ours.
    """
    counts_TK = np.asarray(counts_TK, dtype=np.float64)
    if counts_TK.ndim != 2 or len(counts_TK) != len(group_ids):
        raise InvalidConfig(
            f"counts have shape {counts_TK.shape} for {len(group_ids)} group ids; "
            "expected (T, K) and T; give one row and one group id a text"
        )
    names, group_T = np.unique(
        np.asarray(group_ids, dtype=np.str_), return_inverse=True
    )
    counts_GK = np.zeros((len(names), counts_TK.shape[1]))
    np.add.at(counts_GK, group_T, counts_TK)
    return counts_GK


def resample_weights(
    num_groups: int, *, num_bootstraps: int, rng: np.random.Generator
) -> FloatArray:
    """Draw how often each group occurs in each resample.

    Statistics that share one matrix are paired: they saw the same resamples.

    Args:
        num_groups: G, at least 1.
        num_bootstraps: B, at least 1.
        rng: source of the draws.

    Returns:
        (B, G) whole numbers; every row sums to G.

    Source: Efron & Tibshirani 1993, chapter 6, on groups.
    """
    share_G = np.full(num_groups, 1.0 / num_groups)
    draws_BG = rng.multinomial(num_groups, share_G, size=num_bootstraps)
    return draws_BG.astype(np.float64)


def percentile_interval(
    counts_GK: FloatArray, weights_BG: FloatArray, statistic: Statistic
) -> Interval:
    """Give the percentile 95 % interval of a statistic of summed counts.

    Args:
        counts_GK: (G, K) counts per group.
        weights_BG: (B, G) from `resample_weights`.
        statistic: maps sums (B, K) to values (B,); NaN where undefined.

    Returns:
        The interval over the resamples where the statistic is defined; both ends None
        for fewer than two groups (one group says nothing about spread) or where no
        resample defines it.

    Source: Efron & Tibshirani 1993, chapter 13.
    """
    if len(counts_GK) < 2:
        return NO_INTERVAL
    value_B = statistic(weights_BG @ counts_GK)
    value_B = value_B[np.isfinite(value_B)]
    if value_B.size == 0:
        return NO_INTERVAL
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(value_B, [tail, 100 - tail])
    return Interval(float(low), float(high))


def bootstrap_interval(
    counts_TK: FloatArray,
    group_ids: Sequence[str],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    num_bootstraps: int = 1_000,
) -> Interval:
    """Resample groups and give the percentile 95 % interval; one call for one figure.

    Args:
        counts_TK: (T, K) counts per text.
        group_ids: T names of groups.
        statistic: maps sums (B, K) to values (B,); NaN where undefined.
        rng: source of the resamples.
        num_bootstraps: B.

    Returns:
        The interval, see `percentile_interval`.

    Raises:
        InvalidConfig: counts and group ids do not match.

    Source: design §1 "Exactly".
    """
    counts_GK = sum_by_group(counts_TK, group_ids)
    if len(counts_GK) < 2:
        return NO_INTERVAL
    weights_BG = resample_weights(
        len(counts_GK), num_bootstraps=num_bootstraps, rng=rng
    )
    return percentile_interval(counts_GK, weights_BG, statistic)


def ratio_statistic(sums_BK: FloatArray) -> FloatArray:
    """Divide column 0 by column 1; NaN where column 1 is 0."""
    return _divide(sums_BK[:, 0], sums_BK[:, 1])


def difference_statistic(sums_BK: FloatArray) -> FloatArray:
    """Give (column 0 - column 1) / column 2; NaN where column 2 is 0."""
    return _divide(sums_BK[:, 0] - sums_BK[:, 1], sums_BK[:, 2])


def f1_statistic(sums_BK: FloatArray) -> FloatArray:
    """Give F1 of the columns tp, fp, fn; NaN where all are 0."""
    doubled_B = 2 * sums_BK[:, 0]
    return _divide(doubled_B, doubled_B + sums_BK[:, 1] + sums_BK[:, 2])


def _divide(numerator_B: FloatArray, denominator_B: FloatArray) -> FloatArray:
    empty_B = denominator_B == 0
    safe_B = np.where(empty_B, 1.0, denominator_B)
    return np.where(empty_B, np.nan, numerator_B / safe_B)
