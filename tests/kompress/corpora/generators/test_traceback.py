"""Traces: one frame of our own code and the error are planted, libraries are filler."""

from random import Random

import pytest

from kompress.corpora.generators import traceback


@pytest.mark.parametrize("seed", range(40))
def test_the_own_frame_and_the_error_are_planted_in_this_order(seed):
    planted = traceback.make(Random(seed))

    names = [s.name for row in planted.lines for s in row.segments if s.name]
    assert names.index("frame") < names.index("error")
    assert len(set(names)) == 4  # frame, error and two clues
    assert planted.question.startswith("What failed, and where in our own code?")


@pytest.mark.parametrize("seed", range(40))
def test_library_frames_are_filler(seed):
    rows = traceback.make(Random(seed)).lines
    texts = {s.text: s.role for row in rows for s in row.segments}
    marks = ("site-packages", "node_modules", "/usr/lib/", "/usr/local/go", "java.base")

    assert {texts[t] for t in texts if any(mark in t for mark in marks)} <= {"filler"}
