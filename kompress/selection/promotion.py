"""Which student of a loop is the best one, by a paired test; not simply the last.

G = groups, K = counts of a figure, T = texts of the validation half
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from kompress.decisions import PromotionFigure, PromotionTest, WorseText
from kompress.errors import InvalidSelection
from kompress.metrics.bootstrap import (
    Statistic,
    f1_statistic,
    paired_difference,
    resample_weights,
    sum_by_group,
)
from kompress.metrics.ratios import Confusion
from kompress.types import FloatArray, Score


class DecisionCounts(NamedTuple):
    """What a student leaves of one text's questions and facts."""

    decided: int
    questions: int
    facts_kept: int
    facts: int


@dataclass(frozen=True, slots=True)
class StudentCounts:
    """A student and how it did on each text of the validation half.

    Attributes:
        student_id: its name or id.
        counts_TK: (T, K) counts of the figure: fields of `Confusion` or of
            `DecisionCounts`.
        group_ids: T document groups; the same texts in the same order for all.
    """

    student_id: str
    counts_TK: FloatArray
    group_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudentDifference:
    """One student against the one with the highest figure, on the same resamples.

    Attributes:
        student_id: the student compared.
        difference: the highest figure minus its own, at least 0.
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
        figures: the figure by student, None where nothing can be counted.
        comparisons: the others against the highest figure.
        test: why.
    """

    best_student_id: str
    figures: Mapping[str, float | None]
    comparisons: tuple[StudentDifference, ...]
    test: PromotionTest


def promote(
    candidates: Sequence[StudentCounts],
    rng: np.random.Generator,
    *,
    figure: PromotionFigure = "f1",
    num_bootstraps: int = 1_000,
) -> Promotion:
    """Promote the earliest student that the highest figure does not clearly beat.

    The highest figure is compared with every earlier student on the same resamples
    of groups. The earliest one whose interval of the difference reaches 0 is promoted:
    a later student has to be better, not just luckier. Without any gold to test on the
    last student is promoted, untested.

    Args:
        candidates: students in the order of their rounds, at least one.
        rng: source of the resamples.
        figure: what the counts are of: micro F1, or what survives of questions and
            facts at the target keep_rate (`decisions_statistic`).
        num_bootstraps: resamples of groups.

    Returns:
        The promoted student, all figures and why.

    Raises:
        InvalidSelection: there is no candidate, or they saw different texts.

    Source: design §9; paired percentile bootstrap, Efron & Tibshirani 1993.
    """
    counts = _checked_counts(candidates)
    statistic = _STATISTICS[figure]
    figures = {
        candidate.student_id: total_statistic(counts_TK, statistic)
        for candidate, counts_TK in zip(candidates, counts, strict=True)
    }
    ranked = [i for i, c in enumerate(candidates) if figures[c.student_id] is not None]
    if not ranked:
        last = candidates[-1].student_id
        return Promotion(last, figures, (), PromotionTest("untested"))
    # max() keeps the first of equals, so ties go to the earlier student.
    top = max(ranked, key=lambda index: figures[candidates[index].student_id] or 0.0)
    grouped = [sum_by_group(c, candidates[0].group_ids) for c in counts]
    others = [index for index in ranked if index != top]
    weights_BG = resample_weights(
        len(grouped[top]), num_bootstraps=num_bootstraps, rng=rng
    )
    comparisons = _compare(candidates, grouped, others, top, weights_BG, statistic)
    best = _earliest_unbeaten(candidates, figures, comparisons, top)
    test = _explain(candidates, comparisons, best, top)
    return Promotion(candidates[best].student_id, figures, tuple(comparisons), test)


def decisions_statistic(counts_BK: FloatArray) -> FloatArray:
    """Give what survives: the mean of decision_pct and fact_pct, or the one there is.

    Decisions are what a reader wants and are few; facts are many. Their mean looks at
    both, and two students whose decisions are equal are told apart by their facts.

    Args:
        counts_BK: (B, 4) fields of `DecisionCounts`.

    Returns:
        (B,) in [0, 1]; NaN without a question and a fact.

    Source: ours.
    """
    part_B2, whole_B2 = counts_BK[:, 0::2], counts_BK[:, 1::2]
    share_B2 = np.divide(
        part_B2, whole_B2, out=np.zeros_like(part_B2), where=whole_B2 > 0
    )
    num_B = (whole_B2 > 0).sum(axis=1)
    nothing_B = np.full(len(counts_BK), np.nan)
    shares_B = share_B2.sum(axis=1)
    return np.asarray(np.divide(shares_B, num_B, out=nothing_B, where=num_B > 0))


