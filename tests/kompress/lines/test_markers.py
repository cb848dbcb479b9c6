import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.lines.cut import cut_lines
from kompress.lines.log_lines import prepare_log
from kompress.lines.markers import (
    MAX_MARKER_TOKENS,
    describe_gap,
    fill_cheap_gaps,
    mark_gaps,
)


@pytest.mark.parametrize(
    ("gap", "marker"),
    [
        ((7, 7, 0), "… 1 line left out (7)\n"),
        ((212, 248, 0), "… 37 lines left out (212-248)\n"),
        ((1, 3, 2), "… 3 lines left out (1-3): 2 of failure\n"),
    ],
)
def test_a_marker_says_which_lines_are_missing(gap, marker):
    assert describe_gap(*gap) == marker


def test_no_marker_has_more_than_20_tokens():
    longest = describe_gap(1_000_000, 9_999_999, 8_999_999)

    assert len(longest) / 4 <= MAX_MARKER_TOKENS


def test_each_gap_is_marked_once_where_it_lies():
    log = prepare_log(cut_lines("a\nb\nerror: c\nd\ne"))

    marked = mark_gaps(log, np.array([True, False, False, True, False]))

    assert marked == (
        "a\n… 2 lines left out (2-3): 1 of failure\nd\n… 1 line left out (5)\n"
    )


def test_a_gap_that_is_shorter_than_its_marker_is_filled():
    log = prepare_log(cut_lines("a\n\nb\n" + "long line\n" * 9))
    keep_L = np.array([True, False, True, *[False] * 9])

    assert fill_cheap_gaps(log, keep_L).tolist() == [True] * 3 + [False] * 9


@given(st.lists(st.booleans(), max_size=9))
def test_without_its_markers_a_marked_text_is_what_was_kept(keeps):
    log = prepare_log(cut_lines("".join(f"line {n}\n" for n in range(len(keeps)))))
    keep_L = np.array(keeps, bool)

    lines = mark_gaps(log, keep_L).splitlines(keepends=True)

    assert "".join(x for x in lines if x[0] != "…") == log.lines.keep(keep_L)
    gaps = "".join("k" if keep else "." for keep in keeps).split("k")
    assert len([x for x in lines if x[0] == "…"]) == len([g for g in gaps if g])
