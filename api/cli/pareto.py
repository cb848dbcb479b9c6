"""`farm pareto`: quality against keep_rate over a loop's students, and the frontier."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.output import AsJson, print_json, print_table, say
from api.cli.pareto_points import Point, read_points
from api.cli.pictures import check_picture

METRICS = {"exact_pct": "agent", "f1": "planted"}  # each with its usual suite
COLUMNS = ("student", "round", "recipe", "threshold", "keep_rate", "keep_rate_ci",
           "quality", "quality_ci", "n", "on_frontier")  # fmt: skip


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
    check_picture(out, "--out")
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
