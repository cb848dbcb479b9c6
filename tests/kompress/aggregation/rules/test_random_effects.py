"""Random effects: fixed effects where voters agree, wide where they do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.rules.between_variance import between_variance
from kompress.aggregation.rules.inverse_variance import InverseVariance
from kompress.aggregation.rules.random_effects import RandomEffects

ONE = np.zeros(1, int)


def test_a_flat_conflict_has_the_variance_of_two_voters_that_differ():
    # Beta(6, 1) and Beta(1, 6): v = 3/196, tau2 = 47/196 (test_beta): v + tau2 =
    # 50/196, so the mean of the two has variance 25/196 = .128.
    posterior = RandomEffects().aggregate([[1.0, 0.0]], [5, 5], ONE)

    assert posterior.mean_N == pytest.approx([0.5])
    assert posterior.sd_N**2 == pytest.approx([25 / 196])


def test_disagreement_evens_out_the_weights():
    # y = 2/3 (v = 1/18) and 1/13 (v = 12/169/14 = 6/1183), w = 18 and 1183/6.
    # tau2 for two votes is gap^2/2 - (v1 + v2)/2: gap = 23/39.
    v1, v2 = 1 / 18, 6 / 1183
    tau2 = (23 / 39) ** 2 / 2 - (v1 + v2) / 2
    w1, w2 = 1 / (v1 + tau2), 1 / (v2 + tau2)

    posterior = RandomEffects().aggregate([[1.0, 0.0]], [1, 11], ONE)

    assert posterior.mean_N == pytest.approx([(w1 * 2 / 3 + w2 / 13) / (w1 + w2)])
    assert posterior.sd_N**2 == pytest.approx([1 / (w1 + w2)])
    assert posterior.weight_SM[0] == pytest.approx([w1 / (w1 + w2), w2 / (w1 + w2)])


@given(st.lists(st.floats(0.45, 0.55), min_size=1, max_size=6))
def test_agreement_within_chance_is_the_fixed_effect(p_M):
    # y in [.475, .525], w = 5 / (y(1 - y)) <= 20.1: Q <= 6 * .025^2 * 20.1 = .08 < 1.
    strength = [2.0] * len(p_M)

    one = RandomEffects().aggregate([p_M], strength, ONE)
    other = InverseVariance().aggregate([p_M], strength, ONE)

    assert one.alpha_N == pytest.approx(other.alpha_N)
    assert one.beta_N == pytest.approx(other.beta_N)


def test_the_variance_between_5_0_and_0_5_is_024():
    y_MC, voted_MC = np.array([[6 / 7], [1 / 7]]), np.ones((2, 1), dtype=np.bool_)

    tau2_C = between_variance(y_MC, np.full((2, 1), 196 / 3), voted_MC)

    assert tau2_C == pytest.approx([47 / 196])
    assert between_variance(y_MC[:1], np.ones((1, 1)), voted_MC[:1]).tolist() == [0]


def test_hard_opponents_of_many_samples_are_as_wide_as_a_beta_can_be():
    posterior = RandomEffects().aggregate([[1.0, 0.0]], [1e4, 1e4], ONE)

    assert posterior.sd_N[0] == pytest.approx(0.5, abs=1e-3)
    assert posterior.sd_N[0] < 0.5
