"""Logs: the clock rises, the failing line is planted, routine lines are filler."""

import re
from itertools import pairwise
from random import Random

import pytest

from kompress.corpora.generators import error_log


@pytest.mark.parametrize("seed", range(20))
def test_the_clock_never_runs_backwards(seed):
    rows = error_log.make(Random(seed)).lines
    heads = [" ".join(s.text for s in row.segments) for row in rows]
    clocks = [re.search(r"\d\d:\d\d:\d\d\.\d{3}", head).group() for head in heads]

    # A log that runs past midnight starts again at 00.
    drops = sum(after < before for before, after in pairwise(clocks))
    assert drops <= 1
    assert not drops or clocks[0].startswith("23:")


@pytest.mark.parametrize("seed", range(20))
def test_a_failure_is_planted_and_asked_for(seed):
    planted = error_log.make(Random(seed))

    names = {s.name for row in planted.lines for s in row.segments}
    assert "failure" in names
    assert planted.question.startswith("Which component failed, and why?")


@pytest.mark.parametrize("seed", range(20))
def test_a_line_without_a_fact_is_filler_to_the_last_word(seed):
    rows = error_log.make(Random(seed)).lines

    routine = [row for row in rows if not row.num_facts]
    assert routine
    assert {s.role for row in routine for s in row.segments} == {"filler"}
