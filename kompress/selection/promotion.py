"""Which student of a loop is the best one, by a paired test; not simply the last.

G = groups, T = texts of the validation half
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from kompress.decisions import PromotionTest, WorseText
from kompress.errors import InvalidSelection
from kompress.metrics.bootstrap import (
    f1_statistic,
    paired_difference,
    resample_weights,
    sum_by_group,
)
from kompress.metrics.ratios import Confusion
from kompress.types import FloatArray, Score


@dataclass(frozen=True, slots=True)
class StudentCounts:
    """A student and how it did on each text of the validation half.

    Attributes:
        student_id: its name or id.
        counts_T3: (T, 3) TP, FP, FN of its keep decisions against gold.
        group_ids: T document groups; the same texts in the same order for all.
    """

    student_id: str
    counts_T3: NDArray[np.int64]
    group_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class F1Difference:
    """One student against the one with the highest F1, on the same resamples.

    Attributes:
        student_id: the student compared.
        difference: highest F1 minus its F1, at least 0.
        ci_low: lower end of the 95 % interval, None if it cannot be computed.
        ci_high: upper end.
        p_value: two-sided, None if it cannot be computed.
    """

    student_id: str
    difference: float
    ci_low: float | None
    ci_high: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Promotion:
    """The outcome.

    Attributes:
        best_student_id: who is promoted.
        f1: F1 by student, None where nothing was or should be kept.
        comparisons: the others against the highest F1.
        test: why.
    """

    best_student_id: str
    f1: Mapping[str, float | None]
    comparisons: tuple[F1Difference, ...]
    test: PromotionTest


def promote(
    candidates: Sequence[StudentCounts],
    rng: np.random.Generator,
    *,
    num_bootstraps: int = 1_000,
) -> Promotion:
    """Promote the earliest student that the highest F1 does not clearly beat.

    The highest micro F1 is compared with every earlier student on the same resamples
    of groups. The earliest one whose interval of the difference reaches 0 is promoted:
    a later student has to be better, not just luckier. Without any gold to test on the
    last student is promoted, untested.

    Args:
        candidates: students in the order of their rounds, at least one.
        rng: source of the resamples.
        num_bootstraps: resamples of groups.

    Returns:
        The promoted student, all F1 and why.

    Raises:
        InvalidSelection: there is no candidate, or they saw different texts.

    Source: design §9; paired percentile bootstrap, Efron & Tibshirani 1993.
    """
    counts = _checked_counts(candidates)
    f1 = {
        candidate.student_id: Confusion(*map(int, counts_T3.sum(axis=0))).f1
        for candidate, counts_T3 in zip(candidates, counts, strict=True)
    }
    ranked = [i for i, c in enumerate(candidates) if f1[c.student_id] is not None]
    if not ranked:
        return Promotion(candidates[-1].student_id, f1, (), PromotionTest("untested"))
    # max() keeps the first of equals, so ties go to the earlier student.
    top = max(ranked, key=lambda index: f1[candidates[index].student_id] or 0.0)
    grouped = [sum_by_group(c, candidates[0].group_ids) for c in counts]
    others = [index for index in ranked if index != top]
    comparisons = _compare(
        candidates, grouped, others, top, rng=rng, num_bootstraps=num_bootstraps
    )
    best = _earliest_unbeaten(candidates, f1, comparisons, top)
    test = _explain(candidates, comparisons, best, top)
    return Promotion(candidates[best].student_id, f1, tuple(comparisons), test)


def worse_texts(
    before: Mapping[str, float | None], after: Mapping[str, float | None]
) -> list[WorseText]:
    """List the texts whose figure fell, the worst fall first.

    Args:
        before: figure by text_sha256 in the round before, None where undefined.
        after: the same in this round; texts in only one of them are left out.

    Returns:
        Texts with after < before, ordered by the fall, then by hash.

    Source: design §9.
    """
    found = []
    for text, old in before.items():
        new = after.get(text)
        if old is not None and new is not None and new < old:
            found.append(WorseText(text, old, new))
    return sorted(
        found, key=lambda worse: (worse.after - worse.before, worse.text_sha256)
    )


def in_validation_half(group_id: str) -> bool:
    """Say whether a group's evaluation gold chooses students (else it reports on them).

    Half of all groups, by hash: a group never changes sides when others are added.

    Source: design §4, `gold`; the hash: ours.
    """
    digest = sha256(b"validation:" + group_id.encode("utf-8", "surrogatepass")).digest()
    return digest[0] % 2 == 0


def confusions_by_text(scores: Sequence[Score]) -> dict[str, Confusion]:
    """Recover each text's counts from its stored precision and recall.

    Args:
        scores: rows of one student; only per-text `precision` and `recall` rows of
            stratum `all` at the own threshold without override are read. Their n are
            TP + FP and TP + FN.

    Returns:
        Counts by text_sha256, for texts with both rows.
    """
    rows = {
        (score.text_sha256, score.metric): score
        for score in scores
        if score.text_sha256
        and score.stratum == "all"
        and score.target_keep_rate is None
        and not score.override
        and score.step == 0
    }
    found = {}
    for (text, metric), recall in rows.items():
        precision = rows.get((text, "precision"))
        if metric != "recall" or precision is None:
            continue
        tp = round((recall.value or 0.0) * recall.n)
        found[text] = Confusion(tp=tp, fp=precision.n - tp, fn=recall.n - tp)
    return found


def _checked_counts(candidates: Sequence[StudentCounts]) -> list[FloatArray]:
    if not candidates:
        raise InvalidSelection(
            "no candidate to promote; expected at least one trained student; "
            "finish a round first"
        )
    groups = candidates[0].group_ids
    counts = [np.asarray(c.counts_T3, dtype=np.float64) for c in candidates]
    for candidate, counts_T3 in zip(candidates, counts, strict=True):
        if candidate.group_ids != groups or counts_T3.shape != (len(groups), 3):
            raise InvalidSelection(
                f"student {candidate.student_id} has counts of shape "
                f"{counts_T3.shape} over {len(candidate.group_ids)} texts; expected "
                f"({len(groups)}, 3) over the same texts in the same order as "
                f"{candidates[0].student_id}; score both on the same gold"
            )
    return counts


def _compare(
    candidates: Sequence[StudentCounts],
    grouped: Sequence[FloatArray],
    others: Sequence[int],
    top: int,
    *,
    rng: np.random.Generator,
    num_bootstraps: int,
) -> list[F1Difference]:
    """Compare the F1 of `top` with each other student's on shared resamples."""
    num_groups = len(grouped[top])
    weights_BG = resample_weights(num_groups, num_bootstraps=num_bootstraps, rng=rng)
    found = []
    for index in others:
        lead = paired_difference(grouped[top], grouped[index], weights_BG, f1_statistic)
        # Both have an F1, or they would not be compared.
        assert lead.value is not None  # noqa: S101
        found.append(
            F1Difference(
                candidates[index].student_id,
                lead.value,
                lead.low,
                lead.high,
                lead.p_value,
            )
        )
    return found


