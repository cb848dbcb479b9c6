"""`farm quality`: what the labels are worth, in the views' own names."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.named import find_loop
from api.cli.options import NewestLoop
from api.cli.output import AsJson, print_json, print_table, say, show, warn
from api.cli.pictures import check_picture

if TYPE_CHECKING:
    from api.cli.quality.panel import PanelReport
    from db.models import Round


class By(StrEnum):
    """What a row of `farm quality` stands for."""

    ROUND = "round"
    VOTER = "voter"
    CATEGORY = "category"
    KIND = "kind"
    ENSEMBLE = "ensemble"


COUNTS = ("num_documents", "num_words", "num_must_keep", "mk_in_ref", "keep_rate")
# What a round's fit says of a voter, as columns.
FITTED = ("temperature", "strength", "calibration_words")
KEEP_RATE, DOCUMENTS = "keep_rate of all words", "documents"
DEFAULT_RULE_SET = "farm"

Unit = Annotated[By | None, typer.Option(help="What a row stands for.")]
RoundNumber = Annotated[int | None, typer.Option("--round", help="One round.")]
RuleSet = Annotated[str, typer.Option(help="Whose must-keep words.")]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        help="Only this source, such as a voter's name; repeat it, and with --by "
        "category they stand side by side."
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(help="Draw each voter's reliability diagram: .png or .svg."),
]


def show_quality(
    loop: NewestLoop = "",
    by: Unit = None,
    number: RoundNumber = None,
    rule_set: RuleSet = "",
    source: Sources = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Show how good the labels are: mk_in_ref, never without its keep_rate.

    And what the newest round's voters are worth together. With --json the rows of the
    view label_quality (voter_quality for --by voter, with what the round's voters were
    calibrated by; for --by ensemble all that is known of each round's panel).
    """
    wanted = source or []
    if plot is not None:
        _plot(loop, number, wanted, plot, as_json=as_json)
    if by is By.VOTER:
        _show_voters(loop, number, wanted, as_json=as_json)
    elif by is By.ENSEMBLE:
        _show_ensembles(loop, number, wanted, as_json=as_json)
    else:
        _show_labels(loop, by, number, rule_set, wanted, as_json=as_json)


def _show_labels(
    loop: str,
    by: By | None,
    number: int | None,
    rule_set: str,
    wanted: list[str],
    *,
    as_json: bool,
) -> None:
    """Show label quality, and what the newest round's voters are worth together."""
    from api.cli.connection import open_session
    from db.queries import loops, views

    with open_session() as session:
        row = find_loop(session, loop)
        name = row.name
        found = views.label_quality(session, name, number)
        criteria = _criteria(loops.rounds_of(session, row.id))
    _check_sources(wanted, found, "source")
    shown = rule_set or ("" if as_json else DEFAULT_RULE_SET)
    rows = [
        row
        for row in found
        if (not wanted or row["source"] in wanted)
        and row["rule_set"] == (shown or row["rule_set"])
    ]
    if as_json or not (wanted and by is By.CATEGORY and rows):
        rows = [row for row in rows if _is_wanted(row, by, as_json=as_json)]
        key = () if by in (None, By.ROUND) else (by.value,)
        show(
            rows,
            as_json=as_json,
            empty=f"loop {name} has no labels yet; see `farm status {name}`",
            columns=("loop", "round", "source", *key, *COUNTS),
        )
    else:
        _print_beside([row for row in rows if row["kind"] == "all"], wanted, criteria)
    if as_json:
        return
    if rows:
        say(
            f"must-keep words of rule set {shown}; every document that the round "
            "labelled, audit included"
        )
        if by is By.CATEGORY and not wanted and len(set(criteria.values())) > 1:
            beside = " ".join(f"--source {voter}" for voter in sorted(criteria))
            say(f"side by side: farm quality {name} --by category {beside}")
    if by in (None, By.ROUND) and not wanted:
        _say_newest(name, number)


