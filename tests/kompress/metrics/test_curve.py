import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.metrics.curve import CURVE_KEEP_RATES, area_under_curve, curve_statistic


@pytest.mark.parametrize(
    ("values", "area"),
    [
        ((1.0, 1.0, 1.0, 1.0, 1.0), 1.0),
        ((0.5, 0.6, 0.7, 0.8, 0.9), 0.7),  # random dropping keeps what it keeps
        ((0.0, 0.0, 0.0, 0.0, 0.8), 0.1),  # a triangle: 0.1 * 0.8 / 2 / 0.4
    ],
)
def test_the_area_is_the_trapezoid_divided_by_its_width(values, area):
    assert float(area_under_curve(np.array(values))) == pytest.approx(area, abs=1e-15)


def test_a_curve_of_other_points_is_refused():
    with pytest.raises(InvalidConfig, match="keep_rate"):
        area_under_curve(np.ones(4))


def test_counts_give_the_area_of_their_ratios_and_nan_over_nothing():
    sums_B6 = np.array([[5, 6, 7, 8, 9, 10], [0, 0, 0, 0, 0, 0]], dtype=float)

    area_B = curve_statistic(sums_B6)

    assert area_B[0] == pytest.approx(0.7)
    assert np.isnan(area_B[1])


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_the_area_equals_numpys_trapezoid(values):
    expected = np.trapezoid(values, CURVE_KEEP_RATES) / 0.4

    assert float(area_under_curve(np.array(values))) == pytest.approx(expected)
