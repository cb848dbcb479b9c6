import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.lines.from_words import keep_lines, line_budget, pool_words

YAML = "root:\n    - name: a   # keep\n\t- name: b\r\n\nlast: 1"


def test_the_three_best_words_speak_for_a_line():
    # (.9 + .6 + .3) / 3 whatever else stands there; one word alone; none.
    score_N = np.array([0.3, 0.9, 0.0, 0.6, 0.8])

    pooled_L = pool_words(score_N, np.array([0, 0, 0, 0, 2]), 3)

    assert pooled_L.tolist() == pytest.approx([0.6, 0, 0.8])


def test_kept_lines_are_byte_for_byte_what_they_were():
    # Words: root: | - name: a # keep | - name: b | (none) | last: 1
    score_N = np.array([0.1, *[0.9] * 5, *[0.8] * 3, 0.2, 0.2])

    # The second line has 23 characters, the third 12.
    kept = keep_lines(YAML, score_N, max_tokens=35 / 4, markers=False)

    assert kept.text == "    - name: a   # keep\n\t- name: b\r\n"
    assert kept.keep_L.tolist() == [False, True, True, False, False]
    assert kept.keep_N.tolist() == [False, *[True] * 8, False, False]


def test_a_failure_is_kept_whatever_its_words_score():
    text = "all is well here\nerror: disk full\nall is very well\n"

    kept = keep_lines(
        text,
        np.array([*[0.9] * 4, *[0.0] * 3, *[0.9] * 4]),
        max_tokens=5,
        markers=False,
    )

    assert kept.text == "error: disk full\n"


def test_markers_count_towards_the_budget():
    text = "".join(f"{n} some line of a log\n" for n in range(100, 200))
    score_N = np.array(
        [0.9 if n in (20, 60) else 0.1 for n in range(100) for _ in range(6)]
    )

    # Two lines of 23 and three markers of 27, 28 and 29 characters: 130.
    kept = keep_lines(text, score_N, max_tokens=130 / 4, markers=True)
    less = keep_lines(text, score_N, max_tokens=129 / 4, markers=True)

    assert kept.text == (
        "… 20 lines left out (1-20)\n120 some line of a log\n"
        "… 39 lines left out (22-60)\n160 some line of a log\n"
        "… 39 lines left out (62-100)\n"
    )
    assert less.text.count("some line") == 1


def test_where_not_even_a_marker_fits_nothing_is_left():
    kept = keep_lines(
        "a long line of words\n", np.full(5, 0.5), max_tokens=1, markers=True
    )

    assert kept.text == ""
    assert not kept.keep_N.any()


@given(
    st.lists(st.sampled_from(["a b", "error: x", "", "  at y", "z"]), max_size=12),
    st.floats(0, 30),
    st.booleans(),
)
def test_no_budget_is_overdrawn(lines, max_tokens, markers):
    text = "\n".join(lines)
    num_words = len(text.split())

    kept = keep_lines(
        text, np.linspace(0, 1, num_words), max_tokens=max_tokens, markers=markers
    )

    assert len(kept.text) <= 4 * max_tokens
    assert len(kept.keep_N) == num_words
    for line in kept.text.splitlines():
        assert line.startswith("…") or line in lines


@pytest.mark.parametrize(
    ("keep_rate", "max_tokens"),
    [(None, None), (0.5, 10), (1.5, None), (float("nan"), None)],
)
def test_lines_need_one_budget(keep_rate, max_tokens):
    with pytest.raises(InvalidConfig, match="keep_rate is"):
        line_budget("text", keep_rate=keep_rate, max_tokens=max_tokens)


def test_a_budget_is_a_share_of_the_characters_or_tokens():
    assert line_budget("12345678", keep_rate=0.5, max_tokens=None) == 1
    assert line_budget("12345678", keep_rate=None, max_tokens=7) == 7
    with pytest.raises(InvalidConfig, match="max_tokens is -1"):
        keep_lines("a", np.zeros(1), max_tokens=-1, markers=False)
