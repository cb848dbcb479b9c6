"""Joint votes are counted once, and shards merge in any order to the same bytes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.patterns import VotePatterns, count_patterns, merge_patterns
from kompress.errors import InvalidVotes
from kompress.types import DROP, KEEP, UNKNOWN

# Five words by two voters in strata 0 and 2; 254 keeps, 0 drops, 255 is silence.
CODES = np.array([[254, 0], [254, 0], [0, 254], [254, 255], [255, 255]], dtype=np.uint8)
STRATUM = np.array([0, 0, 2, 0, 0])


def rows(patterns):
    return [
        (int(s), int(t), *map(int, codes), int(n))
        for s, t, codes, n in zip(
            patterns.stratum_P,
            patterns.truth_P,
            patterns.code_PM,
            patterns.count_P,
            strict=True,
        )
    ]


def test_equal_words_are_one_pattern_and_unheard_ones_none():
    found = count_patterns(CODES, np.array([1, 5]), STRATUM)

    assert rows(found) == [
        (0, UNKNOWN, 254, 0, 2),
        (0, UNKNOWN, 254, 255, 1),
        (2, UNKNOWN, 0, 254, 1),
    ]
    assert found.num_words == 4
    # Four votes of one sample, three of five.
    assert found.samples_M.tolist() == [4, 15]
    assert found.strength_M.tolist() == [1, 5]


def test_truth_tells_words_apart():
    truth = np.array([KEEP, DROP, UNKNOWN, UNKNOWN, UNKNOWN])

    found = count_patterns(CODES, np.ones(2), STRATUM, truth)

    assert rows(found)[:2] == [(0, DROP, 254, 0, 1), (0, KEEP, 254, 0, 1)]


def test_a_vote_without_samples_is_silence():
    strength = np.ones((5, 2))
    strength[0, 1] = 0

    found = count_patterns(CODES, strength, STRATUM)

    assert (0, UNKNOWN, 254, 255, 2) in rows(found)


def test_probabilities_count_as_their_byte_codes():
    p = np.array([[1.0, 0.0]])

    found = count_patterns(p, np.ones(2), np.array([0]))

    assert found.code_PM.tolist() == [[254, 0]]


@given(st.data())
def test_any_cut_into_shards_merges_to_the_same_bytes(data):
    size = data.draw(st.integers(1, 12))
    codes = np.array(
        data.draw(
            st.lists(
                st.tuples(*[st.sampled_from([0, 127, 254, 255])] * 2),
                min_size=size,
                max_size=size,
            )
        ),
        dtype=np.uint8,
    )
    stratum = np.array(
        data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    )
    truths = st.sampled_from([DROP, KEEP, UNKNOWN])
    truth = np.array(data.draw(st.lists(truths, min_size=size, max_size=size)))
    strength = np.array([2, 3])
    cut = data.draw(st.integers(0, size))
    order = data.draw(st.permutations([slice(0, cut), slice(cut, size)]))

    whole = count_patterns(codes, strength, stratum, truth)
    parts = [
        count_patterns(codes[part], strength, stratum[part], truth[part])
        for part in order
    ]

    assert merge_patterns(parts).to_bytes() == whole.to_bytes()


def test_bytes_bring_the_patterns_back():
    found = count_patterns(CODES, np.ones(2), STRATUM)

    again = VotePatterns.from_bytes(found.to_bytes())

    assert rows(again) == rows(found)
    assert again.samples_M.tolist() == found.samples_M.tolist()


def test_a_vote_of_taken_patterns_has_the_samples_of_the_voters_mean():
    found = count_patterns(CODES, np.array([1, 5]), STRATUM)

    some = found.take(found.stratum_P == 2)

    assert rows(some) == [(2, UNKNOWN, 0, 254, 1)]
    assert some.samples_M.tolist() == [1, 5]
    assert some.strength_M.tolist() == [1, 5]


def test_stored_patterns_say_1_for_a_word_to_keep_as_they_always_did():
    truth = np.array([KEEP, DROP, UNKNOWN, UNKNOWN, UNKNOWN])
    found = count_patterns(CODES, np.ones(2), STRATUM, truth)

    data = found.to_bytes()

    with np.load(io.BytesIO(data)) as stored:
        assert stored["truth"].tolist() == [0, 1, 255, 255]
        assert stored["truth"].dtype == np.uint8
    assert VotePatterns.from_bytes(data).truth_P.tolist() == found.truth_P.tolist()


def test_a_truth_that_is_none_is_refused():
    with pytest.raises(InvalidVotes, match=r"truth has shape \(5,\) and values \[7\]"):
        count_patterns(CODES, np.ones(2), STRATUM, np.full(5, 7))


def test_shards_of_different_panels_do_not_merge():
    one = count_patterns(CODES, np.ones(2), STRATUM)
    other = count_patterns(CODES[:, :1], np.ones(1), STRATUM)

    with pytest.raises(InvalidVotes, match=r"\[1, 2\] voters"):
        merge_patterns([one, other])
    with pytest.raises(InvalidVotes, match="at least one"):
        merge_patterns([])
