"""`farm sql`: a query over the views, by who may read nothing else."""

from typing import Annotated

import typer

from api.cli.output import AsJson, print_json, print_table, say, warn


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
    url = settings.reader_url.get_secret_value() or reader_url(
        find_database(settings, start=False)
    )
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
