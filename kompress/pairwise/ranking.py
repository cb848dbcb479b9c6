"""What a pairwise fit gives: a score of every item, and how sure it is.

N = items, J = judges
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.types import FloatArray


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores of items on the scale of the model that made them.

    Attributes:
        score_N: (N,) higher is better; each component of the graph has mean 0. An item
            that nobody compared has 0.
        se_N: (N,) standard errors of these centred scores, from the Hessian of the
            penalised likelihood; infinite for an item that nobody compared.
        num_iterations: Newton steps.
        converged: whether the last step was too small to matter.
        tie: Davidson's ν, at least 0; None in a model without ties.
        discrimination_J: (J,) how sharply each judge tells items apart, mean 1; near 0
            it guesses, below 0 it prefers the worse one.
        bias_J: (J,) score difference that standing first in the prompt is worth.
        discrimination_se_J: (J,) standard errors of the discriminations.
        bias_se_J: (J,) standard errors of the biases.
        component_N: (N,) number of each item's component: scores of two components
            were never held against each other, directly or through others.
    """

    score_N: FloatArray
    se_N: FloatArray
    num_iterations: int
    converged: bool
    tie: float | None = None
    discrimination_J: FloatArray | None = None
    bias_J: FloatArray | None = None
    discrimination_se_J: FloatArray | None = None
    bias_se_J: FloatArray | None = None
    component_N: NDArray[np.int32] | None = None
