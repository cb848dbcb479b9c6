import json
from pathlib import Path

import pytest

from kompress.corpora.headroom_logs import (
    is_log,
    read_log,
    read_store,
    strip_markers,
)
from kompress.corpora.readers import InvalidRow
from kompress.errors import InvalidReferences

# Written by headroom-ai 0.42.0's own store, probe recorder and request logger.
GOLDEN = Path(__file__).parents[2] / "golden" / "references" / "headroom"


def lines(name):
    return [json.loads(line) for line in (GOLDEN / name).read_text().splitlines()]


def test_the_store_gives_originals_and_what_was_kept():
    bash, crushed, fan = read_store(GOLDEN / "ccr_store.db")

    assert bash["kind"] == "Bash"
    assert bash["id"] == "796200cf2f2ef286ecf345c6"
    assert bash["text"].startswith("2024-01-01 disk sda1 failed with code 1\n")
    assert bash["reference"].startswith("disk sda1 failed code 1\n")
    # A crusher stores a marker in the place of what it kept.
    assert crushed["reference"] == ""
    # The client's marker is not what was kept.
    assert fan["reference"].endswith("\nfan sda7 failed code 7")
    assert fan["kind"] == "c3"


def test_the_probe_recorder_gives_what_tools_said_before_and_after():
    anthropic, openai = lines("compression-events-1.jsonl")

    (bash,), (log,) = read_log(anthropic), read_log(openai)

    assert (bash["kind"], bash["id"]) == ("Bash", "req-anthropic/toolu_1")
    assert bash["text"].endswith("disk sda7 failed with code 7")
    assert bash["reference"].endswith("\ndisk sda7 failed code 7")
    assert (log["kind"], log["id"]) == ("read_log", "req-openai/call_1")
    assert "cpu sda1 failed with code 1" in log["text"]


def test_the_request_log_has_messages_or_says_how_to_get_them():
    full, bare = lines("requests.jsonl")

    (found,) = read_log(full)

    assert found["reference"].startswith("gpu sda1 failed code 1\n")
    assert is_log(bare)
    with pytest.raises(InvalidRow, match="--log-messages"):
        list(read_log(bare))


def test_an_output_that_did_not_change_is_no_pair():
    said = [{"role": "tool", "tool_call_id": "a", "content": "as it was"}]

    assert (
        list(read_log({"original_messages": said, "compressed_messages": said})) == []
    )


def test_outputs_are_paired_by_their_call_wherever_they_stand():
    before = [
        {"role": "tool", "tool_call_id": "a", "content": "one two"},
        {"role": "tool", "tool_call_id": "b", "content": "three four"},
        {"type": "function_call_output", "call_id": "c", "output": "five six"},
    ]
    after = [
        {"type": "function_call_output", "call_id": "c", "output": "five"},
        {"role": "user", "content": "dropped the first"},
        {"role": "tool", "tool_call_id": "b", "content": "four"},
    ]

    found = read_log({"original_messages": before, "compressed_messages": after})

    assert [(row["text"], row["reference"]) for row in found] == [
        ("three four", "four"),
        ("five six", "five"),
    ]


@pytest.mark.parametrize(
    "messages", [[1, None], [{"content": [1, {"tool_use_id": 3}]}]]
)
def test_strange_messages_hold_no_pairs(messages):
    row = {"original_messages": messages, "compressed_messages": messages}

    assert list(read_log(row)) == []


@pytest.mark.parametrize("messages", ["text", {"a": 1}, []])
def test_what_is_no_list_of_messages_is_refused(messages):
    row = {"original_messages": messages, "compressed_messages": messages}

    with pytest.raises(InvalidRow, match="expected original_messages"):
        list(read_log(row))


def test_markers_are_taken_out():
    marked = (
        "kept <<ccr:0123456789ab,base64,2KB>> here\n"
        "[3 dense machine-generated lines elided. Retrieve original: hash=0123abcd]\n"
        "[49 words compressed to 35 (from 7 source lines). Original content preserved."
        " Retrieve more: hash=796200cf2f2ef286ecf345c6]"
    )

    assert strip_markers(marked) == "kept  here"
    assert strip_markers("a [list] of hash=12 <<x>>") == "a [list] of hash=12 <<x>>"


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0"])
def test_another_file_is_no_store(tmp_path, content):
    path = tmp_path / "odd.db"
    path.write_bytes(content)

    with pytest.raises(InvalidReferences, match=r"give its ccr_store\.db"):
        list(read_store(path))
