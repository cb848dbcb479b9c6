"""Write and read what a voter fitted: named arrays in numpy's format, never pickle."""

import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidConfig

Arrays = Mapping[str, NDArray[Any]]
_UNREADABLE = (
    ValueError,
    KeyError,
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


def pack(arrays: Arrays) -> bytes:
    """Write arrays; equal arrays give equal bytes.

    Args:
        arrays: by name; numbers only.

    Returns:
        A compressed .npz archive.

    Source: numpy's .npy format; ours.
    """
    buffer = io.BytesIO()
    # allow_pickle=False is savez's argument, not an array, whatever its stub says.
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def unpack(
    snapshot: bytes | None, *, kind: str, names: Iterable[str]
) -> dict[str, NDArray[Any]]:
    """Read arrays back.

    Args:
        snapshot: what `pack` wrote.
        kind: the voter's kind, for the message.
        names: the arrays that have to be there.

    Raises:
        InvalidConfig: there is no snapshot, or it is not this kind's.
    """
    if snapshot is None:
        raise InvalidConfig(
            f"voter kind {kind!r} has no snapshot; fit it to the pinned corpus first"
        )
    try:
        with np.load(io.BytesIO(snapshot), allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except _UNREADABLE as error:
        raise InvalidConfig(
            f"voter kind {kind!r} cannot read its snapshot of {len(snapshot)} bytes "
            f"({error}); fit it again"
        ) from error


def pack_words(words: Sequence[str]) -> NDArray[np.uint8]:
    """Turn words, none of which holds a separator, into bytes."""
    # A lone surrogate may come out of JSON; it must survive the trip.
    joined = "\n".join(words).encode("utf-8", "surrogatepass")
    return np.frombuffer(joined, dtype=np.uint8)


def unpack_words(packed: NDArray[Any]) -> list[str]:
    """Turn `pack_words`' bytes back into words."""
    joined = packed.astype(np.uint8).tobytes().decode("utf-8", "surrogatepass")
    return joined.split("\n") if joined else []
