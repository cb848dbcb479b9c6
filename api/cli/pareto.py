"""`farm pareto`: quality against keep_rate over a loop's students, and the frontier."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import LoopName, check_choice
from api.cli.output import AsJson, format_interval, print_json, print_table, say
from api.cli.pictures import COLOURS, MARKERS, check_picture, open_figure

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

METRICS = {"exact_pct": "agent", "f1": "planted"}  # each with its usual suite
LABELS = {"exact_pct": "exact_pct: must-keep words kept", "f1": "F1 on gold words"}
COLUMNS = ("student", "round", "recipe", "threshold", "keep_rate", "keep_rate_ci",
           "quality", "quality_ci", "n", "on_frontier")  # fmt: skip
RANDOM = "random"
RULE_SET = "farm"
SIZE_INCHES = (9.0, 5.5)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
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
    loop: LoopName,
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
    from db.queries import loops

    check_choice("--metric", metric, tuple(METRICS))
    check_picture(out, "--out")
    suite = suite or METRICS[metric]
    with open_session() as session:
        row = loops.get_loop(session, loop)
        name = row.name
        points = read_points(session, row.id, suite, metric)
    if out is not None and points:
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
) -> list[OperatingPoint]:
    """Read a loop's operating points, own thresholds first, random dropping last."""
    from db.queries import loops, scores, students
    from kompress.selection.frontier import pareto_frontier

    recipe_of = {s.id: s.recipe for s in students.main_students(session, loop_id)}
    found: list[OperatingPoint] = []
    random: list[OperatingPoint] = []
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


def draw(
    points: Sequence[OperatingPoint], out: Path, *, title: str, metric: str
) -> None:
    """Write the picture, as PNG or SVG by the name's ending.

    Args:
        points: as `farm pareto` lists them.
        out: where it goes.
        title: stands above it.
        metric: `exact_pct` or `f1`, for the axis.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    with open_figure(out, SIZE_INCHES, "--out") as figure:
        axes = figure.add_subplot()
        _draw_students(axes, points)
        _draw_random(axes, points)
        _draw_frontier(axes, points)
        axes.set_xlabel("keep_rate: kept words / all words (less is shorter)")
        axes.set_ylabel(LABELS.get(metric, metric))
        axes.set_title(f"{title}: without override, 95 % intervals", loc="left")
        # Beside the axes, so that it covers no point.
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            frameon=False,
            title="marker: its own threshold\nthin line: fixed keep_rates",
            alignment="left",
        )


def _as_row(point: OperatingPoint) -> dict[str, Any]:
    return {
        "student": point.student,
        "round": point.round,
        "recipe": point.recipe,
        "threshold": "own" if point.target is None else f"keep {point.target:g}",
        "keep_rate": point.keep_rate,
        "keep_rate_ci": format_interval(point.keep_rate_low, point.keep_rate_high),
        "quality": point.quality,
        "quality_ci": format_interval(point.quality_low, point.quality_high),
        "n": point.n,
        "on_frontier": point.on_frontier,
    }


def _points(
    stored: list[Any], metric: str, student: int | None, number: int, recipe: str
) -> list[OperatingPoint]:
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
            OperatingPoint(
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


def _draw_students(axes: Any, points: Sequence[OperatingPoint]) -> None:
    students = list(dict.fromkeys(p.student for p in points if p.student is not None))
    for index, student in enumerate(students):
        mine = [point for point in points if point.student == student]
        colour = COLOURS[index % len(COLOURS)]
        marker = MARKERS[index % len(MARKERS)]
        curve = sorted(
            (p for p in mine if p.target is not None), key=lambda p: p.keep_rate
        )
        axes.plot(
            [p.keep_rate for p in curve],
            [p.quality for p in curve],
            color=colour,
            linewidth=1,
            marker=".",
            markersize=4,
            alpha=0.7,
        )
        label = f"{mine[0].recipe}, round {mine[0].round} (student {student})"
        for point in (p for p in mine if p.target is None):
            axes.errorbar(
                point.keep_rate,
                point.quality,
                xerr=_error(point.keep_rate, point.keep_rate_low, point.keep_rate_high),
                yerr=_error(point.quality, point.quality_low, point.quality_high),
                fmt=marker,
                markersize=9,
                color=colour,
                markeredgecolor="white",
                capsize=3,
                linewidth=1.2,
                label=label,
                zorder=4,
            )


def _draw_random(axes: Any, points: Sequence[OperatingPoint]) -> None:
    random = sorted((p for p in points if p.student is None), key=lambda p: p.keep_rate)
    if random:
        axes.plot(
            [p.keep_rate for p in random],
            [p.quality for p in random],
            color="0.55",
            linestyle=":",
            linewidth=1.5,
            label="random dropping",
        )


def _draw_frontier(axes: Any, points: Sequence[OperatingPoint]) -> None:
    frontier = sorted(
        (p for p in points if p.on_frontier), key=lambda p: (p.keep_rate, p.quality)
    )
    axes.plot(
        [p.keep_rate for p in frontier],
        [p.quality for p in frontier],
        color="0.25",
        linewidth=6,
        alpha=0.18,
        solid_capstyle="round",
        zorder=1,
        label="frontier: nothing keeps less at\nno less quality",
    )


def _error(
    value: float, low: float | None, high: float | None
) -> list[list[float]] | None:
    """Give the two lengths of an error bar; a percentile may lie beyond the value."""
    if low is None or high is None:
        return None
    return [[max(0.0, value - low)], [max(0.0, high - value)]]
