"""Fixed-effect pooling of Beta posteriors, with its known fault on show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.rules.inverse_variance import InverseVariance

ONE = np.zeros(1, int)


@given(st.floats(0, 1), st.floats(0.1, 100))
def test_one_vote_is_its_own_beta_posterior(p, strength):
    posterior = InverseVariance().aggregate([[p]], [strength], ONE)

    assert posterior.alpha_N == pytest.approx([1 + strength * p])
    assert posterior.beta_N == pytest.approx([1 + strength * (1 - p)])


def test_a_flat_conflict_reports_less_variance_than_the_counts():
    # Beta(6, 1) and Beta(1, 6): v = 6/(49*8) = 3/196 each, pooled 3/392 = .00765.
    posterior = InverseVariance().aggregate([[1.0, 0.0]], [5, 5], ONE)

    assert posterior.mean_N == pytest.approx([0.5])
    assert posterior.sd_N**2 == pytest.approx([3 / 392])


def test_two_votes_pool_by_the_inverse_of_their_variances():
    # p=1, n=1: y = 2/3, v = (2/9)/4 = 1/18, w = 18. p=1/2, n=6: y = 1/2,
    # v = (1/4)/9 = 1/36, w = 36. Mean (18*2/3 + 36/2)/54 = 30/54 = 5/9, variance 1/54.
    posterior = InverseVariance().aggregate([[1.0, 0.5]], [1, 6], ONE)

    assert posterior.mean_N == pytest.approx([5 / 9])
    assert posterior.sd_N**2 == pytest.approx([1 / 54])
    assert posterior.weight_SM[0] == pytest.approx([1 / 3, 2 / 3])
