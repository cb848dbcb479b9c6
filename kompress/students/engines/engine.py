"""What scores tokens, whatever library does the arithmetic.

T = tokens of all chunks, C = chunks
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidCheckpoint

Weights = Mapping[str, NDArray[np.float32]]


class Engine(Protocol):
    """A student's weights in the form that one library computes with.

    Attributes:
        name: its key in `kompress.students.engines.registry.ENGINES`.
    """

    @property
    def name(self) -> str:
        """Key of the registry."""
        ...

    def score_tokens(
        self, ids_T: NDArray[np.uint16], num_tokens_C: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score the tokens of chunks that do not see each other.

        Args:
            ids_T: (T,) token ids, chunk after chunk, [CLS] and [SEP] included.
            num_tokens_C: (C,) tokens of each chunk; their sum is T.

        Returns:
            (T,) p·(0.5 + 0.5·s) in [0, 1].

        Source: headroom 0.42.0's keep rule.
        """
        ...


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
