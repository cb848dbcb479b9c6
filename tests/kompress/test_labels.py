import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from kompress.errors import InvalidConfig, InvalidVotes
from kompress.labels import count_mask, count_must_keep
from kompress.must_keep import classify_words
from kompress.types import CATEGORIES, STRATA
from kompress.words import join_kept

WORDS = st.lists(
    st.sampled_from(["42", "7", "--rate", "not", "of", "ERROR", "a/b.py", "well-known"])
)


def test_each_word_of_the_reference_answers_for_one_word_of_the_text():
    counts = count_must_keep("exit 7 7 8 not ok", "8 7 8 ok")

    # Wanted: 7 7 8 and not; the reference has one 7 and no `not`.
    assert counts["number"] == (3, 2)
    assert counts["directive"] == (1, 0)
    assert counts["all"] == (4, 2)
    assert list(counts) == [*CATEGORIES, "all"]


def test_the_published_definition_finds_numbers_inside_other_numbers():
    text, reference = "port 42 of 8", "port 1428"

    assert count_must_keep(text, reference, "kompress-r0")["all"] == (2, 0)
    flattered = count_must_keep(text, reference, "kompress-r0", "substring")
    assert flattered["all"] == (2, 2)


def test_the_published_definition_counts_occurrences_not_words():
    # headroom-0.42 finds 1 and 2 in the first word, and the flag in the second.
    counts = count_must_keep("1,2 well-known", "2", "headroom-0.42", "substring")

    assert counts["number"] == (2, 1)
    assert counts["other"] == (1, 0)
    assert counts["all"] == (3, 1)


def test_the_farm_counts_its_words_by_the_published_definition_too():
    counts = count_must_keep("see (42) now", "x(42)y", definition="substring")

    assert counts["all"] == (1, 1)


def test_nothing_is_counted_in_an_empty_text():
    assert count_must_keep("", "42")["all"] == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule_set": "mine"}, "'mine'; expected one of farm, headroom-0.42, kompress"),
        ({"definition": "bag"}, "'bag'; expected 'multiset' or 'substring'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(changes, message):
    with pytest.raises(InvalidConfig, match=message):
        count_must_keep("a", "a", **changes)


def test_a_mask_is_counted_by_stratum():
    codes_N = np.array([0, 2, 2, 13, 0], np.uint8)

    words_S, kept_S = count_mask(codes_N, np.array([True, True, False, False, False]))

    assert words_S.tolist() == [2, 0, 2, *[0] * 10, 1, 0]
    assert kept_S.tolist() == [1, 0, 1, *[0] * 10, 0, 0]


@given(words=WORDS, data=st.data())
def test_for_a_mask_both_ways_of_counting_agree(words, data):
    size = len(words)
    keep_N = np.array(
        data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool
    )
    text = " ".join(words)

    words_S, kept_S = count_mask(classify_words(words), keep_N)
    counts = count_must_keep(text, join_kept(text, keep_N))

    expected = zip(STRATA[1:-1], words_S[1:-1], kept_S[1:-1], strict=True)
    assert all(counts[name] == (total, kept) for name, total, kept in expected)


@pytest.mark.parametrize(
    ("codes", "keep", "message"),
    [
        ([0, 1], [True], r"shape \(2,\), the mask \(1,\)"),
        ([15], [True], "code 15; expected 0..14"),
    ],
)
def test_codes_and_mask_that_do_not_fit_are_refused(codes, keep, message):
    with pytest.raises(InvalidVotes, match=message):
        count_mask(np.array(codes, np.uint8), np.array(keep))
