"""Take weights out of a state dict, checked: what a graph is written from."""

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidCheckpoint
from kompress.students.engines.engine import Weights


def take_weight(weights: Weights, key: str, *shape: int) -> NDArray[np.float32]:
    """Give one weight.

    Args:
        weights: float32 arrays under the deployed client's state-dict keys.
        key: which.
        shape: what the config asks for.

    Raises:
        InvalidCheckpoint: missing, of another shape, or not finite.
    """
    if key not in weights:
        raise InvalidCheckpoint(
            f"the weights have no {key}; expected a student's whole state dict; "
            "export the student again"
        )
    value = np.asarray(weights[key], dtype=np.float32)
    if value.shape != shape:
        raise InvalidCheckpoint(
            f"{key} has shape {value.shape}; expected {shape}; the config belongs to "
            "another student"
        )
    if not np.isfinite(value).all():
        raise InvalidCheckpoint(
            f"{key} holds NaN or infinity; expected finite weights; take an earlier "
            "checkpoint"
        )
    return value
