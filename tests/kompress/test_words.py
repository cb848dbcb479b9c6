import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from kompress.errors import InvalidVotes
from kompress.words import (
    SEPARATORS,
    join_kept,
    line_numbers,
    split_words,
    word_list,
)

ANY_TEXT = st.text(st.characters() | st.sampled_from(SEPARATORS))


def test_the_separators_are_the_29_characters_that_split_splits_at():
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]

    assert list(SEPARATORS) == sorted(SEPARATORS) == spaces
    assert len(SEPARATORS) == 29


@given(text=ANY_TEXT)
def test_words_are_those_of_split_whatever_the_text(text):
    words = split_words(text)

    assert [text[start:end] for start, end in words] == text.split() == word_list(text)
    assert len(line_numbers(text)) == len(words)


def test_offsets_count_characters():
    #     0123 4   5678
    assert split_words("añ \u2003\n🙂b ") == [(0, 2), (5, 7)]


def test_only_a_newline_ends_a_source_line():
    text = "a b\r\nc\x0bd\u2028e\n\n f"

    assert line_numbers(text).tolist() == [0, 0, 1, 1, 1, 3]
    assert line_numbers("").tolist() == []


def test_kept_words_stay_on_their_lines_and_empty_lines_vanish():
    text = "  one two\tthree\nfour\n\nfive\x0bsix"

    joined = join_kept(text, np.array([True, False, True, False, True, True]))

    assert joined == "one three\nfive six"


@given(text=ANY_TEXT, data=st.data())
def test_the_reference_holds_exactly_the_kept_words(text, data):
    words = text.split()
    size = len(words)
    keep = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))

    kept = [word for word, stays in zip(words, keep, strict=True) if stays]
    assert join_kept(text, keep).split() == kept


def test_a_mask_of_the_wrong_length_is_refused():
    with pytest.raises(InvalidVotes, match="2 entries, the text 1 words"):
        join_kept("word", [True, False])
