"""`farm compress`: a student at work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import (
    Override,
    Pairs,
    Shown,
    check_choice,
    parse_override,
    read_text,
)
from api.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from kompress.students.student import Compressed

Which = Annotated[
    str, typer.Option("--student", help="An id, `promoted`, or a student's folder.")
]

KeepRate = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="Keep this share of the words; of lines, of characters."
    ),
]
Unit = Annotated[str, typer.Option(help="What is kept whole: `word` or `line`.")]
MaxTokens = Annotated[
    int | None, typer.Option(min=0, help="Of lines: at most so many characters / 4.")
]
Markers = Annotated[
    bool, typer.Option("--markers", help="Of lines: say where some are missing.")
]


def compress_file(
    file: Annotated[Path, typer.Argument(help="The text to shorten, UTF-8.")],
    student: Which = "promoted",
    keep_rate: KeepRate = None,
    override: Override = "headroom-0.42",
    pairs: Pairs = True,
    unit: Unit = "word",
    max_tokens: MaxTokens = None,
    markers: Markers = False,
    as_shown: Shown = False,
    as_json: AsJson = False,
) -> None:
    """Shorten a text by whole words or lines; the text to stdout, figures to stderr."""
    from api.cli.loading import open_student
    from kompress import terminal

    text = read_text(file)
    if as_shown:
        text = terminal.as_shown(text)
    check_choice("--unit", unit, ("word", "line"))
    rules = parse_override(override) if unit == "word" else None
    with open_student(student) as loaded:
        short = loaded.compress(
            text,
            override=rules,
            keep_rate=keep_rate,
            pairs=pairs,
            unit="line" if unit == "line" else "word",
            max_tokens=max_tokens,
            markers=markers,
        )
        student_id = loaded.id
    _show(short, rules, student_id, as_json=as_json, ends=unit == "word")


def _show(
    short: "Compressed",
    rules: str | None,
    student_id: str,
    *,
    as_json: bool,
    ends: bool,
) -> None:
    """Print the text, with an end of its last line if it has none, and figures."""
    num_words, num_kept = len(short.keep_N), int(short.keep_N.sum())
    if as_json:
        print_json(
            {
                "text": short.text,
                "num_words": num_words,
                "num_kept": num_kept,
                "keep_rate": num_kept / num_words,
                "override": rules or "",
                "student": student_id,
            }
        )
        return
    # Escapes of the text are the text's: typer strips them from what is piped.
    typer.echo(short.text, color=True, nl=ends)
    typer.echo(
        f"kept {num_kept} of {num_words} words ({num_kept / num_words:.1%}), override "
        f"{rules or 'none'}",
        err=True,
    )
