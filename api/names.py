"""Which names people may give to loops and corpora."""

import re

from api.errors import InvalidRequest

# What a URL, a shell and a file name take as it is.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def check_name(noun: str, name: str) -> str:
    """Give a name back if it can be one.

    Args:
        noun: what is named, for the message.
        name: what the user typed.

    Raises:
        InvalidRequest: the name is empty, too long, holds other characters, or reads
            as an id.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"found the {noun} name {name[:120]!a}; expected 1 to 100 of A-Z a-z 0-9 "
            "_ . - and a letter or digit first; choose another"
        )
    if name.isdecimal():
        raise InvalidRequest(
            f"the {noun} name {name!r} would read as an id; add a letter to it"
        )
    return name
