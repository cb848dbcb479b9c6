from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.evaluation.baselines.llmlingua2 import LLMLingua2

CLS, SEP = 1, 2


@dataclass
class Characters:
    """One token a character: its code point."""

    ids_T: np.ndarray
    num_tokens_N: np.ndarray


class CharacterTokenizer:
    cls_id = CLS
    sep_id = SEP

    def encode(self, words):
        return Characters(
            np.array([ord(c) for word in words for c in word], dtype=np.uint16),
            np.array([len(word) for word in words], dtype=np.int64),
        )


class Digits:
    """P(keep) of a digit d is d / 10, of anything else 0; remembers what it was fed."""

    def __init__(self):
        self.fed = []

    def __call__(self, ids_T, num_tokens_C):
        ends_C = np.cumsum(num_tokens_C)
        self.fed += [
            "".join(chr(i) for i in part[1:-1]) for part in np.split(ids_T, ends_C)[:-1]
        ]
        assert {int(part[0]) for part in np.split(ids_T, ends_C)[:-1]} == {CLS}
        is_digit = (ids_T >= ord("0")) & (ids_T <= ord("9"))
        return np.where(is_digit, (ids_T.astype(float) - ord("0")) / 10, 0.0), None


def make(max_tokens=16, **more):
    heads = Digits()
    method = LLMLingua2(heads, CharacterTokenizer(), max_tokens=max_tokens, **more)
    return method, heads


def test_a_word_has_the_mean_of_its_tokens():
    method, _ = make()

    (score_N,) = method.score(["99 9a 1 b"])

    # (.9 + .9) / 2, (.9 + 0) / 2
    assert score_N.tolist() == pytest.approx([0.9, 0.45, 0.1, 0.0])


def test_chunks_end_where_a_sentence_or_line_ends_or_where_tokens_run_out():
    method, heads = make(max_tokens=8)  # six tokens beside [CLS] and [SEP]

    scores = method.score(["aa. bb cc", "aa\nbb cc", "aa bb cc dd", "9aaaaaaa 9"])

    assert heads.fed == [
        "aa.", "bbcc",  # the sentence's end; bb would have fit
        "aabbcc",  # all that is left fits
        "aabbcc", "dd",  # no end in sight: as many words as fit
        "9aaaaa", "9",  # a long word alone, judged by its first six tokens
    ]  # fmt: skip
    assert scores[3].tolist() == pytest.approx([0.9 / 6, 0.9])


def test_the_percentile_of_each_chunk_decides_as_in_the_original_code():
    method, _ = make(max_tokens=12)
    text = "1 2 3 4 5 6 7 8 9 0\n1 1 1 1 1 1 1 1 1 9"
    scores = method.score([text])

    (keep_N,) = method.keep([text], scores, 0.5)

    # Percentile 51 of 0 .1 … .9 is .459: 5 to 9 stay. Of nine .1 and one .9 it is .1,
    # and only what lies above stays.
    assert np.flatnonzero(keep_N).tolist() == [4, 5, 6, 7, 8, 19]


def test_words_with_digits_can_be_kept_whatever_their_score():
    method, _ = make(keep_digits=True)
    text = "0 a 1b c"

    scores = method.score([text])
    (keep_N,) = method.keep([text], scores, 0.25)

    assert scores[0].tolist() == [1.0, 0.0, 1.0, 0.0]
    # Percentile 76 is 1: what equals it stays.
    assert keep_N.tolist() == [True, False, True, False]


def test_texts_without_words_and_progress():
    method, heads = make()
    seen = []

    scores = method.score(["", "9", " \n "], progress=seen.append)

    assert [score_N.tolist() for score_N in scores] == [[], [0.9], []]
    assert method.score(["", ""])[0].shape == (0,)
    assert seen == [3]
    assert heads.fed == ["9"]
    assert [k.tolist() for k in method.keep([""], [np.zeros(0)], 0.5)] == [[]]


def test_a_keep_rate_outside_zero_to_one_is_refused():
    method, _ = make()
    with pytest.raises(InvalidConfig, match=r"keep_rate is 1.5"):
        method.keep(["a"], [np.zeros(1)], 1.5)


@settings(max_examples=50)
@given(st.text(alphabet="019a. \n", max_size=120), st.integers(3, 20))
def test_every_token_that_fits_is_read_once_whatever_the_chunks(text, max_tokens):
    method, heads = make(max_tokens=max_tokens)

    (score_N,) = method.score([text])

    room = max_tokens - 2
    assert "".join(heads.fed) == "".join(word[:room] for word in text.split())
    assert all(len(chunk) <= room for chunk in heads.fed)
    expected = [
        sum(int(c) for c in word[:room] if c.isdigit()) / 10 / len(word[:room])
        for word in text.split()
    ]
    assert score_N.tolist() == pytest.approx(expected)
