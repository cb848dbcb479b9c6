import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from kompress.pairwise.calibration import (
    MIN_CANDIDATES,
    MIN_ERROR,
    MIN_SLOPE,
    QualityMap,
    fit_quality,
)


def test_without_gold_quality_is_the_chance_to_beat_the_average():
    found = fit_quality(np.zeros(3), np.ones(3))

    assert found == QualityMap(0.0, 1.0, 0)
    # sigma(0) and sigma(ln 3) = 3/4
    assert found.quality(np.array([0.0, np.log(3)])) == pytest.approx([0.5, 0.75])


def test_the_map_that_made_the_f1s_is_found():
    score_I = np.linspace(-3, 3, 400)

    found = fit_quality(score_I, expit(0.7 + 0.5 * score_I))

    # 400 of them against a prior worth a tenth of one.
    assert found.intercept == pytest.approx(0.7, abs=0.005)
    assert found.slope == pytest.approx(0.5, abs=0.005)
    assert found.num_candidates == 400


def test_judges_that_are_wrong_set_no_order_of_their_own():
    score_I = np.linspace(-3, 3, 100)

    found = fit_quality(score_I, expit(-score_I))

    assert found.slope == pytest.approx(MIN_SLOPE)
    quality_I = found.quality(score_I)
    assert (np.diff(quality_I) > 0).all()


def test_unjudged_candidates_say_nothing():
    score_I = np.concatenate([np.zeros(MIN_CANDIDATES), [np.nan] * 5])
    f1_I = np.concatenate([np.full(MIN_CANDIDATES, 0.9), np.zeros(5)])

    found = fit_quality(score_I, f1_I)

    assert found.num_candidates == MIN_CANDIDATES
    # All scores are equal: the mean F1, but for the prior around 1/2.
    assert found.quality(np.zeros(1)) == pytest.approx([0.9], abs=0.02)


def test_errors_follow_the_slope_and_have_a_floor():
    quality = QualityMap(intercept=0.0, slope=2.0)

    # 2 * 1/4 * .3 = .15; far out the map is flat.
    found = quality.error(np.array([0.0, 9.0]), np.array([0.3, 0.3]))

    assert found == pytest.approx([0.15, MIN_ERROR])


@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(0, 1)), min_size=20, max_size=40))
def test_a_better_score_is_never_a_worse_quality(pairs):
    score_I, f1_I = np.array(pairs).T

    found = fit_quality(score_I, f1_I)

    quality_I = found.quality(np.sort(score_I))
    assert (np.diff(quality_I) >= 0).all()
    assert ((quality_I >= 0) & (quality_I <= 1)).all()
