import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.pairwise.selection import (
    STRATEGIES,
    choose_winner,
    count_choices,
    find_f1,
    majority_mask,
)

NAN = np.nan


@pytest.mark.parametrize(
    ("quality", "sound", "kept", "winner"),
    [
        ([0.9, 0.5], [True, True], [4, 4], 0),
        ([0.9, 0.5], [False, True], [4, 4], 1),  # the better one is not sound
        ([0.5, 0.5], [True, True], [4, 3], 1),  # a tie: fewer words
        ([0.5, 0.5], [True, True], [3, 3], 0),  # and then the earlier
        ([NAN, 0.1], [True, True], [1, 4], 1),  # nobody judged the first
        ([NAN, NAN], [True, True], [1, 1], None),
        ([0.9, 0.5], [False, False], [1, 1], None),
    ],
)
def test_the_best_sound_candidate_wins(quality, sound, kept, winner):
    found = choose_winner(np.array(quality), np.array(sound), np.array(kept))

    assert found == winner


def test_half_of_the_candidates_are_a_majority():
    keep_IN = np.array([[1, 1, 0], [1, 0, 0]], dtype=np.bool_)

    assert majority_mask(keep_IN).tolist() == [True, True, False]


def test_choices_are_counted_against_known_gold_words():
    # Gold keeps words 0 and 1, drops 2 and 3, and does not know 4.
    gold_N = np.array([254, 254, 0, 0, 255], dtype=np.uint8)
    keep_IN = np.array(
        [
            [1, 1, 0, 0, 1],  # perfect
            [1, 0, 1, 0, 1],  # one of each
            [0, 0, 1, 1, 0],  # all wrong
        ],
        dtype=np.bool_,
    )

    found = count_choices(
        keep_IN,
        np.array([0.2, 0.3, 0.9]),
        np.array([False, True, False]),
        gold_N,
    )

    # tp, fp, fn, known
    assert found["oracle"].tolist() == [2, 0, 0, 4]
    assert found["oracle_sound"].tolist() == [1, 1, 1, 4]
    assert found["voted"].tolist() == [0, 2, 2, 4]
    assert found["verified"].tolist() == [1, 1, 1, 4]
    # (2 + 1 + 0) / 3, (0 + 1 + 2) / 3 twice
    assert found["random"].tolist() == [1, 1, 1, 4]
    # Words 0 and 2 have two votes of three.
    assert found["majority"].tolist() == [1, 1, 1, 4]


def test_what_cannot_choose_is_left_out():
    keep_IN = np.array([[1, 0]], dtype=np.bool_)
    gold_N = np.array([254, 0], dtype=np.uint8)

    found = count_choices(keep_IN, np.array([NAN]), np.array([False]), gold_N)

    assert set(found) == {"oracle", "random", "majority"}


def test_f1_of_nothing_is_zero():
    assert find_f1(np.array([[2.0, 1, 1, 9], [0, 0, 0, 9]])).tolist() == [4 / 6, 0]


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_no_single_choice_beats_the_oracle(num, num_words, seed):
    rng = np.random.default_rng(seed)
    keep_IN = rng.random((num, num_words)) < 0.5
    gold_N = np.array([0, 254, 255], dtype=np.uint8)[rng.integers(0, 3, num_words)]

    found = count_choices(keep_IN, rng.random(num), rng.random(num) < 0.7, gold_N)

    assert set(found) <= set(STRATEGIES)
    best = find_f1(found["oracle"][None])[0]
    for name in ("oracle_sound", "voted", "verified"):
        if name in found:
            assert find_f1(found[name][None])[0] <= best
