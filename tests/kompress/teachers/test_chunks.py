import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.teachers.chunks import Chunk, number_words, split_chunks
from kompress.words import SEPARATORS, word_list


@pytest.mark.parametrize(
    ("text", "chunk_words", "chunks"),
    [
        ("", 3, []),
        (" \n\t", 3, []),
        ("a b", 3, ["a b"]),
        ("a b c d", 3, ["a b c", "d"]),
        # A line ends after two of three words: better than in the middle of one.
        ("a b\nc d e", 3, ["a b", "c d e"]),
        # A line ends after one of four words: too early.
        ("a\nb c d e", 4, ["a\nb c d", "e"]),
        # Of several lines' ends the last; indentation goes with its line.
        ("a\n  b\n\tc d", 3, ["a\n  b", "\tc d"]),
        # Cut within a line: the second half is not indented.
        ("  a b c", 2, ["  a b", "c"]),
        ("a b c", 1, ["a", "b", "c"]),
    ],
)
def test_a_chunk_ends_where_a_line_does_if_it_can(text, chunk_words, chunks):
    found = split_chunks(text, chunk_words)

    assert [chunk.text for chunk in found] == chunks


@given(
    st.text(alphabet=[*SEPARATORS, *"ab=[]"], max_size=120),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_chunks_hold_every_word_once_and_numbers_change_no_word(
    text, chunk_words, every
):
    chunks = split_chunks(text, chunk_words)
    words = [word for chunk in chunks for word in word_list(chunk.text)]

    assert words == word_list(text)
    assert [c.start for c in chunks] == [0, *(c.end for c in chunks)][: len(chunks)]
    for chunk in chunks:
        assert 1 <= chunk.num_words <= chunk_words
        assert len(word_list(chunk.text)) == chunk.num_words
        shown = word_list(number_words(chunk, every))
        numbers = [f"[{n}]" for n in range(1, chunk.num_words + 1, every)]
        # Each number stands before its word.
        at = 0
        for number, word in enumerate(word_list(chunk.text)):
            if number % every == 0:
                assert shown[at] == numbers[number // every]
                at += 1
            assert shown[at] == word
            at += 1
        assert at == len(shown)


def test_numbers_leave_lines_as_they_are():
    chunk = Chunk(0, "  a b\n\tc d  e", 5)

    assert number_words(chunk, 1) == "  [1] a [2] b\n\t[3] c [4] d  [5] e"
    assert number_words(chunk, 2) == "  [1] a b\n\t[3] c d  [5] e"
    assert re.sub(r"\[\d+\] ", "", number_words(chunk, 3)) == chunk.text


def test_sizes_below_one_are_refused():
    with pytest.raises(InvalidConfig, match="chunk_words is 0"):
        split_chunks("a", 0)
    with pytest.raises(InvalidConfig, match="number_every is 0"):
        number_words(Chunk(0, "a", 1), 0)
