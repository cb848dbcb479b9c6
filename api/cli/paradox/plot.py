"""Draw `farm paradox`: a round's voters and rules, the theory, a committee."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.pictures import open_figure, style_of

if TYPE_CHECKING:
    from api.cli.paradox.committee import Committee
    from api.cli.paradox.judged_round import RoundParadox, SubjectInStratum
    from api.cli.paradox.theory import Theory
    from kompress.evaluation.committee import CommitteeScore

VALUES = {
    "gold": "balanced accuracy on gold, 0 to 1",
    "must_keep": "must-keep recall, 0 to 1",
}
BESIDE = {
    "gold": "balanced accuracy less the best member's",
    "must_keep": "must-keep recall less the best member's\nat the same keep_rate",
}
COLLAPSED = {
    "marker": "o", "s": 190, "facecolors": "none", "edgecolors": "black",
    "linewidths": 1.3, "zorder": 6,
}  # fmt: skip
LEGEND = {"frameon": False, "alignment": "left", "fontsize": 9}


def draw_round(verdict: "RoundParadox", out: Path) -> None:
    """Draw every voter and rule by stratum, beside the chosen rule.

    Args:
        verdict: the round's.
        out: where it goes; PNG or SVG by the name's ending.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    strata = verdict.strata
    height = 2.6 + 0.42 * len(strata)
    with open_figure(out, (13.0, max(height, 4.5)), "--plot") as figure:
        left, right = figure.subplots(1, 2, sharey=True, sharex=True)
        _draw_lines(left, verdict, "voter")
        _draw_lines(right, verdict, "rule")
        for axes, title in ((left, "its voters"), (right, "the other rules")):
            axes.set_xlabel(VALUES[verdict.truth])
            axes.set_title(f"{verdict.rule} (diamond) and {title}", loc="left")
            axes.set_yticks(range(len(strata)), strata)
            _legend(axes)
        left.set_ylabel("stratum: kind of word")
        left.invert_yaxis()
        figure.suptitle(
            f"{verdict.loop}, round {verdict.round}: each voter and rule by stratum; "
            "ringed where a rule is below its best voter",
            x=0.01,
            ha="left",
        )


def draw_theory(theory: "Theory", out: Path) -> None:
    """Draw recall for every k of N voters, and for a growing N at one k.

    Args:
        theory: what was worked out.
        out: where it goes; PNG or SVG by the name's ending.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    n, k = theory.num_voters, theory.k
    with open_figure(out, (13.0, 5.6), "--plot") as figure:
        left, right = figure.subplots(1, 2)
        _draw_every_k(left, theory)
        _draw_growing_n(right, theory)
        for axes in (left, right):
            axes.set_ylabel("recall: kept words / words to keep, 0 to 1")
            axes.set_ylim(-0.03, 1.03)
            _legend(axes)
        figure.suptitle(
            f"A word is dropped once k voters drop it: recall of {k} of {n}, and of k "
            f"= {k} as N grows",
            x=0.01,
            ha="left",
        )


def draw_committee(found: "Committee", out: Path) -> None:
    """Draw members and committees over all words, and their difference by stratum.

    Args:
        found: what was scored.
        out: where it goes; PNG or SVG by the name's ending.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    truth = found.truth
    mine = [one for one in found.standings if one.truth == truth]
    with open_figure(out, (13.0, 6.0), "--plot") as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
        _draw_overall(left, [one for one in mine if one.stratum == "all"])
        whole = "words with gold" if truth == "gold" else "all words"
        left.set_xlabel(f"keep_rate: kept words / {whole} (less is shorter)")
        left.set_ylabel(VALUES[truth])
        left.set_title("All words: the members, and k of them", loc="left")
        _draw_gaps(right, mine)
        right.set_xlabel(BESIDE[truth])
        right.set_title("By stratum: committee less its best member", loc="left")
        for axes in (left, right):
            _legend(axes)
        figure.suptitle(
            f"A committee of {len(found.members)} students on suite {found.suite} "
            f"({found.num_texts} texts), against {truth}, 95 % paired intervals",
            x=0.01,
            ha="left",
        )


