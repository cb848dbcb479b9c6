import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.lines.cut import cut_lines
from kompress.lines.linear import MarkedLog
from kompress.lines.log_lines import prepare_log
from kompress.lines.voters import LINE_VOTERS


def log_of(text, twin=None):
    return prepare_log(cut_lines(text), twin)


def score(name, log, training=()):
    return LINE_VOTERS[name](training)(log)


def marked(text, kept_lines, twin=None):
    log = log_of(text, twin)
    keep_L = np.isin(np.arange(len(log)), kept_lines).astype(float)
    return MarkedLog(log=log, keep_L=keep_L)


TRAINING = [marked("a\nb\nc\nd\n", [3]), marked("a\nb\nx\ny\nz\n", [4], "a\nb\n")]


def test_head_tail_and_both_ends():
    log = log_of("a\nb\nc\n")

    assert score("head", log).tolist() == [3 / 4, 2 / 4, 1 / 4]
    assert score("tail", log).tolist() == [1 / 4, 2 / 4, 3 / 4]
    assert score("head_tail", log).tolist() == [3 / 4, 2 / 4, 3 / 4]


def test_chance_is_the_same_each_time_and_differs_by_text():
    text = "a\nb\nc\n"

    assert (
        score("random_lines", log_of(text)).tolist()
        == score("random_lines", log_of(text)).tolist()
    )
    assert (
        score("random_lines", log_of(text)).tolist()
        != score("random_lines", log_of("a\nb\nd\n")).tolist()
    )


def test_the_regex_takes_two_lines_around_a_word_of_failure():
    log = log_of("a\nb\nc\nit failed\ne\nf\ng\n")

    assert score("error_regex", log).tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_messages_come_before_calls_and_calls_before_hints():
    log = log_of(
        "error: no\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\nx\ny\nz\nw\nmissing\n"
    )

    score_L = score("error_lines", log)

    # Calls have one template, and are not counted down for it.
    assert score_L[[0, 1, 2, 7]].tolist() == [1, 0.8, 0.8, 0.6]
    assert (np.diff(score_L[4:7]) < 0).all()


def test_a_message_that_a_log_repeats_counts_less():
    # Ten lines of one template: 1 / (1 + log10(10)).
    log = log_of("".join(f"error: disk {n}\n" for n in range(10)))

    assert score("error_lines", log).tolist() == pytest.approx([0.5] * 10)


def test_what_no_training_log_has_is_rarer():
    score_L = score("rarity", log_of("a\nnew\nc\n"), TRAINING)

    # Of 2 logs both have "a", one has "c".
    assert score_L.argsort().tolist() == [0, 2, 1]


def test_contrast_looks_at_the_twin_and_else_at_other_passing_runs():
    with_twin = score("contrast", log_of("a\nq\n", twin="a\nc\n"), TRAINING)
    without = score("contrast", log_of("a\nq\n"), TRAINING)

    assert with_twin[0] == without[0] == 0
    assert with_twin[1] > 0
    assert without[1] > 0


def test_position_learns_that_the_last_line_is_kept():
    score_L = score("position", log_of("p\nq\nr\ns\n"), TRAINING)

    assert int(score_L.argmax()) == 3


def test_must_keep_is_the_share_of_a_line_s_words():
    assert score("must_keep", log_of("the exit 12 /a/b\nplain words\n\n")).tolist() == [
        2 / 4,
        0,
        0,
    ]


@pytest.mark.parametrize("name", [name for name in LINE_VOTERS if name != "linear"])
@given(text=st.text(alphabet="ae \n\r1/", max_size=30))
def test_any_text_gets_one_score_a_line(name, text):
    log = log_of(text)

    score_L = score(name, log, TRAINING)

    assert score_L.shape == (len(log),)
    assert ((score_L >= 0) & (score_L <= 1)).all()
