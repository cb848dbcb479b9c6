"""What scores tokens, whatever library does the arithmetic.

T = tokens of all chunks, C = chunks
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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
