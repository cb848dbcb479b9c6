"""Pooled counts, and how much disagreement takes from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation.rules.beta import Beta

ONE = np.zeros(1, int)


@pytest.mark.parametrize(
    ("votes", "strength", "alpha", "beta"),
    [
        ([np.nan], [9], 1, 1),  # the prior alone
        ([0.5], [1], 1.5, 1.5),  # a tie adds one half to both
        ([0.8], [5], 5, 2),  # 1 + 4, 1 + 1
        ([1.0, 1.0, 0.0], [1, 1, 1], 3, 2),  # y = 2/3 2/3 1/3, Q = 4/3 < 2: counts
        ([1.0, 0.5, np.nan], [2, 2, 8], 4, 2),  # Q = .71 < 1: 1 + 2 + 1, 1 + 0 + 1
    ],
)
def test_without_disagreement_beyond_chance_it_is_the_pooled_counts(
    votes, strength, alpha, beta
):
    posterior = Beta().aggregate([votes], strength, ONE)

    assert posterior.alpha_N == pytest.approx([alpha])
    assert posterior.beta_N == pytest.approx([beta])


def test_a_flat_conflict_is_wider_than_the_counts():
    # y = 6/7 and 1/7, v = 3/196, w = 196/3, Q = 2w(5/14)^2 = 50/3, Sw - Sw2/Sw = w,
    # tau2 = (50/3 - 1)/(196/3) = 47/196 = .24 (statsmodels' combine_effects says the
    # same), d = 1 + 47/196 * 50/(10/4) = 1 + 940/196, alpha = beta = 1 + 5/d.
    alpha = 1 + 5 / (1 + 940 / 196)

    posterior = Beta().aggregate([[1.0, 0.0]], [5, 5], ONE)

    assert posterior.alpha_N == pytest.approx([alpha])
    assert posterior.beta_N == pytest.approx([alpha])
    assert posterior.sd_N[0] ** 2 >= 0.0192  # what Beta(6, 6) claims
    assert posterior.sd_N[0] ** 2 == pytest.approx(0.0529, abs=5e-5)


def test_in_a_conflict_a_voter_counts_for_about_one_draw():
    # Four voters of 50 draws, two against two: 200 draws must not look like 200.
    posterior = Beta().aggregate([[1.0, 1.0, 0.0, 0.0]], [50] * 4, ONE)

    draws = posterior.alpha_N[0] + posterior.beta_N[0] - 2
    assert 3 < draws < 6


@given(
    arrays(np.float64, (6, 4), elements=st.floats(0, 1) | st.just(np.nan)),
    arrays(np.float64, 4, elements=st.floats(0.5, 100)),
)
def test_it_is_never_surer_than_the_counts_and_keeps_what_they_keep(p_NM, strength_M):
    cast_NM = ~np.isnan(p_NM)
    keeps_N = (np.where(cast_NM, p_NM, 0) * strength_M).sum(axis=1)
    total_N = (cast_NM * strength_M).sum(axis=1)
    mean_N = (1 + keeps_N) / (2 + total_N)
    counts_variance_N = mean_N * (1 - mean_N) / (3 + total_N)

    posterior = Beta().aggregate(p_NM, strength_M, np.zeros(6, int))

    assert (posterior.sd_N**2 >= counts_variance_N * (1 - 1e-9)).all()
    side_N = np.sign(mean_N - 0.5) * np.sign(posterior.mean_N - 0.5)
    assert (side_N[np.abs(mean_N - 0.5) > 1e-9] >= 0).all()
    assert (np.abs(posterior.mean_N - 0.5) <= np.abs(mean_N - 0.5) + 1e-12).all()


def test_more_disagreement_is_wider():
    gaps = np.array([[0.5, 0.5], [0.7, 0.3], [0.9, 0.1], [1.0, 0.0]])

    posterior = Beta().aggregate(gaps, [20, 20], np.zeros(4, int))

    assert (np.diff(posterior.sd_N) > 0).all()
