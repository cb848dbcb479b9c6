"""A coin's entropy, and what votes tell of a word."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.ensemble.information import entropy_bits, joint_information


def test_the_entropy_of_a_coin_is_known():
    # 1/4: .25 * 2 + .75 * log2(4/3) = .5 + .75 * .415037 = .811278.
    assert entropy_bits([0, 0.25, 0.5, 1]) == pytest.approx([0, 0.811278, 1, 0])


def test_joint_information_is_that_of_all_outcomes_one_by_one():
    mean, sens, spec = 0.3, (0.8, 0.7), (0.9, 0.6)
    votes = [0, 0, 1]  # voter 0 twice, voter 1 once
    left = 0.0
    for outcome in itertools.product([True, False], repeat=3):
        keep, drop = mean, 1 - mean
        for m, kept in zip(votes, outcome, strict=True):
            keep *= sens[m] if kept else 1 - sens[m]
            drop *= 1 - spec[m] if kept else spec[m]
        left += (keep + drop) * float(entropy_bits(keep / (keep + drop)))

    found = joint_information(
        np.array([mean]), np.array(sens)[:, None], np.array(spec)[:, None], (2, 1)
    )

    assert found == pytest.approx([float(entropy_bits(mean)) - left])


def test_a_votes_information_is_the_channels():
    # A binary symmetric channel of error .1: 1 - H(.1) = .531 bits for an even word.
    bits = joint_information(
        np.array([0.5, 0.5, 0.0, 1.0]),
        np.array([[0.9, 0.7, 0.9, 0.9]]),
        np.array([[0.9, 0.3, 0.9, 0.9]]),  # 0.7 and 0.3: keeps 7 of 10 either way
        (1,),
    )

    assert bits == pytest.approx([0.531004, 0, 0, 0], abs=1e-6)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_vote_tells_between_nothing_and_the_words_entropy(p, sens, spec):
    (bits,) = joint_information(np.array([p]), np.array([sens]), np.array([spec]), (1,))

    entropy = -sum(q * np.log2(q) for q in (p, 1 - p) if q > 0)
    assert 0 <= bits <= entropy + 1e-9