def _earliest_unbeaten(
    candidates: Sequence[StudentCounts],
    f1: Mapping[str, float | None],
    comparisons: Sequence[F1Difference],
    top: int,
) -> int:
    """Find the first student that `top` does not clearly beat.

    A noisy student is passed over where an earlier one was at least as good.
    """
    low = {found.student_id: found.ci_low for found in comparisons}
    best_before = -1.0
    for index, candidate in enumerate(candidates[:top]):
        own = f1[candidate.student_id]
        if own is None:
            continue
        ci_low = low[candidate.student_id]
        if own > best_before and (ci_low is None or ci_low <= 0):
            return index
        best_before = max(best_before, own)
    return top


def _explain(
    candidates: Sequence[StudentCounts],
    comparisons: Sequence[F1Difference],
    best: int,
    top: int,
) -> PromotionTest:
    best_id, top_id = candidates[best].student_id, candidates[top].student_id
    if best == top:
        return PromotionTest("better" if comparisons and top > 0 else "highest", top_id)
    found = next(c for c in comparisons if c.student_id == best_id)
    if found.ci_low is None or found.ci_high is None:
        return PromotionTest("too_few_groups", top_id, best_id, found.difference)
    return PromotionTest(
        "within_interval",
        top_id,
        best_id,
        found.difference,
        found.ci_low,
        found.ci_high,
    )
