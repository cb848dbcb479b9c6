import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.teachers.prompt import delimit, delimiter_of, prompt_hash


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 5),
        ("a = b == c", 5),
        ("====", 5),
        ("=====", 6),  # as long as the usual line: one more
        ("x\n=========\ny", 10),
    ],
)
def test_the_line_is_longer_than_any_run_of_its_sign_in_the_text(text, length):
    assert delimiter_of(text) == "=" * length
    assert delimit(text) == f"{'=' * length}\n{text}\n{'=' * length}"


@given(st.text(alphabet="= \nx", max_size=60))
def test_a_text_never_holds_the_line_that_ends_it(text):
    bar = delimiter_of(text)

    assert bar not in text
    assert delimit(text)[len(bar) + 1 : -len(bar) - 1] == text


def test_a_prompts_hash_tells_where_one_part_ends():
    assert prompt_hash("ab", "c") != prompt_hash("a", "bc")
    assert prompt_hash("ab", "c") == prompt_hash("ab", "c")
    assert len(prompt_hash()) == 64
