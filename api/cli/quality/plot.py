"""Draw reliability diagrams: what each voter states beside what came true."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api.cli.pictures import COLOURS, open_figure

COLUMNS = 4
PANEL_INCHES = 2.9
TRUTHS = {
    "gold": "evaluation gold",
    "leave_one_out": "the consensus without the voter, which is no truth",
}
# The area of a dot is the bin's share of the votes; a bin of few votes stays visible.
LARGEST, SMALLEST = 160.0, 9.0


def choose_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Choose what is drawn: the newest round's voters over all strata, by gold if any.

    Args:
        rows: of the view `voter_quality`.

    Returns:
        A row a voter with any votes, of one round and one truth; may be empty.
    """
    whole = [
        row
        for row in rows
        if row["stratum"] == "all" and row["diagram"] and _num_votes(row)
    ]
    for truth in TRUTHS:
        mine = [row for row in whole if row["truth"] == truth]
        if mine:
            newest = max(row["round"] for row in mine)
            return [row for row in mine if row["round"] == newest]
    return []


def draw_diagrams(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write a small diagram for each voter, as PNG or SVG by the name's ending.

    Args:
        rows: as `choose_rows` gives them, at least one.
        out: where it goes.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    height = math.ceil(len(rows) / COLUMNS)
    width = math.ceil(len(rows) / height)
    # The title needs the width of two.
    size = (PANEL_INCHES * max(width, 2) + 0.6, (PANEL_INCHES + 0.5) * height + 1)
    with open_figure(out, size, "--plot") as figure:
        figure.get_layout_engine().set(h_pad=0.1, w_pad=0.08)
        grid = figure.subplots(height, width, sharex=True, sharey=True, squeeze=False)
        for number, axes in enumerate(grid.flat):
            if number < len(rows):
                _draw_one(axes, rows[number])
                axes.tick_params(labelbottom=number + width >= len(rows))
            else:
                axes.set_visible(False)
        first = rows[0]
        figure.suptitle(
            f"{first['loop']}, round {first['round']}: reliability of each voter\n"
            f"against {TRUTHS[first['truth']]}\n"
            "dot: votes of one tenth of P(keep), larger for more; line: the gap that "
            "ECE averages",
            x=0.01,
            ha="left",
            fontsize=10,
        )
        figure.supxlabel("P(keep) that the voter states", fontsize=10)
        figure.supylabel("share that is to be kept", fontsize=10)


def _draw_one(axes: Any, row: Mapping[str, Any]) -> None:
    bins = [one for one in row["diagram"] if one["n"]]
    total = _num_votes(row)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1.2)
    # From the diagonal to the dot: what the calibration error sums, by its votes.
    for one in bins:
        axes.plot(
            [one["stated"]] * 2,
            [one["stated"], one["observed"]],
            color=COLOURS[1],
            linewidth=1.5,
            zorder=2,
        )
    axes.scatter(
        [one["stated"] for one in bins],
        [one["observed"] for one in bins],
        s=[max(SMALLEST, LARGEST * one["n"] / total) for one in bins],
        color=COLOURS[0],
        edgecolors="white",
        linewidths=0.8,
        zorder=3,
        clip_on=False,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    ece = "–" if row["ece"] is None else f"{row['ece']:.3f}"
    axes.set_title(
        f"{row['voter']}\nECE {ece}, {total:,} votes", loc="left", fontsize=9
    )


def _num_votes(row: Mapping[str, Any]) -> int:
    return sum(one["n"] for one in row["diagram"])
