import numpy as np
import pytest

from benchmarks.worlds import WORLDS
from benchmarks.worlds.summary import Summary
from benchmarks.worlds.tables import (
    BEGIN,
    END,
    failures,
    format_verdicts,
    format_world,
    format_wrong,
    write_doc,
)
from benchmarks.worlds.trials import BAYES, NO_GOLD
from kompress.types import STRATA

NAME = "all wrong on one stratum, no gold there"


def summary(*, f1=0.9, loss=0.1, warned=None):
    size = len(STRATA)
    two = np.full(2, 1.0)
    strata = np.full(size, 0.5)
    return Summary(
        f1 * two,
        loss * two,
        0.01 * two,
        0.9 * two,
        strata,
        0 * strata,
        0.9,
        0.1,
        1.5,
        warned,
    )


def test_a_page_keeps_what_stands_around_its_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    write_doc("new", page)
    write_doc("newer", page)

    assert page.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


def test_a_page_without_markers_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text")

    with pytest.raises(SystemExit, match="lacks"):
        write_doc("new", page)


def test_what_is_written_does_not_depend_on_the_clock():
    found = {BAYES: summary(), "own": summary()}

    timed = format_world(WORLDS[NAME], found, timed=True)
    still = format_world(WORLDS[NAME], found, timed=False)

    assert "1.500" in timed
    assert "1.500" not in still
    assert "| own | 0.9000 ± 0.0000 | 0.1000 ± 0.0000 |" in still


def test_a_miss_is_named_in_the_verdict_and_listed():
    name = "independent equal voters"
    found = {name: {BAYES: summary(), "own": summary(loss=0.2), "majority": summary()}}

    text = format_verdicts(found, "own")

    assert "| 2.000 |" in text  # .2 / .1
    assert "**misses log-loss**" in text
    assert [(where, finding.name) for where, finding in failures(found, "own")] == [
        (name, "log-loss")
    ]


def test_a_world_whose_truth_cannot_be_found_is_reported_only():
    name = "a drifting voter, within a round"
    found = {name: {BAYES: summary(), "own": summary(f1=0.1), "majority": summary()}}

    assert "| reported only |" in format_verdicts(found, "own")
    assert failures(found, "own") == []


@pytest.mark.parametrize(("warned", "words"), [
    (("constant",), "says that it is undetectable"),
    ((), "says that it is detectable"),
    (None, "says nothing of what it cannot detect"),
])  # fmt: skip
def test_what_a_rule_says_of_the_wrong_stratum_is_repeated(warned, words):
    found = {NAME: {BAYES: summary(), "own" + NO_GOLD: summary(warned=warned)}}

    assert words in format_wrong(found, "own")
