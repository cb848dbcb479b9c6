"""Percentile intervals by resampling whole groups of documents.

Counts are integers, so every resampled sum is exact and no order of summation shows.

B = bootstraps, G and H = groups, K = counts of one statistic, T = texts
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kompress.errors import InvalidConfig
from kompress.types import FloatArray

LEVEL = 0.95  # design §1 "Exactly"
_PART_CELLS = 4_000_000  # of the resampling matrix held at once: 32 MB

Statistic = Callable[[FloatArray], FloatArray]


class Interval(NamedTuple):
    """Both ends of an interval, None where it cannot be computed."""

    low: float | None
    high: float | None


NO_INTERVAL = Interval(None, None)


class Difference(NamedTuple):
    """How far one statistic lies above another, None where it cannot be computed."""

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None


def sum_by_group(counts_TK: FloatArray, group_ids: Sequence[str]) -> FloatArray:
    """Add up the counts of texts that belong together.

    Args:
        counts_TK: (T, K) counts per text.
        group_ids: T names; texts of one name are resampled together.

    Returns:
        (G, K) counts per group, groups in sorted order.

    Raises:
        InvalidConfig: the two do not have one entry per text each.
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
        num_bootstraps: B, at least 0.
        rng: source of the draws.

    Returns:
        (B, G) whole numbers, as floats: below 2^53 they add exactly, and by BLAS;
        every row sums to G.

    Source: Efron & Tibshirani 1993, chapter 6, on groups.
    """
    share_G = np.full(num_groups, 1.0 / num_groups)
    draws_BG = rng.multinomial(num_groups, share_G, size=num_bootstraps)
    return draws_BG.astype(np.float64)


def resample_in_parts(
    num_groups: int, *, num_bootstraps: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Draw as `resample_weights`, no more rows at once than memory bears.

    Args:
        num_groups: G, at least 1.
        num_bootstraps: B over all parts.
        rng: source of the draws.

    Yields:
        (part of B, G) weights, 32 MB at most unless one row is larger.
    """
    step = max(1, _PART_CELLS // num_groups)
    for start in range(0, num_bootstraps, step):
        size = min(step, num_bootstraps - start)
        yield resample_weights(num_groups, num_bootstraps=size, rng=rng)


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


def paired_difference(
    a_GK: FloatArray, b_GK: FloatArray, weights_BG: FloatArray, statistic: Statistic
) -> Difference:
    """Compare two subjects on the same groups: both see every resample.

    Args:
        a_GK: (G, K) counts of the first.
        b_GK: (G, K) counts of the second, groups in the same order.
        weights_BG: (B, G) from `resample_weights`.
        statistic: maps sums (B, K) to values (B,); NaN where undefined.

    Returns:
        statistic(a) - statistic(b), its percentile 95 % interval and its two-sided
        p-value, which counts the data themselves as one more resample and so is never
        0. No interval and no p-value for fewer than two groups.

    Source: Efron & Tibshirani 1993, chapters 13 and 16; the p-value by inverting the
        percentile interval.
    """
    value = _value(a_GK, statistic) - _value(b_GK, statistic)
    a_B, b_B = statistic(weights_BG @ a_GK), statistic(weights_BG @ b_GK)
    return _difference(value, a_B - b_B, testable=len(a_GK) >= 2)


def independent_difference(
    a_GK: FloatArray,
    b_HK: FloatArray,
    a_weights_BG: FloatArray,
    b_weights_BH: FloatArray,
    statistic: Statistic,
) -> Difference:
    """Compare two figures of different groups, each resampled by itself.

    Args:
        a_GK: (G, K) counts of the first.
        b_HK: (H, K) counts of the second, of other groups.
        a_weights_BG: (B, G) from `resample_weights`.
        b_weights_BH: (B, H) from other draws.
        statistic: maps sums (B, K) to values (B,); NaN where undefined.

    Returns:
        As `paired_difference`; no interval unless both sides have two groups.

    Source: Efron & Tibshirani 1993, chapter 16 (two samples).
    """
    value = _value(a_GK, statistic) - _value(b_HK, statistic)
    a_B, b_B = statistic(a_weights_BG @ a_GK), statistic(b_weights_BH @ b_HK)
    testable = min(len(a_GK), len(b_HK)) >= 2
    return _difference(value, a_B - b_B, testable=testable)


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


def _value(counts_GK: FloatArray, statistic: Statistic) -> float:
    """Give the statistic of the groups as they are; NaN where undefined."""
    return float(statistic(counts_GK.sum(axis=0, keepdims=True))[0])


def _difference(
    value: float, difference_B: FloatArray, *, testable: bool
) -> Difference:
    difference_B = difference_B[np.isfinite(difference_B)]
    known = value if np.isfinite(value) else None
    if not testable or difference_B.size == 0 or known is None:
        return Difference(known, None, None, None)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(difference_B, [tail, 100 - tail])
    below = int((difference_B <= 0).sum()) + 1
    above = int((difference_B >= 0).sum()) + 1
    p_value = min(1.0, 2 * min(below, above) / (difference_B.size + 1))
    return Difference(known, float(low), float(high), p_value)


def _divide(numerator_B: FloatArray, denominator_B: FloatArray) -> FloatArray:
    empty_B = denominator_B == 0
    safe_B = np.where(empty_B, 1.0, denominator_B)
    return np.where(empty_B, np.nan, numerator_B / safe_B)
