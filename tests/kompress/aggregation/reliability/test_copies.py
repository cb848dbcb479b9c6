"""Who was never seen to differ, on enough words, is a copy; no gold is needed."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.aggregation.patterns import VotePatterns, count_patterns
from kompress.aggregation.reliability.common_vote import common_scale
from kompress.aggregation.reliability.copies import (
    find_copies,
    join_copies,
)
from kompress.types import UNKNOWN

X, D, K = 255, 0, 254  # silent, drop, keep


def patterns_of(*rows, times=1):
    """Make patterns of the votes of each voter, pattern by pattern."""
    code_PM = np.array(rows, dtype=np.uint8).T
    size = len(code_PM)
    return VotePatterns(
        np.zeros(size, np.uint8),
        np.full(size, UNKNOWN, np.uint8),
        code_PM,
        np.broadcast_to(np.asarray(times, dtype=np.int64), size),
        ((code_PM != X).T * np.asarray(times)).sum(axis=1).astype(float),
    )


def groups(patterns):
    first = find_copies(patterns)
    return {frozenset(m for m in first if first[m] == f) for f in first.values()}


def test_a_voter_with_the_same_votes_is_a_copy_however_few_they_are():
    # Voter 3 never voted: it is no one's copy.
    patterns = patterns_of([K, D, X], [D, D, D], [K, D, X], [X, X, X])

    assert find_copies(patterns) == {0: 0, 1: 1, 2: 0, 3: 3}


def test_one_different_vote_makes_two_voters():
    patterns = patterns_of([K, D], [K, 1], times=1_000)

    assert find_copies(patterns) == {0: 0, 1: 1}


@pytest.mark.parametrize(
    ("keeps", "drops", "found"),
    [
        (25, 25, {0: 0, 1: 0}),  # 2 * 25 * 25 / 50 = 25 differences to be expected
        (24, 25, {0: 0, 1: 1}),  # 2 * 24 * 25 / 49 = 24.5
        (500, 12, {0: 0, 1: 1}),  # 23.4: who nearly always keeps is equal by accident
        (500, 13, {0: 0, 1: 0}),  # 25.3
        (9_000, 0, {0: 0, 1: 1}),
    ],
)
def test_who_is_equal_where_both_voted_is_a_copy_on_enough_words(keeps, drops, found):
    # Each also voted alone, on more than a tenth of the words.
    patterns = patterns_of(
        [K, D, K, X], [K, D, X, K], times=[keeps, drops, 9_999, 9_999]
    )

    assert find_copies(patterns.take(patterns.count_P > 0)) == found


@pytest.mark.parametrize(("alone", "found"), [(2, {0: 0, 1: 0}), (3, {0: 0, 1: 1})])
def test_few_words_are_enough_where_nearly_all_are_shared(alone, found):
    patterns = patterns_of([K, D, K], [K, D, X], times=[9, 9, alone])

    assert find_copies(patterns) == found  # 18 of 20 words, 18 of 21


def test_copies_may_each_be_silent_elsewhere():
    rng = np.random.default_rng(0)
    votes = np.where(rng.random(2_000) < 0.4, K, D)
    rows = [np.where(rng.random(2_000) < 0.3, X, votes) for _ in range(5)]

    assert find_copies(patterns_of(*rows)) == dict.fromkeys(range(5), 0)


# Voter 0 and 2 differ on the last pattern, where 1 is silent.
ORDERS = list(permutations(range(3)))
TORN = ([K, D, K, X, K], [K, D, K, K, X], [K, D, X, K, D])


@pytest.mark.parametrize("order", ORDERS)
def test_between_two_that_differ_a_voter_is_the_copy_of_whom_it_shares_more(order):
    patterns = patterns_of(
        *(TORN[m] for m in order), times=[400, 400, 90, 80, 1]
    )  # 0 and 1 share 890 words, 1 and 2 share 880.

    found = {frozenset(order[m] for m in group) for group in groups(patterns)}

    assert found == {frozenset({0, 1}), frozenset({2})}


@pytest.mark.parametrize("order", ORDERS)
def test_where_only_a_tie_would_settle_it_nobody_is_joined(order):
    patterns = patterns_of(*(TORN[m] for m in order), times=[400, 400, 90, 90, 1])

    assert find_copies(patterns) == {0: 0, 1: 1, 2: 2}


def test_the_first_copy_votes_where_any_of_them_did():
    patterns = patterns_of([K, D, X, X], [X, X, X, K], [K, X, D, X])

    joined = join_copies(patterns, {0: 0, 1: 1, 2: 0})

    assert joined.code_PM[:, 0].tolist() == [K, D, D, X]
    assert np.array_equal(joined.code_PM[:, 1:], patterns.code_PM[:, 1:])
    assert joined.count_P is patterns.count_P


def test_copies_count_as_the_one_of_the_most_samples_that_voted():
    code_MK = np.array([[K, X, X], [K, K, X]], np.uint8)
    scale_MK = np.array([[3.0, 3.0, 3.0], [0.5, 0.5, 0.5]])

    assert common_scale(code_MK, scale_MK, (0, 1)).tolist() == [3.0, 0.5, 1.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_groups_never_differ_and_do_not_depend_on_the_order(seed):
    rng = np.random.default_rng(seed)
    size, num_voters = int(rng.integers(1, 400)), int(rng.integers(2, 7))
    # Few different votes, much silence, near copies of each other: ties and tears.
    base = rng.choice([D, K], (size, 2))
    codes = base[:, rng.integers(0, 2, num_voters)].astype(np.uint8)
    codes[rng.random(codes.shape) < rng.choice([0, 0.01])] = K
    codes[rng.random(codes.shape) < rng.choice([0, 0.05, 0.5])] = X
    order = rng.permutation(num_voters)

    def found(codes):
        zeros = np.zeros(size, int)
        return groups(count_patterns(codes, np.ones(num_voters), zeros))

    one = found(codes)
    assert {frozenset(order[m] for m in g) for g in found(codes[:, order])} == one
    for group in one:
        own = codes[:, sorted(group)].astype(int)
        silent = own == X
        low, high = np.where(silent, X, own).min(1), np.where(silent, -1, own).max(1)
        assert ((low == high) | silent.all(axis=1)).all()
