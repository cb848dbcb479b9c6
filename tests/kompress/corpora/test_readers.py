"""Good lines become documents, bad ones say what to do, memory stays flat."""

import json
import time
import tracemalloc

import pytest

from kompress.corpora.lines import MAX_LINE_BYTES, MAX_TEXT_BYTES, BadLine
from kompress.corpora.readers import load_sample, read_documents
from kompress.types import Document


def _row(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def test_a_full_line_becomes_a_document_and_unknown_keys_are_ignored():
    line = _row(
        id="a1", kind="bash_output", text="x y", group_id="g", split="audit", stars=5
    )

    assert list(read_documents([line])) == [
        Document("x y", "bash_output", "a1", "g", "audit")
    ]


def test_what_is_missing_gets_a_default():
    first, second = read_documents([_row(text="x y"), _row(text="x y", id=None)])

    # sha256 of b"x y" starts with 887fcea6a803
    assert first == Document("x y", "text", "887fcea6a803")
    assert second == first


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"external_id": "b"}, "b"),
        ({"id": "a", "external_id": "b"}, "a"),
        ({"id": 17}, "17"),
    ],
)
def test_a_document_may_be_named_in_three_ways(row, name):
    [document] = read_documents([_row(text="x", **row)])

    assert document.external_id == name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "caf\xe9"}', "byte 14 (0xe9) is not UTF-8"),
        (b'{"text": "x"', "not JSON"),
        (b"plain words", "not JSON"),
        (b'{"text": "x"} {"text": "y"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text": "x", "n": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'["x"]', "found an array; expected a JSON object"),
        (b'"x"', "found a string; expected a JSON object"),
        (b"null", "found null; expected a JSON object"),
        (b"{}", "no text (keys found: 'no keys at all')"),
        (b'{"content": "x", "id": "a"}', "no text (keys found: 'content, id')"),
        (b'{"text": null}', "no text (keys found: 'text')"),
        (b'{"text": 5}', "text is a number; expected a string"),
        (b'{"text": true}', "text is a boolean"),
        (b'{"text": ["x"]}', "text is an array"),
        (b'{"text": {"a": 1}}', "text is an object"),
        (b'{"text": ""}', "text is an empty string"),
        (b'{"text": " \\n\\t\\u3000"}', "text is only white space"),
        (b'{"text": "ab\\u0000c"}', "text has a NUL at character 3"),
        (
            b'{"text": "ab\\ud800c"}',
            "text has the lone surrogate U+D800 at character 3",
        ),
        (b'{"text": "x", "id": "a\\u0000"}', "id has a NUL at character 2"),
        (b'{"text": "x", "id": true}', "id is a boolean; expected a string"),
        (b'{"text": "x", "id": 1.5}', "id is a number; expected a string"),
        (b'{"text": "x", "kind": 3}', "kind is a number; expected a string"),
        (b'{"text": "x", "group_id": []}', "group_id is an array"),
        (b'{"text": "x", "id": "' + b"i" * 501 + b'"}', "id has 501 characters"),
        (b'{"text": "x", "split": "test"}', "split is 'test'; expected one of train"),
    ],
)
def test_a_bad_line_says_what_was_found_and_how_to_fix_it(line, message):
    good, bad = read_documents([b'{"text": "good"}\n', line, b"\n"])

    assert isinstance(good, Document)
    assert isinstance(bad, BadLine)
    assert bad.number == 2
    assert message in bad.reason
    assert bad.reason.count(";") >= 2  # found; expected; fix


def test_good_lines_around_bad_ones_are_kept_in_order():
    stream = [b'{"text": "a"}\r\n\r\n', b"oops\n \n", b'{"text"', b': "b"}']

    found = list(read_documents(stream))

    assert [getattr(item, "text", None) for item in found] == ["a", None, "b"]
    assert found[1].number == 3


def test_a_byte_order_mark_before_the_first_line_is_no_mistake():
    [document] = read_documents([b'\xef\xbb\xbf{"text": "x"}'])

    assert document.text == "x"


def test_a_text_at_the_limit_passes_and_one_byte_more_is_refused():
    at_limit = "é" * (MAX_TEXT_BYTES // 2)

    good, bad = read_documents([_row(text=at_limit), _row(text=at_limit + "x")])

    assert len(good.text.encode()) == MAX_TEXT_BYTES
    assert "8,388,609 bytes" in bad.reason
    assert "split it" in bad.reason


@pytest.mark.slow
def test_a_line_too_long_is_passed_by_without_being_held():
    def chunks():
        yield b'{"text": "a"}\n{"text": "'
        for _ in range(2 * MAX_LINE_BYTES // 2**20):
            yield b"x" * 2**20
        yield b'"}\n{"text": "b"}\n'

    tracemalloc.start()
    try:
        first, bad, last = read_documents(chunks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (first.text, last.text) == ("a", "b")
    # 12 bytes open the line and 2 close it: {"text": " and "}
    assert bad.number == 2
    assert f"{2 * MAX_LINE_BYTES + 12:,} bytes" in bad.reason
    assert peak < 1.5 * MAX_LINE_BYTES


@pytest.mark.slow
def test_fifty_megabytes_are_read_in_constant_memory_within_five_seconds():
    line = _row(id="a", kind="bash_output", text="0x1f error: no such file " * 40)
    block = line * (2**20 // len(line))

    tracemalloc.start()
    try:
        start = time.process_time()
        num = sum(
            isinstance(d, Document) for d in read_documents(block for _ in range(50))
        )
        seconds = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert num == 50 * (2**20 // len(line))
    assert peak < 2**20
    assert seconds < 5


def test_the_sample_is_whole():
    documents = load_sample()

    assert len(documents) == 186
    assert len({d.external_id for d in documents}) == 186
    assert {d.kind for d in documents} == {
        "bash_output", "build_output", "code_diff", "error_trace", "file_read",
        "json_tool_result", "search_result", "service_log",
    }  # fmt: skip
    assert all(d.gold is None and d.split == "" for d in documents)


def test_a_whole_float_is_a_rows_number_and_nan_is_none():
    # What pandas writes for the column 1, missing, 2.5 of a table of numbers.
    one, none, half = read_documents(
        [_row(text="x y", id=1.0), _row(text="x y", id=float("nan")),
         _row(text="x y", id=2.5)]
    )  # fmt: skip

    assert one.external_id == "1"
    assert none.external_id == "887fcea6a803"  # as without an id
    assert "id is a number; expected a string" in half.reason
