"""`farm compress`: a student at work."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import Override, Pairs, Shown, parse_override, read_text
from api.cli.output import AsJson, print_json

Which = Annotated[
    str, typer.Option("--student", help="An id, `promoted`, or a student's folder.")
]


def compress_file(
    file: Annotated[Path, typer.Argument(help="The text to shorten, UTF-8.")],
    student: Which = "promoted",
    keep_rate: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Keep this share of the words."),
    ] = None,
    override: Override = "headroom-0.42",
    pairs: Pairs = True,
    as_shown: Shown = False,
    as_json: AsJson = False,
) -> None:
    """Shorten a text by whole words; the text to stdout, figures to stderr."""
    from api.cli.loading import open_student
    from kompress import terminal

    text = read_text(file)
    if as_shown:
        text = terminal.as_shown(text)
    rules = parse_override(override)
    with open_student(student) as loaded:
        short = loaded.compress(text, override=rules, keep_rate=keep_rate, pairs=pairs)
        student_id = loaded.id
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
    typer.echo(short.text, color=True)
    typer.echo(
        f"kept {num_kept} of {num_words} words ({num_kept / num_words:.1%}), override "
        f"{rules or 'none'}",
        err=True,
    )
