"""Bagging: the mean of its regressions, as wide as they disagree."""

import numpy as np
import pytest
from scipy.special import expit

from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.rules.bagging import Bagging
from kompress.aggregation.rules.stacking import Stacking
from kompress.errors import InvalidConfig, InvalidVotes
from tests.truth_codes import coded


@pytest.fixture
def patterns():
    rng = np.random.default_rng(3)
    truth_N = rng.random(200) < 0.4
    p_NM = expit(rng.normal(0, 1, (200, 2)) + np.where(truth_N, 1, -1)[:, None])
    return count_patterns(
        p_NM.round(2), [1, 1], np.zeros(200, int), coded(truth_N.astype(np.uint8))
    )


def test_the_mean_is_that_of_the_regressions_and_the_size_their_agreement(patterns):
    learned = Bagging(num_resamples=4).fit(patterns)

    found = learned.aggregate([[0.9, 0.7]], [1, 1], [0])

    # ln 9 and ln(7/3), as bytes hold them to half a percent.
    x_M = np.log([9, 7 / 3])
    p_B = expit(learned.intercept_BS[:, 0] + learned.weight_BM @ x_M)
    mean = p_B.mean()
    size = 2 + 1 / (1 / 2 + p_B.var() / (mean * (1 - mean)))
    assert found.mean_N == pytest.approx([mean], abs=3e-3)
    assert found.alpha_N + found.beta_N == pytest.approx([size], rel=2e-2)
    assert len(set(learned.weight_BM[:, 0])) == 4


def test_resamples_scatter_around_the_fit_to_all_of_gold(patterns):
    whole = Stacking().fit(patterns)

    learned = Bagging(num_resamples=200).fit(patterns)

    spread_M = learned.weight_BM.std(axis=0)
    assert learned.weight_BM.mean(axis=0) == pytest.approx(whole.weight_M, abs=0.1)
    # Laplace's standard error, within a factor of two.
    error_M = np.sqrt(np.diag(whole.covariance_KK)[-2:])
    assert (spread_M > error_M / 2).all()
    assert (spread_M < error_M * 2).all()


def test_without_gold_it_is_stacking_without_gold():
    p_NM = [[0.9, 0.8]]

    found = Bagging().aggregate(p_NM, [1, 1], [0])

    assert found.mean_N == pytest.approx(Stacking().aggregate(p_NM, [1, 1], [0]).mean_N)
    assert Bagging().fit(count_patterns(p_NM, [1, 1], [0])).data["has_gold"] is False


@pytest.mark.parametrize("number", [0, 1_001, 2.5, True, "9"])
def test_a_number_of_resamples_out_of_range_is_refused(number):
    with pytest.raises(InvalidConfig, match="expected a whole number from 1 to 1000"):
        Bagging(num_resamples=number)


def test_a_broken_fit_is_refused(patterns):
    data = Bagging(num_resamples=2).fit(patterns).data

    with pytest.raises(InvalidVotes, match="'weight'"):
        Bagging().load({key: data[key] for key in data if key != "weight"})
    with pytest.raises(InvalidVotes, match="a row a resample"):
        Bagging().load(data | {"intercept": data["intercept"][:1]})
