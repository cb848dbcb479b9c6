import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.corpora.lines import BadLine
from kompress.corpora.references import (
    FORMATS,
    Reference,
    _read_batches,
    read_jsonl,
    read_references,
    to_documents,
)
from kompress.errors import InvalidReferences

GOLDEN = Path(__file__).parents[2] / "golden" / "references"
GOLDEN_STREAM = GOLDEN / "dataset" / "data-00000-of-00002.arrow"
TEXT = "disk sda1 failed with code 1 after 12 ms"


def read_rows(*rows):
    body = "".join(json.dumps(row) + "\n" for row in rows)
    return list(read_jsonl([body.encode()]))


@pytest.mark.parametrize(
    ("text_key", "reference_key"),
    [
        ("text", "reference"),
        ("original", "compressed"),
        ("prompt", "compressed_prompt"),
        ("original_content", "compressed_content"),
    ],
)
def test_both_strings_go_by_several_names(text_key, reference_key):
    (found,) = read_rows({text_key: TEXT, reference_key: "disk failed", "id": 7})

    assert (found.text, found.reference) == (TEXT, "disk failed")
    assert found.external_id == "7"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"text": TEXT}, "no reference .*rename the key"),
        ({"reference": "disk"}, "no text .*expected one of text, original"),
        ({"text": TEXT, "reference": ["disk"]}, "reference is an array"),
        ({"text": 7, "reference": "disk"}, "text is a number"),
        ({"text": TEXT, "reference": " \n"}, "no words.*drop everything"),
        ({"text": "disk", "reference": "disk sda1"}, "2 words, its text 1.*swapped"),
        ({"text": TEXT, "reference": "disk\0"}, "reference has a NUL at character 5"),
        ({"text": TEXT, "reference": "disk \ud800"}, "lone surrogate"),
        (
            {"text": TEXT, "reference": "ошибка диска номер один"},
            "100% of reference's words .*written in Cyrillic, not Latin",
        ),
        ({"text": TEXT, "reference": "Platte defekt"}, "100% .*another language"),
        ({"text": TEXT, "reference": "disk", "kind": 3}, "kind is a number"),
    ],
)
def test_a_bad_row_says_what_was_found_and_expected(row, says):
    good = {"text": TEXT, "reference": "disk"}

    first, bad, last = read_rows(good, row, good)

    assert isinstance(bad, BadLine)
    assert bad.number == 2
    assert_matches(says, bad.reason)
    assert isinstance(first, Reference)
    assert first == last


def assert_matches(pattern, found):
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(found)


@pytest.mark.parametrize("folder", ["dataset", "rows.parquet"])
def test_folders_of_datasets_and_parquet_are_read(folder):
    # Both written by datasets 5.2.0: five rows in two files, the fourth without words.
    found = list(read_references(GOLDEN / folder))

    assert [type(row).__name__ for row in found] == [
        "Reference", "Reference", "Reference", "BadLine", "Reference"
    ]  # fmt: skip
    assert found[3].number == 4
    assert found[4].reference == "disk sda4 failed code 4\n4 s"


def test_every_split_of_a_dataset_is_read_in_order():
    found = list(read_references(GOLDEN / "dataset_dict"))

    assert [row.text[:6] for row in found] == ["line 4", "line 0", "line 2", "line 1"]


def test_headrooms_folder_is_read_whole():
    found = list(read_references(GOLDEN / "headroom"))

    pairs = [row for row in found if isinstance(row, Reference)]
    assert [row.kind for row in pairs] == ["Bash", "read_log", "read_log", "Bash", "c3"]
    assert len(found) - len(pairs) == 2


def test_a_stream_is_read_row_by_row():
    def chunks():
        yield json.dumps({"text": TEXT, "reference": "disk"}).encode() + b"\n"
        raise AssertionError("read on before the first row was taken")

    assert next(read_jsonl(chunks())).reference == "disk"


def test_a_reference_that_only_deletes_comes_with_its_mask():
    deletes, rewrites, bad = to_documents(
        [
            Reference(TEXT, "disk failed", "bash_output", "a"),
            Reference(TEXT, "disk fails", "bash_output", "b"),
            BadLine(3, "odd"),
        ],
        "c3",
        kind="tool",
    )

    assert deletes.candidates[0].keep_N.tolist() == [True, False, True] + [False] * 6
    assert rewrites.candidates[0].keep_N is None
    assert rewrites.candidates[0].reference == "disk fails"
    assert (deletes.kind, deletes.candidates[0].origin) == ("tool", "c3")
    assert bad == BadLine(3, "odd")


