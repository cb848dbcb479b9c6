"""How a loop ends: whether it goes on after a round, and which student it promotes.

The best student by a paired test on the validation half of evaluation gold is promoted,
not the last one, and reported on the other half (design §9).

T = texts of one half
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kompress.config import StopConfig
from kompress.decisions import PromotionReport, PromotionTest, WorseText
from kompress.metrics.ratios import Confusion
from kompress.selection.promotion import (
    StudentCounts,
    confusions_by_text,
    in_validation_half,
    promote,
    worse_texts,
)
from kompress.selection.stopping import RoundFacts, decide
from kompress.stop_reason import StopReason
from kompress.types import Score


def find_stop_reason(
    rounds: Sequence[tuple[Mapping[str, Any], Sequence[Score]]], config: StopConfig
) -> StopReason | None:
    """Say why a loop stops after its last finished round, or None to go on.

    Args:
        rounds: of each finished round, in order, its row of `round_summary` and the
            exact_pct of its main student on the suite `agent`.
        config: tolerances and limits.
    """
    facts = [
        RoundFacts(
            number=row["round"],
            f1_gold=row["f1_gold"],
            exact_at_target=_exact_at(scores, config.target_keep_rate),
            mk_in_ref_raw=row["mk_in_ref"],
            override_delta=row["override_delta"],
            keep_rate=row["exact_keep_rate"],
            usd=row["usd"],
            seconds=row["seconds"],
        )
        for row, scores in rounds
    ]
    return decide(facts, config)


def promote_student(
    scores: Mapping[int, Sequence[Score]],
    groups: Mapping[str, str],
    rng: np.random.Generator,
) -> PromotionReport:
    """Choose the best student on one half of the gold, report it on the other.

    Args:
        scores: rows per text by main student, in the order of their rounds.
        groups: document group by the hash of each text with evaluation gold.
        rng: source of the resamples.
    """
    counts = {student: confusions_by_text(rows) for student, rows in scores.items()}
    if not counts:
        return PromotionReport(None, PromotionTest("no_student"))
    shared = set.intersection(*(set(by_text) for by_text in counts.values()))
    texts_seen = sorted(shared & set(groups))
    validation = [t for t in texts_seen if in_validation_half(groups[t])]
    report = [t for t in texts_seen if t not in set(validation)]
    outcome = promote(
        [
            StudentCounts(
                student_id=str(student),
                counts_T3=np.array(
                    [(by_text[t].tp, by_text[t].fp, by_text[t].fn) for t in validation],
                    dtype=np.int64,
                ).reshape(-1, 3),
                group_ids=tuple(groups[t] for t in validation),
            )
            for student, by_text in counts.items()
        ],
        rng,
    )
    best = int(outcome.best_student_id)
    total = sum((counts[best][t] for t in report), Confusion(0, 0, 0))
    return PromotionReport(
        promoted=best,
        test=outcome.test,
        f1_validation=outcome.f1,
        f1_report=total.f1,
        num_validation=len(validation),
        num_report=len(report),
        worse_texts=_fallen_texts(counts, best, texts_seen),
    )


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


def _exact_at(scores: Sequence[Score], keep_rate: float) -> float | None:
    """Find the figure at a fixed keep_rate, without override."""
    for score in scores:
        if (
            score.stratum == "all"
            and not score.override
            and score.target_keep_rate is not None
            and abs(score.target_keep_rate - keep_rate) < 1e-9
        ):
            return score.value
    return None
