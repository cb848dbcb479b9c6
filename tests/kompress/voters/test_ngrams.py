"""Counts and smoothing by hand; probabilities add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.voters.ngrams import NgramModel, count_ngrams, ngram_keys, word_shape

SIZE = 4  # words 1 2 3, and 0 for the unknown


def model(texts, members=(1, 1, 1, 1)):
    orders = tuple(count_ngrams(texts, order=n, size=SIZE) for n in (1, 2, 3))
    return NgramModel(orders, np.array(members))


def test_a_key_packs_a_word_and_those_before_it():
    # Base 4, the word itself last; before the text stands 0.
    numbers_N = np.array([1, 2, 3])

    assert ngram_keys(numbers_N, 1, SIZE).tolist() == [1, 2, 3]
    assert ngram_keys(numbers_N, 2, SIZE).tolist() == [1, 1 * 4 + 2, 2 * 4 + 3]
    assert ngram_keys(numbers_N, 3, SIZE).tolist() == [1, 6, 1 * 16 + 2 * 4 + 3]


def test_counts_do_not_cross_texts():
    grams, counts = count_ngrams(
        [np.array([1, 2]), np.array([1, 2]), np.array([2])], order=2, size=SIZE
    )

    assert dict(zip(grams.tolist(), counts.tolist(), strict=True)) == {1: 2, 6: 2, 2: 1}


def test_witten_bell_by_hand():
    # Corpus "1 2", "1 3". Unigrams 1:2 2:1 3:1, total 4, types 3, uniform 1/4:
    # P1(2) = (1 + 3/4) / 7 = 1/4. After 1: 2 and 3 once each, total 2, types 2:
    # P2(2|1) = (1 + 2/4) / 4 = 3/8. After (0, 1) the same counts:
    # P3 = (1 + 2 * 3/8) / 4 = 7/16.
    fitted = model([np.array([1, 2]), np.array([1, 3])])

    information_N = fitted.information(np.array([1, 2]))

    assert np.exp(-information_N[1]) == pytest.approx(7 / 16)


def test_a_shape_shares_its_probability_among_its_words():
    texts = [np.array([1, 2]), np.array([1, 3])]

    alone = model(texts).information(np.array([2]))
    shared = model(texts, members=(1, 1, 10, 1)).information(np.array([2]))

    assert shared - alone == pytest.approx([np.log(10)])


@given(st.lists(arrays(np.int64, st.integers(0, 6), elements=st.integers(1, 3))))
def test_probabilities_of_all_words_after_any_history_add_up_to_one(texts):
    fitted = model(texts)

    for history in ([], [1], [2, 3], [0, 1], [1, 1]):
        p = [
            np.exp(-fitted.information(np.array([*history, word]))[-1])
            for word in range(SIZE)
        ]
        assert sum(p) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("v1.25-rc", " a0.0-a"),
        ("0x7f3a", " 0a0a0a"),
        ("====", " ===="),
        ("/usr/lib/python3/x", " /a/a/a0/"),  # cut to eight
    ],
)
def test_a_shape_keeps_punctuation_and_the_kind_of_each_run(word, shape):
    assert word_shape(word) == shape
