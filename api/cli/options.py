"""Options that several commands take, and checks of what was given for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.errors import InvalidInput

LoopName = Annotated[str, typer.Argument(help="The loop's name or id.")]
NewestLoop = Annotated[str, typer.Argument(help="The loop; default: the newest.")]
StudentName = Annotated[str, typer.Argument(help="An id, `promoted`, or a folder.")]
Override = Annotated[
    str,
    typer.Option(help="Rule set whose words stay whatever their score, or none."),
]


def check_choice(
    option: str, value: str, known: Sequence[str], further: str = ""
) -> None:
    """Refuse a value that is none of the known ones.

    Args:
        option: its name, such as `--suite`.
        value: what the user gave.
        known: what it may be.
        further: what else it may be, as the end of the list.

    Raises:
        InvalidInput: names the option, the value and the known ones.
    """
    if value not in known:
        raise InvalidInput(
            f"{option} is {value!r}; expected one of {', '.join(known)}{further}"
        )


Pairs = Annotated[
    bool,
    typer.Option("--pairs/--no-pairs", help="Keys and values live or die together."),
]
Shown = Annotated[
    bool,
    typer.Option(
        "--as-shown", help="Drop terminal escapes and what was written over first."
    ),
]


def parse_override(override: str) -> str | None:
    """Give the rule set of an override, None for none."""
    return None if override in ("none", "") else override


def read_text(file: Path) -> str:
    """Read a text that the farm can handle.

    Raises:
        InvalidInput: it is empty, not UTF-8, or holds a NUL.
    """
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{file}: byte {error.start + 1} is not UTF-8; expected UTF-8 text; "
            "convert it, for example with iconv -t utf-8"
        ) from error
    if "\0" in text:
        raise InvalidInput(f"{file} holds a NUL; expected text; is it a binary file?")
    if not text.strip():
        raise InvalidInput(f"{file} is empty; expected words; choose another file")
    return text