def _is_wanted(row: dict[str, Any], by: By | None, *, as_json: bool) -> bool:
    whole_kind, whole_category = row["kind"] == "all", row["category"] == "all"
    if by is By.CATEGORY:
        return bool(whole_kind) and not whole_category
    if by is By.KIND:
        return bool(whole_category) and not whole_kind
    if by is By.ROUND or not as_json:
        return bool(whole_kind and whole_category)
    return True


def _show_voters(
    loop: str, number: int | None, wanted: list[str], *, as_json: bool
) -> None:
    """Show what each voter is worth, and what its votes were turned by."""
    from api.cli.connection import open_session
    from db.queries import loops, views

    with open_session() as session:
        row = find_loop(session, loop)
        found = views.voter_quality(session, row.name, number)
        fitted = _calibrations(loops.rounds_of(session, row.id), number)
    _check_sources(wanted, found, "voter")
    rows = [row for row in found if not wanted or row["voter"] in wanted]
    if as_json:
        nothing = dict.fromkeys(FITTED)
        print_json([
            {**row, **fitted.get((row["round"], row["voter"]), nothing)} for row in rows
        ])  # fmt: skip
        return
    # Ten bins a row are for programs and for --plot.
    columns = [name for name in rows[0] if name != "diagram"] if rows else []
    show(rows, as_json=False, empty="no voter was judged yet", columns=columns)
    _print_calibrations(
        {k: v for k, v in fitted.items() if not wanted or k[1] in wanted}
    )


def _show_ensembles(
    loop: str, number: int | None, wanted: list[str], *, as_json: bool
) -> None:
    """Show what voters are worth together, and whom to drop or add."""
    from api.cli.quality.panel import print_ensembles
    from api.errors import InvalidInput

    if wanted:
        raise InvalidInput(
            "--source goes with rows of one voter or label; a panel is all of its "
            "voters: leave it out"
        )
    found = _read_ensembles(loop, number)
    if as_json:
        print_json([one.as_json() for one in found])
    else:
        print_ensembles(found)


def _say_newest(loop: str, number: int | None) -> None:
    from api.cli.quality.panel import say_newest

    say_newest(_read_ensembles(loop, number, newest=1))


def _read_ensembles(
    loop: str, number: int | None, *, newest: int | None = None
) -> "list[PanelReport]":
    """Read the panels of a loop's measured rounds, or of so many newest ones."""
    from api.cli.connection import open_session
    from api.cli.quality.panel import measured_rounds, read_panels, weigh_panel
    from db.queries import loops

    with open_session() as session:
        row = find_loop(session, loop)
        measured = measured_rounds(loops.rounds_of(session, row.id), number)
        found = read_panels(session, row.name, measured[-(newest or len(measured)) :])
    return [weigh_panel(one) for one in found]


def _plot(
    loop: str, number: int | None, wanted: list[str], out: Path, *, as_json: bool
) -> None:
    """Draw reliability diagrams of the newest round that has any."""
    from api.cli.connection import open_session
    from api.cli.quality.plot import choose_rows, draw_diagrams
    from db.queries import views

    check_picture(out, "--plot")
    with open_session() as session:
        name = find_loop(session, loop).name
        found = views.voter_quality(session, name, number)
    _check_sources(wanted, found, "voter")
    rows = choose_rows([row for row in found if not wanted or row["voter"] in wanted])
    if rows:
        draw_diagrams(rows, out)
    if not as_json:
        say(f"drawn in {out}" if rows else "no voter was judged yet: nothing is drawn")


def _check_sources(wanted: list[str], rows: list[dict[str, Any]], column: str) -> None:
    from api.errors import InvalidInput

    known = sorted({row[column] for row in rows})
    if unknown := [name for name in wanted if name not in known]:
        raise InvalidInput(
            f"no {column} is named {unknown[0]!r}; expected one of "
            f"{', '.join(known) or 'none yet'}"
        )


