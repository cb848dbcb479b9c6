"""How a loop ends: whether it goes on after a round, and which student it promotes.

The best student by a paired test on the validation half of evaluation gold is promoted,
not the last one, and reported on the other half (design §9).

T = texts of one half
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

import numpy as np

from kompress.config import AGENT_SUITE, GOLD_SUITE, StopConfig
from kompress.decisions import PromotionReport, PromotionTest, WorseText
from kompress.metrics.bootstrap import f1_statistic
from kompress.metrics.ratios import Confusion
from kompress.selection.promotion import (
    DecisionCounts,
    StudentCounts,
    confusions_by_text,
    decisions_by_text,
    decisions_statistic,
    in_validation_half,
    promote,
    total_statistic,
    worse_texts,
)
from kompress.selection.stopping import RoundFacts, decide
from kompress.stop_reason import StopReason
from kompress.types import FloatArray, Score

# What the stop rule reads at the target keep_rate: suite and metric.
STOP_FIGURES = (
    (AGENT_SUITE, "exact_pct"),
    (GOLD_SUITE, "decision_pct"),
    (GOLD_SUITE, "fact_pct"),
)


def find_stop_reason(
    rounds: Sequence[tuple[Mapping[str, Any], Sequence[Score]]],
    config: StopConfig,
    *,
    num_planned: int = 1,
) -> StopReason | None:
    """Say why a loop stops after its last finished round, or None to go on.

    Args:
        rounds: of each finished round, in order, its row of `round_summary`, and its
            main student's exact_pct on the suite `agent`, decision_pct and fact_pct on
            the suite with gold.
        config: tolerances and limits.
        num_planned: rounds that the loop's config describes one by one.
    """
    target = config.target_keep_rate
    facts = [
        RoundFacts(
            number=row["round"],
            f1_gold=row["f1_gold"],
            decision_at_target=_value_at(scores, GOLD_SUITE, "decision_pct", target),
            fact_at_target=_value_at(scores, GOLD_SUITE, "fact_pct", target),
            exact_at_target=_value_at(scores, AGENT_SUITE, "exact_pct", target),
            mk_in_ref_raw=row["mk_in_ref"],
            override_delta=row["override_delta"],
            keep_rate=row["exact_keep_rate"],
            usd=row["usd"],
            seconds=row["seconds"],
        )
        for row, scores in rounds
    ]
    return decide(facts, config, num_planned=num_planned)


def promote_student(
    scores: Mapping[int, Sequence[Score]],
    groups: Mapping[str, str],
    rng: np.random.Generator,
    *,
    target_keep_rate: float,
) -> PromotionReport:
    """Choose the best student on one half of the gold, report it on the other.

    Students are compared by what survives of questions and facts where all keep equally
    much, at the target keep_rate; by F1 where no text has a question or a fact.

    Args:
        scores: rows per text by main student, in the order of their rounds.
        groups: document group by the hash of each text with evaluation gold.
        rng: source of the resamples.
        target_keep_rate: at which decisions and facts are counted.
    """
    if not scores:
        return PromotionReport(None, PromotionTest("no_student"))
    confusions = {student: confusions_by_text(rows) for student, rows in scores.items()}
    counted = {
        student: {text: astuple(cells) for text, cells in by_text.items()}
        for student, by_text in confusions.items()
    }
    # A student that an earlier version scored has no rows at the target.
    decided = {
        student: decisions_by_text(rows, target_keep_rate)
        for student, rows in scores.items()
    }
    validation, report = _halves(counted, groups)
    by_f1 = promote(_lay_out(counted, validation, groups), rng)
    found = _promote_by_decisions(decided, groups, rng, target_keep_rate)
    if found is None:
        found = PromotionReport(int(by_f1.best_student_id), by_f1.test)
    best = found.promoted
    assert best is not None  # noqa: S101  # there is a student
    return replace(
        found,
        f1_validation=by_f1.figures,
        f1_report=total_statistic(_stack(counted[best], report), f1_statistic),
        num_validation=len(validation),
        num_report=len(report),
        worse_texts=_fallen_texts(confusions, best, [*validation, *report]),
    )


def _promote_by_decisions(
    decided: Mapping[int, Mapping[str, DecisionCounts]],
    groups: Mapping[str, str],
    rng: np.random.Generator,
    target_keep_rate: float,
) -> PromotionReport | None:
    """Compare what survives of questions and facts; None where no text has any."""
    validation, report = _halves(decided, groups)
    if not validation:
        return None
    candidates = _lay_out(decided, validation, groups)
    outcome = promote(candidates, rng, figure="decisions")
    best = int(outcome.best_student_id)
    return PromotionReport(
        best,
        outcome.test,
        figure="decisions",
        target_keep_rate=target_keep_rate,
        decisions_validation=outcome.figures,
        decisions_report=total_statistic(
            _stack(decided[best], report), decisions_statistic
        ),
    )


def _halves(
    by_student: Mapping[int, Mapping[str, Any]], groups: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Split the texts that all students were scored on: to choose by, and to report."""
    shared = set.intersection(*(set(by_text) for by_text in by_student.values()))
    found = sorted(shared & set(groups))
    chosen = [text for text in found if in_validation_half(groups[text])]
    return chosen, [text for text in found if not in_validation_half(groups[text])]


def _lay_out(
    by_student: Mapping[int, Mapping[str, Sequence[int]]],
    texts: Sequence[str],
    groups: Mapping[str, str],
) -> list[StudentCounts]:
    """Give each student's counts to the test, texts in one order."""
    group_ids = tuple(groups[text] for text in texts)
    return [
        StudentCounts(str(student), _stack(by_text, texts), group_ids)
        for student, by_text in by_student.items()
    ]


def _stack(by_text: Mapping[str, Sequence[int]], texts: Sequence[str]) -> FloatArray:
    """(T, K) counts of some texts; (0, 3) of none."""
    rows = [by_text[text] for text in texts]
    return np.array(rows, dtype=np.float64) if rows else np.zeros((0, 3))


def _fallen_texts(
    counts: Mapping[int, Mapping[str, Confusion]], best: int, names: Sequence[str]
) -> tuple[WorseText, ...]:
    """List the texts on which a student's F1 is below that of the one before it."""
    order = list(counts)
    if not order.index(best):
        return ()
    before, after = (
        {name: counts[student][name].f1 for name in names}
        for student in (order[order.index(best) - 1], best)
    )
    return tuple(worse_texts(before, after))


def _value_at(
    scores: Sequence[Score], suite: str, metric: str, keep_rate: float
) -> float | None:
    """Find a figure at a fixed keep_rate, without override."""
    for score in scores:
        if (
            (score.suite, score.metric, score.stratum) == (suite, metric, "all")
            and not score.text_sha256
            and score.is_at(keep_rate)
        ):
            return score.value
    return None
