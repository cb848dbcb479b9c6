"""The plain mean, and what it shares with the majority."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation.rules.majority import Majority
from kompress.aggregation.rules.uniform import Uniform

ONE = np.zeros(1, int)


def test_votes_are_averaged_whatever_their_strength():
    # .9 + .6 + 0 = 1.5 of 3 votes: Beta(1 + 1.5, 1 + 1.5); the third of 50 samples.
    posterior = Uniform().aggregate([[0.9, 0.6, 0.0, np.nan]], [1, 2, 50, 9], ONE)

    assert posterior.alpha_N == pytest.approx([2.5])
    assert posterior.beta_N == pytest.approx([2.5])
    assert posterior.weight_SM[0] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


@given(arrays(np.float64, (5, 4), elements=st.sampled_from([0.0, 1.0, np.nan])))
def test_on_hard_votes_it_is_the_majority(p_NM):
    uniform = Uniform().aggregate(p_NM, np.ones(4), np.zeros(5, int))
    majority = Majority().aggregate(p_NM, np.ones(4), np.zeros(5, int))

    assert np.array_equal(uniform.alpha_N, majority.alpha_N)
    assert np.array_equal(uniform.beta_N, majority.beta_N)


@given(arrays(np.float64, (5, 4), elements=st.floats(0, 1)))
def test_it_keeps_what_the_plain_mean_keeps(p_NM):
    mean_N = p_NM.mean(axis=1)

    posterior = Uniform().aggregate(p_NM, np.ones(4), np.zeros(5, int))

    clear_N = np.abs(mean_N - 0.5) > 1e-12
    assert np.array_equal(posterior.mean_N[clear_N] > 0.5, mean_N[clear_N] > 0.5)
