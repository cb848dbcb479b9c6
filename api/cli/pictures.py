"""Check where a picture shall go, before anything is read or computed for it."""

import shlex
from pathlib import Path

from api.errors import InvalidInput

SUFFIXES = (".png", ".svg")


def check_picture(out: Path | None, option: str) -> None:
    """Refuse a path that no picture can be written to.

    Args:
        out: what the user gave; None draws nothing.
        option: its name, such as `--plot`.

    Raises:
        InvalidInput: the ending is neither .png nor .svg, the path is a folder, or its
            folder is not there.
    """
    if out is None:
        return
    given = f"{option} is {out}"
    if out.is_dir():
        raise InvalidInput(
            f"{given}, a folder; expected a file name ending in .png or .svg; name one "
            f"in it, such as {out / 'picture.png'}"
        )
    if out.suffix.lower() not in SUFFIXES:
        raise InvalidInput(
            f"{given}; expected a name ending in .png or .svg; the ending chooses the "
            "format"
        )
    if out.parent.is_dir():
        return
    if out.parent.exists():
        raise InvalidInput(
            f"{given}, but {out.parent} is a file; expected a folder; name another path"
        )
    raise InvalidInput(
        f"{given}, but the folder {out.parent} does not exist; expected one; make it "
        f"with `mkdir -p {shlex.quote(str(out.parent))}`, or name another path"
    )
