"""One number for a curve of survival over keep_rate."""

import numpy as np

from kompress.errors import InvalidConfig
from kompress.types import FloatArray

# R = keep_rates of the curve, B = curves
CURVE_KEEP_RATES = (0.5, 0.6, 0.7, 0.8, 0.9)

# Trapezoid over steps of 0.1, divided by the width 0.4: all binary-exact.
_WEIGHT_R = np.array([0.125, 0.25, 0.25, 0.25, 0.125])


def area_under_curve(value_BR: FloatArray) -> FloatArray:
    """Average a curve over keep_rate 0.5 to 0.9: trapezoid divided by 0.4.

    Args:
        value_BR: (…, 5) values at `CURVE_KEEP_RATES`; NaN makes its curve NaN.

    Returns:
        (…) areas, on the scale of the values.

    Raises:
        InvalidConfig: the last axis does not have five points.

    Source: design §1 "Exactly".
    """
    value_BR = np.asarray(value_BR, dtype=np.float64)
    if value_BR.shape[-1:] != _WEIGHT_R.shape:
        raise InvalidConfig(
            f"the curve has shape {value_BR.shape}; expected one value at each of "
            f"keep_rate {CURVE_KEEP_RATES}; score those rates"
        )
    # A plain sum, not a matrix product: the same bits whatever the batch.
    return np.asarray((value_BR * _WEIGHT_R).sum(axis=-1), dtype=np.float64)


def curve_statistic(sums_BK: FloatArray) -> FloatArray:
    """Give the area of columns 0..4 over column 5; NaN where column 5 is 0."""
    total_B = sums_BK[:, 5]
    safe_B = np.where(total_B == 0, 1.0, total_B)
    area_B = area_under_curve(sums_BK[:, :5] / safe_B[:, None])
    return np.where(total_B == 0, np.nan, area_B)
