"""`farm quality` and `farm sql`: what the labels are worth, in the views' own names."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from api.cli.output import AsJson, print_json, print_table, say, show, warn


class By(StrEnum):
    """What a row of `farm quality` stands for."""

    ROUND = "round"
    VOTER = "voter"
    CATEGORY = "category"
    KIND = "kind"


COUNTS = ("num_documents", "num_words", "num_must_keep", "mk_in_ref", "keep_rate")


def show_quality(
    loop: Annotated[str, typer.Argument(help="The loop; default: the newest.")] = "",
    by: Annotated[By | None, typer.Option(help="What a row stands for.")] = None,
    number: Annotated[int | None, typer.Option("--round", help="One round.")] = None,
    rule_set: Annotated[str, typer.Option(help="Whose must-keep words.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show how good the labels are: mk_in_ref, never without its keep_rate.

    With --json the rows of the view label_quality (voter_quality for --by voter).
    """
    from api.cli.connection import open_session
    from db.queries import quality_views

    with open_session() as session:
        name = _name_loop(session, loop)
        if by is By.VOTER:
            rows = quality_views.voter_quality(session, name, number)
        else:
            rows = quality_views.label_quality(session, name, number)
    if by is By.VOTER:
        empty = "no voter was judged yet"
        show(rows, as_json=as_json, empty=empty)
        return
    shown = rule_set or ("" if as_json else "farm")
    rows = [
        row
        for row in rows
        if _is_wanted(row, by or (None if as_json else By.ROUND))
        and row["rule_set"] == (shown or row["rule_set"])
    ]
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


def _is_wanted(row: dict[str, Any], by: By | None) -> bool:
    whole_kind, whole_category = row["kind"] == "all", row["category"] == "all"
    if by is By.ROUND:
        return bool(whole_kind and whole_category)
    if by is By.CATEGORY:
        return bool(whole_kind) and not whole_category
    if by is By.KIND:
        return bool(whole_category) and not whole_kind
    return True
