import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.lines.cut import cut_lines
from kompress.lines.log_lines import prepare_log
from kompress.lines.selection import fill_budget, select_by_score, select_lines


def kept(select, text, scores, max_tokens):
    log = prepare_log(cut_lines(text))
    kept_L = select(np.array(scores), log, max_tokens=max_tokens)
    return log.lines.keep(kept_L)


def test_whole_lines_are_kept_in_their_own_order():
    # 4 + 4 characters are 2 tokens; the second line would be a third.
    text = kept(select_by_score, "aaa\nbbb\nccc\n", [0.5, 0.1, 0.9], 2)

    assert text == "aaa\nccc\n"


def test_a_line_that_does_not_fit_makes_way_for_a_shorter_one():
    text = kept(select_by_score, "a" * 40 + "\nbb\n", [0.9, 0.1], 2)

    assert text == "bb\n"


def test_of_equal_scores_the_earlier_line_goes_first():
    assert kept(select_by_score, "aaa\nbbb\n", [0.5, 0.5], 1) == "aaa\n"


def test_each_failure_goes_once_before_anything_else():
    lines = ["error: disk 1", "all is well", "error: disk 2", "error: net down"]
    text = "\n".join(lines) + "\n"

    # 14 + 16 characters: of the two disks the better scored, and the net.
    found = kept(select_lines, text, [0.1, 0.99, 0.2, 0.1], 7.5)

    assert found == "error: disk 2\nerror: net down\n"


def test_the_budget_wins_over_failures():
    assert kept(select_lines, "error: disk\nerror: net x\n", [0.5, 0.4], 3) == (
        "error: disk\n"
    )
    assert kept(select_lines, "error: disk\n", [0.5], 2.9) == ""


def test_a_repeated_line_is_worth_less_than_its_first():
    text = "step 1\nstep 2\nother1\n"

    # The logits of .8 and .7 are 1.39 and .85; a second line of "step" loses log 2.
    assert kept(select_lines, text, [0.8, 0.8, 0.7], 3.5) == "step 1\nother1\n"


@given(
    st.lists(st.integers(1, 9), max_size=8),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
def test_no_budget_is_overdrawn_and_no_room_is_wasted(sizes, budget, random):
    order = list(range(len(sizes)))
    random.shuffle(order)
    size_L = np.array(sizes, np.int64)

    kept_L = fill_budget(np.array(order, np.intp), size_L, budget)

    left = budget - size_L[kept_L].sum()
    assert left >= 0
    assert (size_L[~kept_L] > left).all()


@pytest.mark.parametrize("select", [select_lines, select_by_score])
def test_nothing_is_kept_of_nothing(select):
    assert kept(select, "", [], 10) == ""