def _legend(axes: Any) -> None:
    """Put the legend below the axes, so that it covers no point."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, **LEGEND)


def _draw_every_k(axes: Any, theory: "Theory") -> None:
    ks = [row.k for row in theory.by_k]
    axes.fill_between(
        ks,
        [row.lowest_possible for row in theory.by_k],
        [row.highest_possible for row in theory.by_k],
        color="0.9",
        label="possible for these voters,\nwhatever their dependence",
    )
    correlated = (
        f"equal voters of {theory.recall:g}, drops correlated {theory.correlation:g}"
    )
    curves = (
        (0, "nested", "nested drops: the k-th weakest"),
        (1, "independent", "independent drops"),
        (2, "correlated", correlated),
        (5, "published", "published simulator (nested)"),
        (4, "published_best", "its best voter"),
    )
    _draw_curves(axes, ks, theory.by_k, curves)
    axes.axvline(theory.k, color="0.6", linestyle=":", linewidth=1)
    axes.set_xlabel(f"k: drops that drop a word, of N = {theory.num_voters} voters")
    axes.set_title(
        f"Which k of {theory.num_voters} voters of recall .3 to .9", loc="left"
    )
    if theory.num_voters <= 15:
        axes.set_xticks(ks)


def _draw_growing_n(axes: Any, theory: "Theory") -> None:
    equal = f"equal voters of {theory.recall:g}"
    curves = (
        (0, "nested", "nested drops: the k-th weakest"),
        (1, "independent", "independent drops"),
        (2, "equal_correlated", f"{equal}, drops correlated {theory.correlation:g}"),
        (3, "equal_independent", f"{equal}, independent"),
        (4, "best", "best voter"),
    )
    voters = [row.num_voters for row in theory.sweep]
    _draw_curves(axes, voters, theory.sweep, curves)
    axes.set_xlabel("N: number of voters")
    axes.set_title(f"More voters at k = {theory.k}", loc="left")


def _draw_curves(
    axes: Any,
    x: Sequence[int],
    rows: Sequence[Any],
    curves: Iterable[tuple[int, str, str]],
) -> None:
    """Draw (style's number, field of the rows, label) each."""
    for number, name, label in curves:
        colour, marker = style_of(number)
        values = [getattr(row, name) for row in rows]
        axes.plot(x, values, color=colour, marker=marker, markersize=5, label=label)


def _draw_lines(axes: Any, verdict: "RoundParadox", kind: str) -> None:
    strata = {name: place for place, name in enumerate(verdict.strata)}
    names = list(dict.fromkeys(
        line.subject for line in verdict.lines if line.kind == kind
    ))  # fmt: skip
    for number, name in enumerate(sorted(names)):
        colour, marker = style_of(number)
        mine = _known(verdict.lines, kind, name)
        axes.scatter(
            [line.value for line in mine],
            [strata[line.stratum] for line in mine],
            color=colour,
            marker=marker,
            s=46,
            alpha=0.85,
            edgecolors="white",
            label=name,
            zorder=4,
        )
    if kind == "rule":
        _draw_best(axes, verdict, strata)
    chosen = _known(verdict.lines, "chosen", verdict.rule)
    axes.scatter(
        [line.value for line in chosen],
        [strata[line.stratum] for line in chosen],
        marker="D",
        s=75,
        facecolors="none",
        edgecolors="black",
        linewidths=1.6,
        label=f"{verdict.rule}, the labels' rule",
        zorder=5,
    )
    shown = [line for line in verdict.lines if line.kind in (kind, "chosen")]
    fallen = [line for line in shown if line.collapsed and line.value is not None]
    if fallen:
        axes.scatter(
            [line.value for line in fallen],
            [strata[line.stratum] for line in fallen],
            label="collapsed: below its best voter",
            **COLLAPSED,
        )


def _draw_best(axes: Any, verdict: "RoundParadox", strata: dict[str, int]) -> None:
    """Mark the best voter of each stratum, so that rules can be seen beside it."""
    best: dict[str, float] = {}
    for line in verdict.lines:
        if line.kind == "voter" and line.value is not None:
            best[line.stratum] = max(line.value, best.get(line.stratum, 0.0))
    axes.scatter(
        list(best.values()),
        [strata[name] for name in best],
        marker="|",
        s=260,
        color="0.35",
        linewidths=2,
        label="best voter",
        zorder=3,
    )


def _known(
    lines: "Sequence[SubjectInStratum]", kind: str, name: str
) -> "list[SubjectInStratum]":
    return [
        line
        for line in lines
        if (line.kind, line.subject) == (kind, name) and line.value is not None
    ]


def _draw_overall(axes: Any, standings: "Sequence[CommitteeScore]") -> None:
    def place(one: "CommitteeScore") -> tuple[float, float]:
        value = one.balanced_accuracy if one.truth == "gold" else one.recall
        return one.keep_rate or 0.0, value or 0.0

    members = [one for one in standings if one.k is None]
    for number, one in enumerate(members):
        colour, marker = style_of(number)
        axes.scatter(
            *place(one), color=colour, marker=marker, s=90, edgecolors="white",
            label=f"student {one.subject}", zorder=5,
        )  # fmt: skip
    committees = [one for one in standings if one.k is not None]
    points = [place(one) for one in committees]
    axes.plot(
        *zip(*points, strict=True), color="0.35", marker="D", markersize=7,
        linewidth=1.2, markerfacecolor="none", label="committee, k = 1 to N", zorder=4,
    )  # fmt: skip
    for one, (x, y) in zip(committees, points, strict=True):
        axes.annotate(
            f"k = {one.k}", (x, y), textcoords="offset points", xytext=(6, -13),
            fontsize=9,
        )  # fmt: skip


def _draw_gaps(axes: Any, standings: "Sequence[CommitteeScore]") -> None:
    strata = list(dict.fromkeys(
        one.stratum for one in standings if one.difference is not None
    ))  # fmt: skip
    ks = sorted({one.k for one in standings if one.k is not None})
    step = 0.7 / max(len(ks), 1)
    for number, k in enumerate(ks):
        colour, marker = style_of(number)
        mine = [one for one in standings if one.k == k and one.difference is not None]
        y = [strata.index(one.stratum) + (number - (len(ks) - 1) / 2) * step
             for one in mine]  # fmt: skip
        for one, at in zip(mine, y, strict=True):
            if one.ci_low is not None and one.ci_high is not None:
                axes.plot(
                    [one.ci_low, one.ci_high], [at, at], color=colour, linewidth=1.4
                )
        axes.scatter(
            [one.difference for one in mine], y, color=colour, marker=marker, s=40,
            edgecolors="white", zorder=4, label=f"{k} of {len(ks)}",
        )  # fmt: skip
        fallen = [(one.difference, at) for one, at in zip(mine, y, strict=True)
                  if one.collapsed]  # fmt: skip
        if fallen:
            axes.scatter(*zip(*fallen, strict=True), **COLLAPSED)
    axes.scatter([], [], label="collapsed: whole interval below 0", **COLLAPSED)
    axes.axvline(0, color="0.4", linewidth=1)
    axes.set_yticks(range(len(strata)), strata)
    axes.set_ylabel("stratum: kind of word")
    axes.invert_yaxis()
