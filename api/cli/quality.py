"""`farm quality` and `farm sql`: what the labels are worth, in the views' own names."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.output import AsJson, print_json, print_table, say, show, warn
from api.cli.pictures import check_picture


class By(StrEnum):
    """What a row of `farm quality` stands for."""

    ROUND = "round"
    VOTER = "voter"
    CATEGORY = "category"
    KIND = "kind"
    ENSEMBLE = "ensemble"


COUNTS = ("num_documents", "num_words", "num_must_keep", "mk_in_ref", "keep_rate")


def show_quality(
    loop: Annotated[str, typer.Argument(help="The loop; default: the newest.")] = "",
    by: Annotated[By | None, typer.Option(help="What a row stands for.")] = None,
    number: Annotated[int | None, typer.Option("--round", help="One round.")] = None,
    rule_set: Annotated[str, typer.Option(help="Whose must-keep words.")] = "",
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this source, such as a voter's name; repeat it, and with --by "
            "category they stand side by side."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw each voter's reliability diagram: .png or .svg."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how good the labels are: mk_in_ref, never without its keep_rate.

    And what the newest round's voters are worth together. With --json the rows of the
    view label_quality (voter_quality for --by voter, with what the round's voters were
    calibrated by; for --by ensemble all that is known of each round's panel).
    """
    from api.cli.connection import open_session
    from api.cli.quality_tables import print_beside
    from db.queries import quality_views

    if plot is not None:
        _plot(loop, number, source or [], plot, as_json=as_json)
    if by in (By.VOTER, By.ENSEMBLE):
        show_them = _show_voters if by is By.VOTER else _show_ensembles
        show_them(loop, number, source or [], as_json=as_json)
        return
    with open_session() as session:
        name = _name_loop(session, loop)
        found = quality_views.label_quality(session, name, number)
        criteria = _criteria(session, name)
    _check_sources(source or [], found, "source")
    shown = rule_set or ("" if as_json else "farm")
    rows = [
        row
        for row in found
        if (not source or row["source"] in source)
        and row["rule_set"] == (shown or row["rule_set"])
    ]
    if source and by is By.CATEGORY and rows and not as_json:
        print_beside([row for row in rows if row["kind"] == "all"], source, criteria)
    else:
        rows = [row for row in rows if _is_wanted(row, by, as_json=as_json)]
        key = () if by in (None, By.ROUND) else (by.value,)
        show(
            rows,
            as_json=as_json,
            empty=f"loop {name} has no labels yet; see `farm status {name}`",
            columns=("loop", "round", "source", *key, *COUNTS),
        )
    if rows and not as_json:
        say(
            f"must-keep words of rule set {shown}; every document that the round "
            "labelled, audit included"
        )
        if by is By.CATEGORY and not source and len(set(criteria.values())) > 1:
            beside = " ".join(f"--source {voter}" for voter in sorted(criteria))
            say(f"side by side: farm quality {name} --by category {beside}")
    if by in (None, By.ROUND) and not source and not as_json:
        from api.cli.quality_ensemble import say_newest

        say_newest(_read_ensembles(name, number, newest=1))


def run_sql(
    query: Annotated[
        str, typer.Argument(help='For example "select * from round_summary".')
    ],
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1)] = 30.0,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1)] = 1000,
    as_json: AsJson = False,
) -> None:
    """Run one query over the views, as the role that may read nothing else."""
    from api.cli.connection import find_database
    from api.settings import load_settings
    from db.engine import make_engine
    from db.queries.reader import reader_url, run_query

    settings = load_settings()
    url = settings.reader_url.get_secret_value() or reader_url(find_database(settings))
    engine = make_engine(url, pool_size=1, application_name="farm sql")
    try:
        table = run_query(engine, query, timeout_s=timeout_s, max_rows=max_rows)
    finally:
        engine.dispose()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, table.columns)
    else:
        say("no rows")
    if table.truncated:
        warn(f"only the first {max_rows} rows are shown; raise --max-rows for more")


def _name_loop(session: Any, loop: str) -> str:
    from db.errors import NotFound
    from db.queries import loops

    if loop:
        return str(loops.get_loop(session, loop).name)
    newest = loops.list_loops(session)
    if not newest:
        raise NotFound("there is no loop yet; `farm loop start CORPUS` starts one")
    return str(newest[0].name)


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
    from api.cli.quality_tables import FITTED, calibrations, print_calibrations
    from db.queries import loops, quality_views

    with open_session() as session:
        name = _name_loop(session, loop)
        found = quality_views.voter_quality(session, name, number)
        rounds = loops.rounds_of(session, loops.get_loop(session, name).id)
        fitted = calibrations(rounds, number)
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
    print_calibrations(
        {k: v for k, v in fitted.items() if not wanted or k[1] in wanted}
    )


def _show_ensembles(
    loop: str, number: int | None, wanted: list[str], *, as_json: bool
) -> None:
    """Show what voters are worth together, and whom to drop or add."""
    from api.cli.quality_ensemble import print_ensembles
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


def _read_ensembles(loop: str, number: int | None, *, newest: int | None = None) -> Any:
    """Read the panels of a loop's measured rounds, or of so many newest ones."""
    from api.cli.connection import open_session
    from api.cli.quality_ensemble import measured_rounds, read_panels, weigh_panel
    from db.queries import loops

    with open_session() as session:
        name = _name_loop(session, loop)
        rounds = loops.rounds_of(session, loops.get_loop(session, name).id)
        measured = measured_rounds(rounds, number)
        found = read_panels(session, name, measured[-(newest or len(measured)) :])
    return [weigh_panel(one) for one in found]


def _plot(
    loop: str, number: int | None, wanted: list[str], out: Path, *, as_json: bool
) -> None:
    """Draw reliability diagrams of the newest round that has any."""
    from api.cli.connection import open_session
    from api.cli.quality_plot import choose_rows, draw_diagrams
    from db.queries import quality_views

    check_picture(out, "--plot")
    with open_session() as session:
        name = _name_loop(session, loop)
        found = quality_views.voter_quality(session, name, number)
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


def _criteria(session: Any, loop: str) -> dict[str, str]:
    """Give the criterion of each teacher of a loop's rounds, by its name."""
    from db.queries import loops

    return {
        voter["name"]: voter["params"].get("criterion", "agent")
        for row in loops.rounds_of(session, loops.get_loop(session, loop).id)
        for voter in row.config["voters"]
        if voter["kind"] == "teacher"
    }
