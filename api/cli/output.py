"""How commands answer: a table for people, JSON for programs."""

import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Row = Mapping[str, Any]
MAX_CELL = 60


def say(message: str) -> None:
    """Print a line for people."""
    typer.echo(message)


def warn(message: str) -> None:
    """Print a line for people to standard error."""
    typer.secho(message, fg=typer.colors.YELLOW, err=True)


def print_json(data: Any) -> None:
    """Print data as JSON; dates as ISO 8601, bytes as hex."""
    typer.echo(to_json(data))


def to_json(data: Any) -> str:
    """Give data as indented JSON; dates as ISO 8601, bytes as hex."""
    return json.dumps(data, indent=1, default=_plain, ensure_ascii=False)


def show(
    rows: Sequence[Row], *, as_json: bool, empty: str, columns: Sequence[str] = ()
) -> None:
    """Print rows as a listing.

    Args:
        rows: all with the same keys.
        as_json: JSON of every key, else a table of `columns`.
        empty: what to tell people where there are no rows.
        columns: the table's columns; all if empty.
    """
    if as_json:
        print_json([dict(row) for row in rows])
    elif rows:
        print_table(rows, columns or list(rows[0]))
    else:
        say(empty)


def print_table(rows: Iterable[Row], columns: Sequence[str], title: str = "") -> None:
    """Print a table; numbers to the right."""
    from rich.table import Table

    rows = list(rows)
    table = Table(title=title or None, title_justify="left", title_style="bold")
    for name in columns:
        numeric = any(_is_number(row.get(name)) for row in rows)
        table.add_column(
            name.replace("_", " "),
            justify="right" if numeric else "left",
            # Numbers are never cut; names fold.
            no_wrap=numeric,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(format_cell(row.get(name)) for name in columns))
    console().print(table)


def console() -> "Console":
    """Give the terminal; a pipe gets wide lines rather than cut columns."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 200
    return Console(file=sys.stdout, width=width, highlight=False, markup=False)


def format_cell(value: Any) -> str:  # noqa: PLR0911  # one line a type
    """Format one value for a table: – for nothing, 3 decimals, UTC minutes."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def format_seconds(seconds: float | None) -> str:
    """Format a duration as people say it; – if it is not known."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def format_interval(
    low: float | None, high: float | None, *, spec: str = ".3f", to: str = "–"
) -> str | None:
    """Format an interval, None where there is none.

    Args:
        low: lower end.
        high: upper end.
        spec: how to format each end.
        to: what stands between them.
    """
    if low is None or high is None:
        return None
    return f"{low:{spec}}{to}{high:{spec}}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    return float(value) if hasattr(value, "__float__") else str(value)