def _criteria(rounds: "Iterable[Round]") -> dict[str, str]:
    """Give the criterion of each teacher of some rounds, by its name."""
    return {
        voter["name"]: voter["params"].get("criterion", "agent")
        for row in rounds
        for voter in row.config["voters"]
        if voter["kind"] == "teacher"
    }


def _print_beside(
    rows: Sequence[Mapping[str, Any]],
    sources: Sequence[str],
    criteria: Mapping[str, str],
) -> None:
    """Print mk_in_ref by category, a column for each source; of two, the difference.

    What teachers of the criteria `qa` and `agent` keep apart is the silver-label
    problem: what answers a question is not what an agent cannot do without.

    Args:
        rows: of `label_quality`, of every category, one rule set and all kinds.
        sources: in the order of the columns.
        criteria: the criterion of those that are teachers.
    """
    titles = {
        source: f"{source} ({criteria[source]})" if source in criteria else source
        for source in dict.fromkeys(sources)
    }
    table: list[dict[str, Any]] = []
    for number in sorted({row["round"] for row in rows}):
        own = [row for row in rows if row["round"] == number]
        table += [_pivot(own, number, category, titles) for category in _order(own)]
        whole = {row["source"]: row for row in own if row["category"] == "all"}
        for label, column in ((KEEP_RATE, "keep_rate"), (DOCUMENTS, "num_documents")):
            values = {titles[s]: row[column] for s, row in whole.items()}
            table.append({"round": number, "category": label, **values})
        if len({row["num_documents"] for row in whole.values()}) > 1:
            warn(
                f"round {number}: the sources speak of different numbers of documents "
                "(a later wave, or failures); give both the same wave to compare them"
            )
    columns = ["round", "category", "num_must_keep", *titles.values()]
    if len(titles) == 2:
        columns.append("difference")
    print_table(table, columns, title="mk_in_ref by category")


def _calibrations(
    rounds: Iterable["Round"], number: int | None
) -> dict[tuple[int, str], dict[str, Any]]:
    """Give what rounds decided about their voters' probabilities.

    Returns:
        The columns `FITTED` by (round, voter).
    """
    return {
        (row.number, voter): {
            "temperature": found.temperature,
            "strength": found.strength,
            "calibration_words": found.num_words,
        }
        for row in rounds
        if number in (None, row.number)
        for voter, found in sorted(row.decisions.calibration.items())
    }


def _print_calibrations(found: Mapping[tuple[int, str], Mapping[str, Any]]) -> None:
    """Print temperatures and strengths; nothing where no voter has any."""
    if not found:
        return
    print_table(
        [{"round": n, "voter": voter, **row} for (n, voter), row in found.items()],
        ("round", "voter", *FITTED),
        title="Calibration: P(keep) becomes σ(logit / temperature), a vote counts as "
        "`strength` samples",
    )
    unknown = sorted({k[1] for k, row in found.items() if not row["calibration_words"]})
    if unknown:
        say(
            f"no calibration gold under the votes of {', '.join(unknown)}: they count "
            "as they were cast; `farm gold add` takes some about train documents"
        )


def _order(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give the must-keep categories that occur, in their own order, and all."""
    from kompress.types import CATEGORIES

    found = {row["category"] for row in rows if row["num_must_keep"]}
    return [name for name in (*CATEGORIES, "other", "all") if name in found]


def _pivot(
    rows: Sequence[Mapping[str, Any]],
    number: int,
    category: str,
    titles: Mapping[str, str],
) -> dict[str, Any]:
    own = {row["source"]: row for row in rows if row["category"] == category}
    values = {titles[s]: own[s]["mk_in_ref"] if s in own else None for s in titles}
    line = {
        "round": number,
        "category": category,
        "num_must_keep": max(row["num_must_keep"] for row in own.values()),
        **values,
    }
    known = [value for value in values.values() if value is not None]
    if len(known) == len(titles) == 2:
        line["difference"] = known[1] - known[0]
    return line
