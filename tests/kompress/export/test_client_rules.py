import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.export.client_rules import passes_through, shorten, table_words

PROSE = " ".join(f"word{n % 7}x" for n in range(80))  # nothing of it must be kept


def test_texts_under_64_words_pass_through_as_they_stand(student):
    text = "  a  b\n\nc " * 21 + "\t"

    assert passes_through(text)
    short = shorten(text, np.zeros(63), student.tokenizer)
    assert short.text == text
    assert short.keep_N.all()
    assert not passes_through("a " * 64)


def test_scores_above_a_half_stay(student):
    score_N = np.where(np.arange(80) < 3, 0.51, 0.5)

    short = shorten(PROSE, score_N, student.tokenizer, override=None)

    assert short.text == "word0x word1x word2x"


def test_a_text_that_nothing_would_be_left_of_passes_through(student):
    text = PROSE.replace(" ", "  ")

    short = shorten(text, np.zeros(80), student.tokenizer, override=None)

    assert short.text == text
    assert short.keep_N.all()


def test_the_override_keeps_its_words(student):
    text = f"{PROSE} 404"

    short = shorten(text, np.zeros(81), student.tokenizer)

    assert short.text == "404"


def test_a_rate_counts_protected_words_first(student):
    text = f"{PROSE[: PROSE.rindex(' ')]} 404"
    score_N = np.linspace(1, 0, 80)

    short = shorten(text, score_N, student.tokenizer, keep_rate=0.05)

    # 4 of 80 words: the number and the three best.
    assert short.text == "word0x word1x word2x 404"


def test_words_that_were_not_scored_stay_and_do_not_count(student):
    words = PROSE.split()
    score_N = np.linspace(0.1, 0.9, len(words))
    score_N[:40] = np.nan

    whole = shorten(PROSE, score_N, student.tokenizer, override=None)
    half = shorten(PROSE, score_N, student.tokenizer, override=None, keep_rate=0.5)

    num_scored = len(words) - 40
    assert whole.keep_N[:40].all()
    assert whole.keep_N[40:].tolist() == (score_N[40:] > 0.5).tolist()
    assert half.keep_N[:40].all()
    assert half.keep_N[40:].sum() == num_scored // 2


def test_a_word_that_fills_a_chunk_alone_stays(student):
    huge = "é" * 600  # two bytes each, and nothing to merge: 1,200 tokens
    text = f"{PROSE} {huge}"

    short = shorten(text, np.zeros(81), student.tokenizer, override=None)

    assert short.text == huge


@pytest.mark.parametrize(
    ("text", "protected"),
    [
        ("a  b  c\nd  e  f\ng  h  i", "a b c d e f g h i"),
        ("a  b  c\nd  e  f", ""),  # two lines are no table
        ("a  b\nc  d\ne  f", ""),  # nor are two columns
        ("a b c\nd e f\ng h i", ""),  # single spaces are prose
        ("x\na  b  c\nd\te  f  g\nh  i  j\ny", "a b c d e f g h i j"),
        ("a  b  c\n\nd  e  f\ng  h  i", ""),  # an empty line ends a run
        ("a  b  c\nd  e  f  g\nh  i  j", ""),  # as does another number of columns
    ],
)
def test_three_lines_of_three_columns_are_a_table(text, protected):
    words = np.array(text.split())

    assert words[table_words(text)].tolist() == protected.split()


@given(st.text(alphabet="ab \n\t", max_size=200))
def test_every_word_of_a_line_is_protected_or_none(text):
    protected_N = table_words(text)

    first = 0
    for line in text.split("\n"):
        last = first + len(line.split())
        assert len(set(protected_N[first:last].tolist())) <= 1
        first = last
    assert first == len(protected_N)
