"""Read an Arrow IPC stream batch by batch: what a data set saved to disk consists of.

A stream is a schema, dictionaries and record batches, each a message with its length.
Polars reads a whole stream at once; here it is given one record batch at a time, behind
the stream's schema, so that memory is that of one batch.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from kompress.errors import InvalidReferences

_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + b"\0\0\0\0"
# Message.header_type in Arrow's Message.fbs.
_RECORD_BATCH = 3
# Places of Message's fields in its table: version, header_type, header, bodyLength.
_HEADER_TYPE, _BODY_LENGTH = 1, 3


def read_batches(path: Path) -> Iterator[pl.DataFrame]:
    """Read a stream's record batches in order.

    Args:
        path: the file, in Arrow's streaming format.

    Yields:
        One frame for each record batch.

    Raises:
        InvalidReferences: the file is truncated or no Arrow stream.

    Source: Arrow columnar format 1.5, "Encapsulated message format"; ours.
    """
    head = b""
    with path.open("rb") as stream:
        try:
            while message := _next_message(stream):
                kind, content = message
                if kind == _RECORD_BATCH:
                    yield pl.read_ipc_stream(io.BytesIO(head + content + _END))
                else:
                    head += content
        except (struct.error, pl.exceptions.PolarsError, OSError, EOFError) as error:
            raise InvalidReferences(
                f"{path} is truncated or no Arrow stream ({error}); expected a file "
                "that datasets' save_to_disk wrote; save the data set again"
            ) from error


def _next_message(stream: BinaryIO) -> tuple[int, bytes] | None:
    """Read one message, None at the end: its kind, and all its bytes."""
    prefix = stream.read(8)
    if not prefix or prefix == _END:
        return None
    if len(prefix) < 8 or not prefix.startswith(_CONTINUATION):
        raise EOFError("no message begins where one should")
    metadata = _read(stream, struct.unpack_from("<i", prefix, 4)[0])
    kind, body_length = _parse_metadata(metadata)
    return kind, prefix + metadata + _read(stream, body_length)


def _read(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size) if size >= 0 else b""
    if len(found) != size:
        raise EOFError(f"{size} bytes should follow, {len(found)} do")
    return found


def _parse_metadata(metadata: bytes) -> tuple[int, int]:
    """Read header_type and bodyLength out of a flat buffer's root table."""
    (root,) = struct.unpack_from("<I", metadata, 0)
    (back,) = struct.unpack_from("<i", metadata, root)
    table = root - back

    def offset(field: int) -> int:
        (size,) = struct.unpack_from("<H", metadata, table)
        place = 4 + 2 * field
        if place >= size:
            return 0
        return int(struct.unpack_from("<H", metadata, table + place)[0])

    kind = length = 0
    if at := offset(_HEADER_TYPE):
        (kind,) = struct.unpack_from("<B", metadata, root + at)
    if at := offset(_BODY_LENGTH):
        (length,) = struct.unpack_from("<q", metadata, root + at)
    return kind, length
