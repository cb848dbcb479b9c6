"""Whatever a file was packed by or written as, its text comes out, or its name does."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pyarrow as pa
import pytest

from kompress.corpora.decoding import FREE_BYTES, decode_stream
from kompress.errors import InvalidText

TEXT = '{"id": "d0", "text": "größe 3 MB"}\n' * 50
BODY = TEXT.encode()


def _zstd(body: bytes) -> bytes:
    return pa.Codec("zstd").compress(body, asbytes=True)


PACKERS = {
    "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": _zstd
}  # fmt: skip


def _cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_packed_stream_is_unpacked(name, size):
    packed = PACKERS[name](BODY)

    assert b"".join(decode_stream(_cut(packed, size))) == BODY


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_packed_files_one_after_the_other_are_read_to_the_last(name, size):
    # `cat a.gz b.gz` is a gzip file, and the same holds for the others.
    pack = PACKERS[name]

    packed = pack(b"one\n") + pack(BODY)

    assert b"".join(decode_stream(_cut(packed, size))) == b"one\n" + BODY


@pytest.mark.parametrize("name", PACKERS)
def test_a_packed_stream_without_its_end_is_named(name):
    packed = PACKERS[name](BODY)[:-9]

    with pytest.raises(InvalidText, match=f"the file is {name} and damaged"):
        list(decode_stream([packed]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_byte_order_mark_says_how_to_decode(encoding, order, size):
    body = ("\ufeff" + TEXT).encode(f"{encoding}-{order}")

    assert b"".join(decode_stream(_cut(body, size))) == BODY


def test_utf_16_within_gzip_is_read():
    assert b"".join(decode_stream([gzip.compress(TEXT.encode("utf-16"))])) == BODY


def test_half_a_character_at_the_end_is_named():
    with pytest.raises(InvalidText, match="begins as UTF-16 and does not go on so"):
        list(decode_stream([TEXT.encode("utf-16")[:-1]]))


def _tar() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo("a.jsonl")
        entry.size = len(BODY)
        archive.addfile(entry, io.BytesIO(BODY))
    return held.getvalue()


def _zip() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.jsonl", BODY)
    return held.getvalue()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (_tar(), "is a tar archive"),
        (gzip.compress(_tar()), "is a tar archive"),
        (_zip(), "is a zip archive"),
        (b"PAR1" + bytes(40), "is a parquet file"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (TEXT.encode("utf-16-le"), "UTF-16 or UTF-32 without a byte-order mark"),
        (TEXT.encode("utf-16-be"), "UTF-16 or UTF-32 without a byte-order mark"),
    ],
)
def test_what_has_no_lines_is_named(body, says):
    with pytest.raises(InvalidText, match=says):
        list(decode_stream([body]))


@pytest.mark.parametrize("body", [b"", b"{", BODY, b"\xef\xbb\xbf" + BODY])
def test_everything_else_passes_through(body):
    assert b"".join(decode_stream(_cut(body, 7))) == body


def test_a_small_file_that_unpacks_to_a_huge_one_stops():
    # 128 MiB of NUL after a brace: gzip packs them to a thousandth.
    packed = gzip.compress(b"{" * 2 + bytes(2 * FREE_BYTES))

    with pytest.raises(InvalidText, match="expected at most 200 times as many"):
        for _ in decode_stream([packed]):
            pass
