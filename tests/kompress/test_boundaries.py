"""What stands before each word."""

import pytest

from kompress.boundaries import boundaries_of


@pytest.mark.parametrize(("text", "expected"), [
    ("", []),
    ("one", [3]),
    ("one two\nthree", [3, 0, 1]),
    ("one\n\ntwo", [3, 2]),
    ("one\n \t\n\n\ntwo\rthree", [3, 2, 0]),  # only "\n" ends a line
    ("\n\none", [3]),
])  # fmt: skip
def test_a_word_knows_what_stands_before_it(text, expected):
    assert boundaries_of(text).tolist() == expected
