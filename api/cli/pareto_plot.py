"""Draw `farm pareto`: students' points and curves, random dropping, the frontier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.cli.pareto_points import Point

# Okabe & Ito 2008: told apart with any colour vision; a marker each besides.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vP*"
LABELS = {"exact_pct": "exact_pct: must-keep words kept", "f1": "F1 on gold words"}
SIZE_INCHES = (9.0, 5.5)
DPI = 150


def draw(points: Sequence[Point], out: Path, *, title: str, metric: str) -> None:
    """Write the picture, as PNG or SVG by the name's ending.

    Args:
        points: as `farm pareto` lists them.
        out: where it goes.
        title: stands above it.
        metric: `exact_pct` or `f1`, for the axis.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        from api.errors import InvalidInput

        raise InvalidInput(
            "matplotlib is not installed; expected it for --out; install it with "
            "`pip install matplotlib`, or leave --out out"
        ) from error
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A picture of equal figures is byte for byte the same, and its text is text.
    with mpl.rc_context({"svg.hashsalt": "kompress", "svg.fonttype": "none"}):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _draw_students(axes, points)
        _draw_random(axes, points)
        _draw_frontier(axes, points)
        axes.set_xlabel("keep_rate: kept words / all words (less is shorter)")
        axes.set_ylabel(LABELS.get(metric, metric))
        axes.set_title(f"{title}: without override, 95 % intervals", loc="left")
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        # Beside the axes, so that it covers no point.
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            frameon=False,
            title="marker: its own threshold\nthin line: fixed keep_rates",
            alignment="left",
        )
        metadata = {"Date": None} if out.suffix.lower() == ".svg" else None
        figure.savefig(out, dpi=DPI, metadata=metadata)


def _draw_students(axes: Any, points: Sequence[Point]) -> None:
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


def _draw_random(axes: Any, points: Sequence[Point]) -> None:
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


def _draw_frontier(axes: Any, points: Sequence[Point]) -> None:
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
