import numpy as np
import pytest

from kompress.errors import InvalidCheckpoint
from kompress.students.engines.engine import take_weight


def test_a_weight_is_given_as_float32():
    weight = take_weight({"w": np.ones((2, 3), np.float16)}, "w", 2, 3)

    assert (weight.dtype, weight.shape) == (np.float32, (2, 3))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "have no w"),
        (np.zeros((3, 2)), r"w has shape \(3, 2\); expected \(2, 3\)"),
        (np.full((2, 3), np.inf), "NaN or infinity"),
    ],
)
def test_a_weight_that_cannot_be_used_is_named(value, message):
    weights = {} if value is None else {"w": value}

    with pytest.raises(InvalidCheckpoint, match=message):
        take_weight(weights, "w", 2, 3)
