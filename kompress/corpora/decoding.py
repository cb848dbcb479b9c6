"""Unpack a stream and make it UTF-8, whatever people's tools wrote it as.

gzip, bzip2, xz and Zstandard are told by their first bytes, UTF-16 and UTF-32 by their
byte-order mark; everything else passes through as it is. Memory is that of a chunk.
"""

import bz2
import codecs
import io
import itertools
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator

from kompress.errors import InvalidText

# By the first bytes of a file.
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
# The longer marks first: UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# A tar archive says what it is in bytes 257 to 261.
_TAR, _TAR_AT = b"ustar", 257
_MAGIC_BYTES = 6
_HEAD_BYTES = _TAR_AT + len(_TAR)
CHUNK_BYTES = 2**20
# What people give by mistake; each is named once, where its lines would be reported.
_OTHERS = (
    (b"PAR1", "a parquet file", "give it with the option that names its references"),
    (b"PK\x03\x04", "a zip archive", "unpack it and give the files in it"),
    (b"7z\xbc\xaf", "a 7-zip archive", "unpack it and give the files in it"),
    (b"SQLite", "an SQLite database", "write its rows as a JSON object a line"),
    (b"ARROW1", "an Arrow file", "write its rows as a JSON object a line"),
)
# Logs pack to a fiftieth at best; a file that unpacks to more is made to fill a disk.
MAX_EXPANSION = 200
# Below this nothing is filled, and a few equal lines may pack that well.
FREE_BYTES = 64 * 2**20


def decode_stream(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give a stream's bytes unpacked and as UTF-8.

    Args:
        chunks: pieces of any length.

    Yields:
        Pieces of bounded length, without a byte-order mark where there was one of
        UTF-16 or UTF-32.

    Raises:
        InvalidText: the stream is damaged, or unpacks to over 200 times its size.
    """
    head, rest = _peek(chunks)
    if unpack := _unpacker(head):
        head, rest = _peek(_bounded(rest, unpack))
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if encoding is None:
        _refuse_others(head)
        yield from rest
    else:
        yield from _to_utf8(rest, encoding)


def _peek(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Give the first bytes, and the stream from its start.

    A pipe that has written a line may wait for its answer, so no more is asked for.
    """
    stream, held = iter(chunks), b""
    for chunk in stream:
        held += chunk
        if len(held) >= _HEAD_BYTES or (b"\n" in held and len(held) >= _MAGIC_BYTES):
            break
    return held[:_HEAD_BYTES], itertools.chain([held] if held else [], stream)


def _refuse_others(head: bytes) -> None:
    """Name a format that has no lines to read."""
    for magic, name, advice in _OTHERS:
        if head.startswith(magic):
            raise InvalidText(
                f"the file is {name}; expected a JSON object a line; {advice}"
            )
    if head[_TAR_AT:] == _TAR:
        raise InvalidText(
            "the file is a tar archive; expected a JSON object a line; unpack it and "
            "give the files in it"
        )
    if b"\0" in (head[:1], head[1:2]):
        raise InvalidText(
            "the file looks like UTF-16 or UTF-32 without a byte-order mark (its first "
            "two bytes hold NUL); expected UTF-8; convert it, for example with iconv "
            "-f utf-16le -t utf-8"
        )


def _unpacker(
    head: bytes,
) -> Callable[[Iterable[bytes]], Iterator[bytes]] | None:
    if head.startswith(_GZIP):
        return _unpack_gzip
    if head.startswith(_BZIP2):
        return lambda chunks: _unpack(chunks, bz2.BZ2Decompressor, "bzip2")
    if head.startswith(_XZ):
        return lambda chunks: _unpack(chunks, lzma.LZMADecompressor, "xz")
    return _unpack_zstd if head.startswith(_ZSTD) else None


def _bounded(
    chunks: Iterable[bytes], unpack: Callable[[Iterable[bytes]], Iterator[bytes]]
) -> Iterator[bytes]:
    """Unpack, and stop where a small file becomes a huge one."""
    num_in = num_out = 0

    def count() -> Iterator[bytes]:
        nonlocal num_in
        for chunk in chunks:
            num_in += len(chunk)
            yield chunk

    for piece in unpack(count()):
        num_out += len(piece)
        if num_out > max(FREE_BYTES, MAX_EXPANSION * num_in):
            raise InvalidText(
                f"the packed file gives over {num_out:,} bytes from {num_in:,}; "
                f"expected at most {MAX_EXPANSION} times as many; unpack it yourself "
                "if it is what it should be"
            )
        yield piece


def _unpack_gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip, several members one after the other included."""
    packed, data = zlib.decompressobj(wbits=31), b""
    try:
        for chunk in chunks:
            data += chunk
            while data:
                if packed.eof:  # another member, or the padding that tar leaves
                    if not (data := data.lstrip(b"\0")):
                        break
                    packed = zlib.decompressobj(wbits=31)
                yield packed.decompress(data, CHUNK_BYTES)
                data = packed.unused_data if packed.eof else packed.unconsumed_tail
    except zlib.error as error:
        raise _damaged("gzip", error) from error
    if not packed.eof:
        raise _damaged("gzip", "it ends in its middle")


def _unpack(
    chunks: Iterable[bytes],
    make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    name: str,
) -> Iterator[bytes]:
    """Unpack bzip2 or xz, several streams one after the other included."""
    packed = make()
    try:
        for chunk in chunks:
            data = chunk
            while data or not packed.needs_input:
                if packed.eof:
                    data, packed = packed.unused_data or data, make()
                yield packed.decompress(data, CHUNK_BYTES)
                data = packed.unused_data if packed.eof else b""
                if packed.eof and not data:
                    break
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise _damaged(name, error) from error
    if not packed.eof:
        raise _damaged(name, "it ends in its middle")


def _unpack_zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415  # loads 40 MB, and Python has zstd from 3.14

    try:
        with pa.CompressedInputStream(_ChunkReader(chunks), "zstd") as stream:
            while piece := stream.read(CHUNK_BYTES):
                yield piece
    except (OSError, pa.ArrowException) as error:
        raise _damaged("zstd", error) from error


class _ChunkReader(io.RawIOBase):
    """A stream of chunks as a file that can only be read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks, self._held = iter(chunks), b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give at most `size` bytes, b"" at the end."""
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._held = chunk
        given = self._held if size < 0 else self._held[:size]
        self._held = self._held[len(given) :]
        return given


def _to_utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decode by the byte-order mark, which goes, and encode again."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise InvalidText(
            f"the file begins as {encoding.upper()} and does not go on so ({error}); "
            "expected one encoding; write it again as UTF-8"
        ) from error


def _damaged(name: str, why: object) -> InvalidText:
    return InvalidText(
        f"the file is {name} and damaged ({why}); expected a whole {name} file; pack "
        "it again"
    )
