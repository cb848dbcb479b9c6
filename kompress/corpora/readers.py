"""Read documents from NDJSON in constant memory; report bad lines, keep good ones.

Texts that Postgres cannot store, or that no voter can label, are stopped here, each
with a message that says what was found, what was expected and how to fix it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from math import isnan
from typing import Any, TypeVar

from kompress.corpora.json_documents import (
    Row,
    is_trajectory,
    read_trajectory,
    read_whole,
)
from kompress.corpora.lines import MAX_TEXT_BYTES, BadLine, Line, iter_lines
from kompress.corpora.splits import SPLITS
from kompress.types import Document

# A name is part of an index key, and Postgres refuses keys over 2.7 kB.
MAX_NAME_CHARS = 500
DEFAULT_KIND = "text"
T = TypeVar("T")


class InvalidRow(Exception):
    """Why a row is no document; becomes a `BadLine` and never leaves this package."""


def read_documents(stream: Iterable[bytes]) -> Iterator[Document | BadLine]:
    """Read one document a line; memory is that of the longest line.

    `text` is required. `id` (or `external_id`), `kind`, `group_id` and `split` are
    optional, null counts as absent, other keys are ignored. Without an id a document
    is named after its text's hash, so that the same upload gives the same names. Blank
    lines are skipped. One JSON document over many lines is read as `read_whole` does.

    Args:
        stream: pieces of the stream of any length; an open binary file will do.

    Yields:
        A document, or a `BadLine`, in the stream's order.
    """
    yield from parse_rows(read_rows(stream), parse_document)


def parse_rows(
    rows: Iterable[Row], parse: Callable[[dict[str, Any]], T]
) -> Iterator[T | BadLine]:
    """Make something of each row, or say why that cannot be.

    Args:
        rows: of `read_rows`.
        parse: reads a row's keys; raises `InvalidRow`.
    """
    for number, found in rows:
        if isinstance(found, BadLine):
            yield found
            continue
        try:
            yield parse(found)
        except InvalidRow as refused:
            yield BadLine(number, str(refused))


def read_rows(stream: Iterable[bytes]) -> Iterator[Row]:
    """Read an object a line, or the objects of one JSON document over many lines.

    Args:
        stream: as `read_documents` takes it.

    Yields:
        A row's number, from 1, and its keys or why it has none; no blank lines.
    """
    rows, lines = read_whole(iter_lines(stream))
    for number, found in _read_rows(lines) if rows is None else rows:
        if isinstance(found, BadLine) or not is_trajectory(found):
            yield number, found
        else:
            yield from ((number, row) for row in read_trajectory(found))


def _read_rows(lines: Iterable[Line]) -> Iterator[Row]:
    """Read an object a line."""
    for number, line in lines:
        if isinstance(line, BadLine):
            yield number, line
            continue
        body = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not body.strip():
            continue
        try:
            yield number, parse_object(body)
        except InvalidRow as refused:
            yield number, BadLine(number, str(refused))


def load_sample() -> list[Document]:
    """Load the packaged sample: 186 outputs of real command-line tools, no gold."""
    source = files("kompress.corpora") / "data" / "tool_outputs.jsonl"
    with source.open("rb") as lines:
        documents = list(read_documents(lines))
    bad = [line for line in documents if isinstance(line, BadLine)]
    assert not bad, f"the packaged sample is damaged: {bad[0]}"  # noqa: S101
    return [line for line in documents if isinstance(line, Document)]


def parse_object(line: bytes) -> dict[str, Any]:
    """Read one line as a JSON object.

    Args:
        line: its bytes, UTF-8 if all is well.

    Raises:
        InvalidRow: it is something else; says what was found and expected.
    """
    try:
        decoded = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRow(
            f"byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8; "
            "expected UTF-8; convert the file, for example with iconv -t utf-8"
        ) from error
    try:
        row = json.loads(decoded)
    except (ValueError, RecursionError) as error:
        raise InvalidRow(
            f"not JSON ({error}); expected one JSON object a line; write each document "
            "with a JSON library, without line breaks inside"
        ) from error
    if not isinstance(row, dict):
        raise InvalidRow(
            f"found {json_type(row)}; expected a JSON object such as "
            '{"id": "a1", "text": "..."}; wrap the value'
        )
    return row


def parse_document(row: dict[str, Any]) -> Document:
    """Read a row's keys as a document.

    Args:
        row: see `read_documents`.

    Raises:
        InvalidRow: a key is missing or its value cannot be stored.
    """
    text = _check_text(row)
    external_id = _name(row, "id") or _name(row, "external_id")
    return Document(
        text=text,
        kind=_name(row, "kind") or DEFAULT_KIND,
        external_id=external_id or sha256(text.encode()).hexdigest()[:12],
        group_id=_name(row, "group_id"),
        split=_check_split(row),
    )


def encode_storable(value: str, key: str) -> bytes:
    """Check that Postgres can store a string.

    Args:
        value: the string.
        key: where it stood, for the message.

    Returns:
        Its UTF-8.

    Raises:
        InvalidRow: it holds NUL or half a surrogate pair.
    """
    if (at := value.find("\0")) >= 0:
        raise InvalidRow(
            f"{key} has a NUL at character {at + 1}; expected none, for Postgres "
            "cannot store it; remove it or replace it by U+FFFD"
        )
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRow(
            f"{key} has the lone surrogate U+{ord(value[error.start]):04X} at "
            f"character {error.start + 1}; expected Unicode text; escape the whole "
            "pair, or replace it by U+FFFD"
        ) from error


def json_type(value: Any) -> str:
    """Name the type of a value, one of JSON's or of a column's, for a message."""
    names = {
        bool: "a boolean", int: "a number", float: "a number", str: "a string",
        list: "an array", dict: "an object", type(None): "null", bytes: "bytes",
        date: "a date", datetime: "a date and time", time: "a time of day",
        timedelta: "a duration", Decimal: "a decimal",
    }  # fmt: skip
    return names.get(type(value), f"a value of type {type(value).__name__}")


def _check_text(row: dict[str, Any]) -> str:
    text = row.get("text")
    if text is None:
        found = ", ".join(sorted(map(str, row))[:8])[:200] or "no keys at all"
        raise InvalidRow(
            f"no text (keys found: {found!a}); expected a key 'text' with a string; "
            "rename the key that holds it"
        )
    if not isinstance(text, str):
        raise InvalidRow(
            f"text is {json_type(text)}; expected a string; join or dump the value "
            "into one string"
        )
    if not text.strip():
        found = "only white space" if text else "an empty string"
        raise InvalidRow(
            f"text is {found}; expected words to label; leave the line out"
        )
    size = len(encode_storable(text, "text"))
    if size > MAX_TEXT_BYTES:
        raise InvalidRow(
            f"text has {size:,} bytes; expected at most {MAX_TEXT_BYTES:,}; split it "
            "into several documents, at line ends"
        )
    return text


def _name(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if key.endswith("id"):
        value = _number_as_name(value)
        if value is None:
            return ""
    if not isinstance(value, str):
        raise InvalidRow(
            f"{key} is {json_type(value)}; expected a string; quote it or leave it out"
        )
    encode_storable(value, key)
    if len(value) > MAX_NAME_CHARS:
        raise InvalidRow(
            f"{key} has {len(value):,} characters; expected at most {MAX_NAME_CHARS}; "
            "shorten it, or leave it out"
        )
    return value


def _number_as_name(value: Any) -> Any:
    """Make a name of a row's number; true and 1.5 are mistakes and stay as they are.

    Where one row of a column has no number, pandas writes all of them as floats, and
    that one as NaN.
    """
    if isinstance(value, float):
        if isnan(value):
            return None
        return str(int(value)) if value.is_integer() else value
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def _check_split(row: dict[str, Any]) -> str:
    split = _name(row, "split")
    if split and split not in SPLITS:
        raise InvalidRow(
            f"split is {split[:40]!a}; expected one of {', '.join(SPLITS)}; correct "
            "it, or leave it out and it is chosen by group"
        )
    return split