def test_a_damaged_folder_or_file_is_named(tmp_path):
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "../../x"}]}')
    broken = tmp_path / "broken.parquet"
    broken.write_bytes((GOLDEN / "rows.parquet").read_bytes()[:-9])
    empty = tmp_path / "empty"
    empty.mkdir()

    for path, says in (
        (tmp_path, "lacks x; .*copy the folder whole"),
        (broken, "broken.parquet cannot be read as parquet"),
        (empty, "no logs of headroom"),
    ):
        with pytest.raises(InvalidReferences, match=says):
            list(read_references(path))
    for state in ("[]", "{}", '{"_data_files": [3]}', "{"):
        (tmp_path / "state.json").write_text(state)
        with pytest.raises(InvalidReferences, match=r"state\.json"):
            list(read_references(tmp_path))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body):
    for found in read_jsonl([body]):
        assert isinstance(found, Reference | BadLine)


def test_formats_are_those_there_is_a_reader_for():
    assert FORMATS == ("auto", "jsonl", "parquet", "datasets", "headroom")
    with pytest.raises(InvalidReferences, match="cannot be read as parquet"):
        list(read_references(GOLDEN / "headroom" / "requests.jsonl", "parquet"))


def test_an_arrow_stream_that_datasets_wrote_is_read():
    # Written by datasets 5.2.0: 5 rows in 2 files.
    (first,) = _read_batches(GOLDEN_STREAM)

    assert first["idx"].to_list() == [0, 1, 2]
    assert first["compressed"][0] == "disk sda0 failed code 0\n0 s"


def test_batches_of_a_stream_come_one_by_one(tmp_path):
    path = tmp_path / "two.arrow"
    first = pa.record_batch({"text": ["text 0", "text 1", "text 2"]})
    second = pa.record_batch({"text": ["text 3", "text 4"]})
    with pa.ipc.new_stream(path, first.schema) as stream:
        stream.write_batch(first)
        stream.write_batch(second)

    batches = _read_batches(path)

    assert next(batches)["text"].to_list() == ["text 0", "text 1", "text 2"]
    assert next(batches)["text"].to_list() == ["text 3", "text 4"]
    assert next(batches, None) is None


@pytest.mark.parametrize("size", [1, 7, 100, -100])
def test_a_truncated_stream_is_named(tmp_path, size):
    path = tmp_path / "cut.arrow"
    path.write_bytes(GOLDEN_STREAM.read_bytes()[:size])

    with pytest.raises(InvalidReferences, match=r"cut\.arrow is truncated or no Arrow"):
        list(_read_batches(path))


@pytest.mark.parametrize("content", [b"PAR1" * 40, b"\xff\xff\xff\xff\xff\xff\xff\x7f"])
def test_a_file_of_another_format_is_named(tmp_path, content):
    path = tmp_path / "other.arrow"
    path.write_bytes(content)

    with pytest.raises(InvalidReferences, match="save the data set again"):
        list(_read_batches(path))


def test_columns_of_parquet_are_numbers_or_are_named_by_type(tmp_path):
    path = tmp_path / "rows.parquet"
    text, reference = "disk sda4 failed", "sda4 failed"
    pl.DataFrame(
        {"id": [1.0, None], "text": [text] * 2, "reference": [reference] * 2}
    ).write_parquet(path)

    first, second = read_references(path)

    assert (first.external_id, first.reference) == ("1", reference)
    assert second.reference == reference
    for value, name in (
        (b"sda4", "bytes"), (datetime(2026, 11, 30, tzinfo=UTC), "a date and time"),
        (date(2026, 11, 30), "a date"), ([1], "an array"),
        (Decimal("1.5"), "a decimal"),
    ):  # fmt: skip
        pl.DataFrame({"text": [text], "reference": [value]}).write_parquet(path)
        (bad,) = read_references(path)
        assert f"reference is {name}; expected a string" in bad.reason
