"""One JSON document over many lines is read, or named once."""

import json

import pytest

from kompress.corpora.lines import BadLine
from kompress.corpora.readers import read_documents
from kompress.types import Document

TRAJECTORY = {
    "environment": "swe_main",
    "trajectory": [
        {"action": "ls -la", "observation": "total 8\ndrwx 2 u u\n", "response": "l"},
        {"action": "submit", "observation": "", "response": ""},
        {"action": "cat a.py", "observation": "def f():\n    return 1\n"},
    ],
    "history": [{"role": "system", "content": "You are"}],
    "info": {"exit_status": "submitted"},
}


def _read(found: object, **how: int) -> list[Document | BadLine]:
    return list(read_documents([json.dumps(found, **how).encode()]))


@pytest.mark.parametrize("how", [{}, {"indent": 2}])
def test_a_trajectory_gives_each_observation_in_one_group(how):
    first, second = _read(TRAJECTORY, **how)

    assert first.text == "total 8\ndrwx 2 u u\n"
    assert second.text == "def f():\n    return 1\n"
    assert first.kind == second.kind == "tool_output"
    assert first.group_id == second.group_id != ""
    assert first.external_id != second.external_id


def test_two_trajectories_do_not_share_names():
    other = TRAJECTORY | {"environment": "other"}

    names = {row.external_id for each in (TRAJECTORY, other) for row in _read(each)}

    assert len(names) == 4


@pytest.mark.parametrize("how", [{}, {"indent": 2}])
def test_a_list_of_objects_is_a_document_each(how):
    found = _read([{"id": "a", "text": "x y"}, 3, {"id": "b", "text": "z"}], **how)

    first, bad, last = found
    assert (first.external_id, last.external_id) == ("a", "b")
    assert bad.number == 2
    assert "the list's item is no object" in bad.reason


def test_an_object_over_many_lines_is_a_document():
    (found,) = _read({"id": "a", "text": "x y"}, indent=2)

    assert (found.external_id, found.text) == ("a", "x y")


def test_any_other_document_is_named_once():
    (bad,) = _read({"version": 1, "runs": [{"log": "x"}]}, indent=2)

    assert isinstance(bad, BadLine)
    assert "one JSON document of 8 lines" in bad.reason
    assert "runs, version" in bad.reason
    assert "jq" in bad.reason


def test_a_broken_first_line_does_not_hide_the_good_ones():
    lines = [b'{"id": "a", "text"\n', b'{"id": "b", "text": "x"}\n', b"[1]\n"]

    broken, good, other = read_documents(lines)

    assert "not JSON" in broken.reason
    assert good.external_id == "b"
    assert "found an array" in other.reason
