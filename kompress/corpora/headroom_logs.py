"""Read pairs of (tool output, what was kept of it) from headroom's own files.

headroom-ai 0.42.0 writes such pairs to three places:

- `ccr_store.db` in its workspace (or at HEADROOM_CCR_SQLITE_PATH): SQLite, one row of
  `ccr_entries` for each compression, with `original_content`, `compressed_content` and
  `tool_name`. It forgets: entries live 30 minutes by default, so copy the file.
- `compression-events-PID.jsonl` in HEADROOM_PROBE_RECORD_DIR, one line a request, with
  `original_messages` and `compressed_messages`.
- the proxy's request log, JSONL, with `request_messages` and `compressed_messages` if
  it ran with --log-messages.

Source: headroom-ai 0.42.0, `cache/backends/sqlite.py`, `proxy/probe_recorder.py` and
`proxy/request_logger.py`. Its other ledgers hold counts only.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from kompress.corpora.readers import InvalidRow
from kompress.errors import InvalidReferences

DEFAULT_KIND = "c3"
ORIGINALS = ("original_messages", "request_messages")
COMPRESSED = "compressed_messages"

_ENTRIES = "SELECT hash, entry_json FROM ccr_entries ORDER BY created_at, hash"
# What the client adds to a compressed text so that a model can ask for the original.
_MARKERS = re.compile(
    r"\[[^\]\n]*Retrieve (?:more|original): hash=[0-9a-f]+[^\]\n]*\]"
    r"|<<(?:ccr|external):[^>\n]*>>"
)


def is_log(row: dict[str, Any]) -> bool:
    """Tell whether a JSON object is a line of a log with messages.

    Source: see the module.
    """
    return COMPRESSED in row or any(name in row for name in ORIGINALS)


def read_store(path: Path) -> Iterator[dict[str, Any]]:
    """Read the entries of a `ccr_store.db`, oldest first; nothing is written to it.

    Args:
        path: the file.

    Yields:
        One row for each entry: text, reference, kind and id; entries that cannot be
        read come without text.

    Raises:
        InvalidReferences: the file is no such store.

    Source: headroom-ai 0.42.0, `cache/backends/sqlite.py`.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as store:
            for key, raw in store.execute(_ENTRIES):
                yield _parse_entry(key, raw)
    except sqlite3.Error as error:
        raise InvalidReferences(
            f"{path} cannot be read as headroom's store ({error}); expected SQLite "
            "with a table ccr_entries; give its ccr_store.db, with its -wal file if "
            "the proxy still runs"
        ) from error


def read_log(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Take the tool outputs that one logged request had compressed.

    Args:
        row: a line of `compression-events-PID.jsonl` or of the request log.

    Yields:
        One row for each output that changed: text, reference, kind and id.

    Raises:
        InvalidRow: the line has no messages.

    Source: headroom-ai 0.42.0, `proxy/probe_recorder.py`, `proxy/request_logger.py`;
    messages as Anthropic's and OpenAI's APIs lay them out.
    """
    before = next((row[name] for name in ORIGINALS if row.get(name)), None)
    after = row.get(COMPRESSED)
    if not isinstance(before, list) or not isinstance(after, list):
        raise InvalidRow(
            "the request has no messages before and after compression; expected "
            f"{ORIGINALS[0]} or {ORIGINALS[1]}, and {COMPRESSED}; run the proxy with "
            "HEADROOM_PROBE_RECORD_DIR or --log-messages"
        )
    names = dict(_tool_names(before))
    shortened = dict(_tool_outputs(after))
    for call, text in _tool_outputs(before):
        reference = shortened.get(call)
        if reference is not None and reference != text:
            yield {
                "text": text,
                "reference": strip_markers(reference),
                "kind": names.get(call) or DEFAULT_KIND,
                "id": f"{row.get('request_id') or 'request'}/{call}",
            }


def strip_markers(compressed: str) -> str:
    """Take out what the client adds to a compressed text.

    Source: headroom-ai 0.42.0, `ccr/tool_injection.py`.
    """
    return _MARKERS.sub("", compressed).rstrip("\n")


def _parse_entry(key: str, raw: str) -> dict[str, Any]:
    try:
        entry = json.loads(raw)
    except (ValueError, TypeError):
        entry = None
    if not isinstance(entry, dict):
        return {"id": key}
    reference = entry.get("compressed_content")
    if isinstance(reference, str):
        reference = strip_markers(reference)
    return {
        "text": entry.get("original_content"),
        "reference": reference,
        "kind": entry.get("tool_name") or DEFAULT_KIND,
        "id": key,
    }


def _tool_names(messages: list[Any]) -> Iterator[tuple[str, str]]:
    """Name the tool of each call, by the call's id."""
    for item in _parts(messages):
        function = item.get("function")
        name = function.get("name") if isinstance(function, dict) else item.get("name")
        for key in ("id", "call_id"):
            if isinstance(name, str) and isinstance(item.get(key), str):
                yield item[key], name


def _tool_outputs(messages: list[Any]) -> Iterator[tuple[str, str]]:
    """List the tools' outputs, by their call's id."""
    for item in _parts(messages):
        call = (
            item.get("tool_use_id") or item.get("tool_call_id") or item.get("call_id")
        )
        text = _text_of(item.get("content", item.get("output")))
        if isinstance(call, str) and text:
            yield call, text


def _parts(messages: list[Any]) -> Iterator[dict[str, Any]]:
    """Walk messages, and what they are made of one level down."""
    for message in messages:
        if not isinstance(message, dict):
            continue
        yield message
        for name in ("content", "tool_calls"):
            inner = message.get(name)
            if isinstance(inner, list):
                yield from (part for part in inner if isinstance(part, dict))


def _text_of(content: Any) -> str:
    """Join the text blocks of a content; '' where there is none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    blocks = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(block for block in blocks if isinstance(block, str))
