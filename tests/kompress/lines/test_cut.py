import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.lines.cut import count_tokens, cut_lines


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a\n", ("a\n",)),
        ("a\n\n  b", ("a\n", "\n", "  b")),
        # Only LF ends a line: CR of a progress bar, form feed and NEL do not.
        ("1%\r2%\r\nb\x0cc\x85d\n", ("1%\r2%\r\n", "b\x0cc\x85d\n")),
    ],
)
def test_a_line_ends_at_lf_alone(text, pieces):
    assert cut_lines(text).pieces == pieces


def test_a_line_begins_where_the_one_before_has_ended():
    lines = cut_lines("ab\n\n\tc")

    assert lines.starts_L.tolist() == [0, 3, 4]
    assert lines.num_chars_L.tolist() == [3, 1, 2]
    assert lines.contents() == ["ab", "", "\tc"]


def test_kept_lines_keep_their_indentation_and_their_ends():
    lines = cut_lines("a:\n  - b\r\n\n    c")

    kept = lines.keep(np.array([False, True, False, True]))

    assert kept == "  - b\r\n    c"


@given(st.text(alphabet=st.sampled_from("a\n\r \x0c\u2028")))
def test_all_lines_together_are_the_text(text):
    lines = cut_lines(text)

    assert lines.keep(np.ones(len(lines), bool)) == text
    assert len(lines) == text.count("\n") + (text[-1:] not in ("", "\n"))


def test_a_token_is_four_characters():
    assert count_tokens(10) == 2.5
