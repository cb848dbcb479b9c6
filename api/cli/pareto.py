"""`farm pareto`: quality against keep_rate over a loop's students, and the frontier."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, print_json, print_table, say

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

METRICS = {"exact_pct": "agent", "f1": "planted"}  # each with its usual suite
RANDOM = "random"
RULE_SET = "farm"
COLUMNS = ("student", "round", "recipe", "threshold", "keep_rate", "keep_rate_ci",
           "quality", "quality_ci", "n", "on_frontier")  # fmt: skip


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


def show_pareto(
    loop: Annotated[str, typer.Argument(help="The loop's name or id.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the picture goes: .png or .svg.")
    ] = None,
    suite: Annotated[
        str, typer.Option(help="Default: agent for exact_pct, planted for f1.")
    ] = "",
    metric: Annotated[str, typer.Option(help="exact_pct or f1.")] = "exact_pct",
    as_json: AsJson = False,
) -> None:
    """Print quality against keep_rate over a loop's students, and draw it.

    Without override. A point is on the frontier if no other keeps no more at no less
    quality. Without --out nothing is drawn.
    """
    from api.cli.connection import open_session
    from api.errors import InvalidInput
    from db.queries import loops

    if metric not in METRICS:
        raise InvalidInput(
            f"--metric is {metric!r}; expected one of {', '.join(METRICS)}"
        )
    if out is not None and out.suffix.lower() not in (".png", ".svg"):
        raise InvalidInput(f"--out is {out}; expected a name ending in .png or .svg")
    suite = suite or METRICS[metric]
    with open_session() as session:
        row = loops.get_loop(session, loop)
        name = row.name
        points = read_points(session, row.id, suite, metric)
    if out is not None and points:
        from api.cli.pareto_plot import draw

        draw(points, out, title=f"{name}, suite {suite}", metric=metric)
    if as_json:
        print_json([asdict(point) for point in points])
        return
    if not points:
        say(
            f"no student of {name} has {metric} on the suite {suite}; --suite and "
            "--metric name others, `farm eval` scores"
        )
        return
    rows = [_as_row(point) for point in points]
    print_table(rows, COLUMNS, title=f"{metric} against keep_rate: {name}, {suite}")
    if out is not None:
        say(f"drawn in {out}")


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


def _as_row(point: Point) -> dict[str, Any]:
    return {
        "student": point.student,
        "round": point.round,
        "recipe": point.recipe,
        "threshold": "own" if point.target is None else f"keep {point.target:g}",
        "keep_rate": point.keep_rate,
        "keep_rate_ci": _interval(point.keep_rate_low, point.keep_rate_high),
        "quality": point.quality,
        "quality_ci": _interval(point.quality_low, point.quality_high),
        "n": point.n,
        "on_frontier": point.on_frontier,
    }


def _interval(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.3f}–{high:.3f}"
