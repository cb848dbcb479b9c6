import io
from pathlib import Path

import polars as pl
import pytest

from kompress.corpora.arrow_stream import read_batches
from kompress.errors import InvalidReferences

GOLDEN = Path(__file__).parents[2] / "golden" / "references" / "dataset"
FILE = GOLDEN / "data-00000-of-00002.arrow"


def frame(start, stop):
    return pl.DataFrame({"text": [f"text {n}" for n in range(start, stop)]})


def test_what_datasets_wrote_is_read():
    # Written by datasets 5.2.0: 5 rows in 2 files.
    (first,) = read_batches(FILE)

    assert first["idx"].to_list() == [0, 1, 2]
    assert first["compressed"][0] == "disk sda0 failed code 0\n0 s"


def test_batches_come_one_by_one(tmp_path):
    path = tmp_path / "two.arrow"
    path.write_bytes(concatenate(frame(0, 3), frame(3, 5)))

    batches = read_batches(path)

    assert next(batches)["text"].to_list() == ["text 0", "text 1", "text 2"]
    assert next(batches)["text"].to_list() == ["text 3", "text 4"]
    assert next(batches, None) is None


def concatenate(*frames):
    """One stream of several batches: the first's, and the batches of the others."""
    end = b"\xff\xff\xff\xff\0\0\0\0"
    streams = []
    for each in frames:
        buffer = io.BytesIO()
        each.write_ipc_stream(buffer)
        streams.append(buffer.getvalue().removesuffix(end))
    schema = io.BytesIO()
    frames[0].clear().write_ipc_stream(schema)
    head = schema.getvalue().removesuffix(end)
    heads = [stream.startswith(streams[0][:8]) for stream in streams]
    assert all(heads)
    size = int.from_bytes(head[4:8], "little") + 8  # the schema has no body
    return streams[0] + b"".join(stream[size:] for stream in streams[1:]) + end


@pytest.mark.parametrize("size", [1, 7, 100, -100])
def test_a_truncated_file_is_named(tmp_path, size):
    path = tmp_path / "cut.arrow"
    path.write_bytes(FILE.read_bytes()[:size])

    with pytest.raises(InvalidReferences, match=r"cut\.arrow is truncated or no Arrow"):
        list(read_batches(path))


@pytest.mark.parametrize("content", [b"PAR1" * 40, b"\xff\xff\xff\xff\xff\xff\xff\x7f"])
def test_another_format_is_named(tmp_path, content):
    path = tmp_path / "other.arrow"
    path.write_bytes(content)

    with pytest.raises(InvalidReferences, match="save the data set again"):
        list(read_batches(path))
