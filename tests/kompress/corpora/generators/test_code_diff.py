"""Diffs: the changed lines and their file are planted, lock files are filler."""

import re
from random import Random

import pytest

from kompress.corpora.generators import code_diff


@pytest.mark.parametrize("seed", range(30))
def test_the_planted_file_is_the_one_that_is_changed(seed):
    rows = code_diff.make(Random(seed)).lines

    segments = [s for row in rows for s in row.segments]
    [file] = [s.text for s in segments if s.name == "file"]
    assert any(s.text == f"diff --git a/{file[2:]} {file}" for s in segments)
    changes = [s.text for s in segments if s.name == "change"]
    assert changes
    assert all(text.startswith(("-", "+")) for text in changes)


@pytest.mark.parametrize("seed", range(30))
def test_lock_files_are_filler(seed):
    rows = code_diff.make(Random(seed)).lines
    lock = re.compile(r"(poetry|Cargo|uv)\.lock")

    roles = {s.role for row in rows for s in row.segments if lock.search(s.text)}
    assert roles <= {"filler"}


@pytest.mark.parametrize("seed", range(30))
def test_the_question_asks_why_only_if_a_reason_is_given(seed):
    planted = code_diff.make(Random(seed))

    names = {s.name for row in planted.lines for s in row.segments}
    assert ("Why was it made?" in planted.question) == ("reason" in names)


@pytest.mark.parametrize("seed", range(60))
def test_subject_and_changed_rows_speak_of_the_same_thing(seed):
    rows = code_diff.make(Random(seed)).lines

    told = {
        name: {
            word.casefold()
            for row in rows
            for s in row.segments
            if s.name == name
            for word in re.findall(r"[A-Za-z_]{3,}|[0-9]+", s.text)
        }
        for name in ("subject", "change")
    }
    assert told["subject"] & told["change"]


@pytest.mark.parametrize("seed", range(60))
def test_the_row_taken_out_differs_from_the_row_put_in(seed):
    rows = code_diff.make(Random(seed)).lines

    changes = [s.text for row in rows for s in row.segments if s.name == "change"]
    assert len({text[1:] for text in changes}) == len(changes) == 2
