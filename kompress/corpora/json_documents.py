"""A file that is one JSON document over many lines, not an object a line.

Lists of objects and the trajectories of SWE-agent (`.traj`) are read; anything else is
named once, where every line of it would be reported.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from kompress.corpora.lines import MAX_LINE_BYTES, BadLine, Line

# A row's number, and its keys or why it has none.
Row = tuple[int, dict[str, Any] | BadLine]


def read_whole(lines: Iterable[Line]) -> tuple[list[Row] | None, Iterator[Line]]:
    """Read lines as one JSON document, if that is what they are.

    Args:
        lines: of `iter_lines`.

    Returns:
        The rows of the document, and no line; or None, and all lines: those of a file
        with an object a line, or of none that is JSON. At most `MAX_LINE_BYTES` are
        held.
    """
    stream = iter(lines)
    first = next(stream, None)
    held = [] if first is None else [first]
    if first is None or not _may_be_document(first[1]):
        return None, itertools.chain(held, stream)
    size = 0 if isinstance(first[1], BadLine) else len(first[1])
    for number, line in stream:
        held.append((number, line))
        size += 0 if isinstance(line, BadLine) else len(line)
        if isinstance(line, BadLine) or size > MAX_LINE_BYTES:
            return None, itertools.chain(held, stream)
    body = b"\n".join(line for _, line in held if not isinstance(line, BadLine))
    try:
        found = json.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return None, iter(held)
    return _rows(found, len(held)), iter(())


def _may_be_document(line: bytes | BadLine) -> bool:
    """Say whether a first line begins a value that it does not end, or is a list."""
    if isinstance(line, BadLine):
        return False
    body = line.removeprefix(b"\xef\xbb\xbf").strip()
    if not body.startswith((b"{", b"[")):
        return False
    try:
        return isinstance(json.loads(body), list)
    except (ValueError, RecursionError):
        return True


def _rows(found: Any, num_lines: int) -> list[Row]:
    if isinstance(found, list):
        numbered = enumerate(found, start=1)
        return [(number, _item(number, each)) for number, each in numbered]
    if "text" in found or is_trajectory(found):
        return [(1, found)]
    keys = ", ".join(sorted(found)[:8])[:200]
    return [(1, BadLine(1, (
        f"the file is one JSON document of {num_lines:,} lines (keys found: {keys!a}); "
        "expected an object a line, a list of objects or a trajectory; write each "
        "document on a line of its own, for example with jq -c '.[]'"
    )))]  # fmt: skip


def _item(number: int, found: Any) -> dict[str, Any] | BadLine:
    if isinstance(found, dict):
        return found
    return BadLine(
        number,
        "the list's item is no object; expected objects such as "
        '{"id": "a1", "text": "..."}; wrap the value',
    )


def is_trajectory(row: dict[str, Any]) -> bool:
    """Tell whether an object is a run that SWE-agent recorded (`.traj`)."""
    return "text" not in row and isinstance(row.get("trajectory"), list)


def read_trajectory(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make a row of each observation of a run; all are of one group.

    Args:
        row: see `is_trajectory`. Steps that observed nothing are left out.

    Yields:
        Rows with `text`, `kind`, `id` and `group_id`; the group is named after the
        run's hash, so that the same run gives the same names.
    """
    name = sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:12]
    for number, step in enumerate(row["trajectory"], start=1):
        seen = step.get("observation") if isinstance(step, dict) else None
        if isinstance(seen, str) and seen.strip():
            yield {
                "text": seen,
                "kind": "tool_output",
                "id": f"{name}-{number}",
                "group_id": name,
            }
