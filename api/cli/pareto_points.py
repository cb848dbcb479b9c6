"""A loop's operating points: quality and keep_rate of its students, and of chance."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

RANDOM = "random"
RULE_SET = "farm"


@dataclass(frozen=True, slots=True)
class Point:
    """One operating point of a student, or of random dropping.

    Attributes:
        student: its id, None for random dropping.
        round: the round's number.
        recipe: the student's recipe, or `random`.
        target: the keep_rate asked for; None for the student's own threshold.
        keep_rate: kept words / all words, with its interval.
        quality: the metric, with its interval.
        n: the metric's denominator.
        on_frontier: no other point of a student keeps no more at no less quality.
    """

    student: int | None
    round: int
    recipe: str
    target: float | None
    keep_rate: float
    keep_rate_low: float | None
    keep_rate_high: float | None
    quality: float
    quality_low: float | None
    quality_high: float | None
    n: int
    on_frontier: bool = False


def read_points(
    session: "Session", loop_id: int, suite: str, metric: str
) -> list[Point]:
    """Read a loop's operating points, own thresholds first, random dropping last."""
    from db.queries import loops, scores, students
    from kompress.selection.frontier import pareto_frontier

    recipe_of = {s.id: s.recipe for s in students.main_students(session, loop_id)}
    found: list[Point] = []
    random: list[Point] = []
    for row in loops.rounds_of(session, loop_id):
        stored = scores.load_scores(session, row.id, suite=suite)
        for student_id, recipe in recipe_of.items():
            mine = [s.score for s in stored if s.student_id == student_id]
            found += _points(mine, metric, student_id, row.number, recipe)
        chance = [
            s.score
            for s in stored
            if s.subject_kind == "baseline" and s.subject == RANDOM
        ]
        # Of the last round that has any: its curve is every round's.
        random = _points(chance, metric, None, row.number, RANDOM) or random
    on = pareto_frontier(
        [point.keep_rate for point in found], [point.quality for point in found]
    )
    marked = [
        replace(point, on_frontier=is_on)
        for point, is_on in zip(found, on.tolist(), strict=True)
    ]
    order = sorted(
        marked, key=lambda p: (p.target is not None, p.round, p.student or 0)
    )
    return order + random


def _points(
    stored: list[Any], metric: str, student: int | None, number: int, recipe: str
) -> list[Point]:
    """Pair quality with keep_rate, by the keep_rate asked for."""
    by_key = {
        (score.metric, score.target_keep_rate): score
        for score in stored
        if score.stratum == "all"
        and score.definition == "multiset"
        and not score.override
        and score.rule_set in ("", RULE_SET)
        and score.step == 0
    }
    points = []
    for (name, target), quality in by_key.items():
        kept = by_key.get(("keep_rate", target))
        if name != metric or kept is None or None in (kept.value, quality.value):
            continue
        points.append(
            Point(
                student=student,
                round=number,
                recipe=recipe,
                target=target,
                keep_rate=kept.value,
                keep_rate_low=kept.ci_low,
                keep_rate_high=kept.ci_high,
                quality=quality.value,
                quality_low=quality.ci_low,
                quality_high=quality.ci_high,
                n=quality.n,
            )
        )
    return points
