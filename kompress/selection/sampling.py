"""Draw documents so that each is chosen exactly as often as its π says.

N = documents, n = chosen
"""

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidSelection
from kompress.types import FloatArray

# Cumulated probabilities become whole numbers of 2^-40: no rounding can then choose
# one document twice or lose the last one. Room for 8 million chosen documents.
_UNIT = 1 << 40
# Sums and probabilities this close to a whole number are that number.
_SUM_TOLERANCE = 1e-9
_CERTAIN = 1 - 1e-8


def systematic_sample(pi_N: FloatArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose documents by randomised-order systematic sampling.

    The documents are shuffled, laid end to end with length π, and every point u, u+1,
    u+2 … chooses the document that it falls on. Shuffling matters: with a fixed order
    most pairs could never be chosen together and no variance could be estimated.

    Args:
        pi_N: (N,) inclusion probabilities in [0, 1].
        rng: source of the order and of u.

    Returns:
        (n,) numbers of the chosen documents, ascending, each once; n = Σπ where that is
        a whole number (to 1e-9), else one of the two whole numbers beside it.

    Raises:
        InvalidSelection: a probability lies outside [0, 1] or is NaN.

    Source: Goodman & Kish 1950; Hartley & Rao 1962.
    """
    pi_N = np.asarray(pi_N, dtype=np.float64)
    if pi_N.ndim != 1 or not ((pi_N >= 0) & (pi_N <= 1)).all():
        raise InvalidSelection(
            f"probabilities of shape {pi_N.shape} are not all within [0, 1]; expected "
            "(N,) of them; take them from inclusion_probabilities"
        )
    certain_N = pi_N >= _CERTAIN
    open_n = np.flatnonzero(~certain_N)
    chosen = open_n[_choose(pi_N[open_n], rng)]
    return np.sort(np.concatenate([np.flatnonzero(certain_N), chosen])).astype(np.int64)


def _choose(pi_N: FloatArray, rng: np.random.Generator) -> NDArray[np.int64]:
    order_N = rng.permutation(pi_N.size)
    start = int(rng.integers(_UNIT))
    end_N = np.cumsum(pi_N[order_N])
    total = float(end_N[-1]) if end_N.size else 0.0
    whole = round(total)
    if whole and abs(total - whole) <= _SUM_TOLERANCE * whole:
        end_N *= whole / total
        total = whole
    end_units_N = np.rint(end_N * _UNIT).astype(np.int64)
    points_n = np.arange(start, round(total * _UNIT), _UNIT, dtype=np.int64)
    place_n = np.searchsorted(end_units_N, points_n, side="right")
    # A total that is no whole number may round its last point past the end.
    return np.asarray(order_N[place_n[place_n < pi_N.size]], dtype=np.int64)