_STATISTICS: dict[PromotionFigure, Statistic] = {
    "f1": f1_statistic,
    "decisions": decisions_statistic,
}


def total_statistic(counts_TK: FloatArray, statistic: Statistic) -> float | None:
    """Give a statistic of counts summed over texts, None where it is undefined."""
    if not len(counts_TK):
        return None
    value = float(statistic(counts_TK.sum(axis=0)[None])[0])
    return None if np.isnan(value) else value


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


def decisions_by_text(
    scores: Sequence[Score], target_keep_rate: float
) -> dict[str, DecisionCounts]:
    """Recover each text's decisions and facts at a keep_rate from its stored shares.

    Args:
        scores: rows of one student; only per-text `decision_pct` and `fact_pct` rows at
            this keep_rate without override are read. Their n are questions and facts.
        target_keep_rate: at which the rows are.

    Returns:
        Counts by text_sha256, for texts with a row.
    """
    found: dict[str, DecisionCounts] = {}
    for score in scores:
        if (
            score.metric not in {"decision_pct", "fact_pct"}
            or not score.text_sha256
            or not score.is_at(target_keep_rate)
        ):
            continue
        held = found.get(score.text_sha256, DecisionCounts(0, 0, 0, 0))
        kept = round((score.value or 0.0) * score.n)
        if score.metric == "decision_pct":
            held = held._replace(decided=kept, questions=score.n)
        else:
            held = held._replace(facts_kept=kept, facts=score.n)
        found[score.text_sha256] = held
    return found


def _checked_counts(candidates: Sequence[StudentCounts]) -> list[FloatArray]:
    if not candidates:
        raise InvalidSelection(
            "no candidate to promote; expected at least one trained student; "
            "finish a round first"
        )
    groups = candidates[0].group_ids
    counts = [np.asarray(c.counts_TK, dtype=np.float64) for c in candidates]
    num_counts = counts[0].shape[-1]
    for candidate, counts_TK in zip(candidates, counts, strict=True):
        expected = (len(groups), num_counts)
        if candidate.group_ids != groups or counts_TK.shape != expected:
            raise InvalidSelection(
                f"student {candidate.student_id} has counts of shape "
                f"{counts_TK.shape} over {len(candidate.group_ids)} texts; expected "
                f"{expected} over the same texts in the same order as "
                f"{candidates[0].student_id}; score both on the same gold"
            )
    return counts


def _compare(
    candidates: Sequence[StudentCounts],
    grouped: Sequence[FloatArray],
    others: Sequence[int],
    top: int,
    weights_BG: FloatArray,
    statistic: Statistic,
) -> list[StudentDifference]:
    """Compare the figure of `top` with each other student's on shared resamples."""
    found = []
    for index in others:
        lead = paired_difference(grouped[top], grouped[index], weights_BG, statistic)
        # Both have a figure, or they would not be compared.
        assert lead.value is not None  # noqa: S101
        found.append(
            StudentDifference(
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
    figures: Mapping[str, float | None],
    comparisons: Sequence[StudentDifference],
    top: int,
) -> int:
    """Find the first student that `top` does not clearly beat.

    A noisy student is passed over where an earlier one was at least as good.
    """
    low = {found.student_id: found.ci_low for found in comparisons}
    best_before = -1.0
    for index, candidate in enumerate(candidates[:top]):
        own = figures[candidate.student_id]
        if own is None:
            continue
        ci_low = low[candidate.student_id]
        if own > best_before and (ci_low is None or ci_low <= 0):
            return index
        best_before = max(best_before, own)
    return top


def _explain(
    candidates: Sequence[StudentCounts],
    comparisons: Sequence[StudentDifference],
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
