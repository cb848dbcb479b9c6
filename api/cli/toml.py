"""Write plain data as TOML: the standard library only reads it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(data: Mapping[str, Any]) -> str:
    """Give a table as TOML: values first, then tables, then lists of tables.

    Args:
        data: strings, numbers, booleans, lists of these, tables, lists of tables; a key
            whose value is None is left out.
    """
    return "\n".join(_lines(data, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [
        f"{_key(key)} = {_value(value)}"
        for key, value in table.items()
        if not _is_table(value) and not _is_tables(value) and value is not None
    ]
    for key, value in table.items():
        inner = (*path, key)
        name = ".".join(map(_key, inner))
        if _is_table(value):
            lines += ["", f"[{name}]", *_lines(value, inner)]
        elif _is_tables(value):
            for row in value:
                lines += ["", f"[[{name}]]", *_lines(row, inner)]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and bool(value) and all(map(_is_table, value))
    )


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if _is_table(value):
        pairs = ", ".join(f"{_key(key)} = {_value(v)}" for key, v in value.items())
        return f"{{{pairs}}}"
    if _is_table(value):
        pairs = ", ".join(f"{_key(key)} = {_value(v)}" for key, v in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_value, value))}]"
    return _string(str(value))


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for the delete character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
