"""How likely a round is to label each document, and the draw that keeps to it.

N = documents, R = rounds, n = chosen
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


def inclusion_probabilities(
    residual_N: FloatArray, num_documents: int, *, uniform_share: float, gamma: float
) -> FloatArray:
    """Spread a budget of documents over a corpus, more where residuals are large.

    r is the residual (in the farm: times the influence) scaled to mean 1,
    q ∝ (1 − uniform_share)·r^γ + uniform_share; documents with n·q ≥ 1 get π = 1 and
    the rest is rescaled until Σπ = n. Where only documents with q = 0 are left and the
    budget is not spent, they share it evenly.

    Args:
        residual_N: (N,) residuals, at least 0; all zero counts as all equal.
        num_documents: n, the budget; at or above N every π is 1.
        uniform_share: u in [0, 1]; keeps every π above 0.
        gamma: γ at least 0; 0 is uniform.

    Returns:
        (N,) π in [0, 1] with Σπ = min(n, N).

    Raises:
        InvalidSelection: a residual is negative or not finite, or an argument is out
            of range.

    Source: design §9; π-proportional-to-size with certainty units, Särndal et al.
    1992, section 3.6.
    """
    residual_N = np.asarray(residual_N, dtype=np.float64)
    _check(residual_N, num_documents, uniform_share, gamma)
    if num_documents >= residual_N.size:
        return np.ones(residual_N.size)
    mean = float(residual_N.mean())
    scaled_N = residual_N / mean if mean > 0 else np.ones_like(residual_N)
    size_N = (1 - uniform_share) * scaled_N**gamma + uniform_share
    return _spread(size_N, num_documents)


def with_random_slice(pi_N: FloatArray, slice_pi: float) -> FloatArray:
    """Add an independent slice that takes every document with one probability.

    Args:
        pi_N: (N,) the round's own probabilities.
        slice_pi: probability of the slice, in [0, 1].

    Returns:
        (N,) 1 − (1 − π)(1 − π_slice).

    Raises:
        InvalidSelection: a probability lies outside [0, 1].

    Source: design §9.
    """
    pi_N = _probabilities(pi_N)
    slice_pi = float(_probabilities(np.array(slice_pi)))
    # The same as 1 − (1 − π)(1 − π_slice), without losing small π to rounding.
    return pi_N + slice_pi * (1 - pi_N)


def pooled_probability(pi_RN: FloatArray) -> FloatArray:
    """Give the chance of at least one round having chosen each document.

    Args:
        pi_RN: (R, N) probabilities by round; 0 where a document was not yet there.

    Returns:
        (N,) 1 − Π(1 − π).

    Raises:
        InvalidSelection: a probability lies outside [0, 1].

    Source: design §9.
    """
    return np.asarray(1 - np.prod(1 - _probabilities(pi_RN), axis=0))


def training_weights(
    pi_N: FloatArray,
    num_documents: float,
    max_weight: float,
    *,
    num_population: int | None = None,
) -> FloatArray:
    """Weigh documents so that training sees the corpus, not the sample.

    Args:
        pi_N: (N,) probabilities of all documents, or of the chosen ones if
            `num_population` says how many there are in all.
        num_documents: n, the expected size of the sample (Σπ over all documents).
        max_weight: weights are clipped here, against one document ruling a batch.
        num_population: N, where pi_N holds only chosen documents.

    Returns:
        (N,) n / (N·π), at most max_weight; π = 0 gets max_weight.

    Raises:
        InvalidSelection: a probability lies outside [0, 1].

    Source: design §9; Horvitz & Thompson 1952, scaled to mean 1 over the sample.
    """
    pi_N = _probabilities(pi_N)
    population = pi_N.size if num_population is None else num_population
    if population == 0:
        return np.ones_like(pi_N)
    expected = num_documents / population
    floor_N = np.maximum(pi_N, expected / max_weight)
    return np.asarray(expected / floor_N) if expected else np.zeros_like(pi_N)


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


def _spread(size_N: FloatArray, num_documents: int) -> FloatArray:
    """Make π proportional to size, cut at 1, with Σπ = num_documents < N."""
    pi_N = np.zeros(size_N.size)
    open_N = np.ones(size_N.size, dtype=np.bool_)
    while True:
        budget = num_documents - int(np.count_nonzero(~open_N))
        open_size_N = np.where(open_N, size_N, 0.0)
        total = float(open_size_N.sum())
        if total == 0:
            pi_N[open_N] = budget / np.count_nonzero(open_N)
            return pi_N
        # Multiply before dividing: equal sizes give exactly budget / count.
        full_N = open_N & (budget * open_size_N >= total)
        if budget == 0 or not full_N.any():
            pi_N[open_N] = budget * open_size_N[open_N] / total
            return pi_N
        pi_N[full_N] = 1.0
        open_N &= ~full_N


def _check(
    residual_N: FloatArray, num_documents: int, uniform_share: float, gamma: float
) -> None:
    wrong_N = ~(np.isfinite(residual_N) & (residual_N >= 0))
    if residual_N.ndim != 1 or wrong_N.any():
        raise InvalidSelection(
            f"residuals have shape {residual_N.shape} and {int(wrong_N.sum())} are "
            "negative or not finite; expected (N,) numbers at least 0; "
            "predict the missing ones first"
        )
    if num_documents < 0 or not 0 <= uniform_share <= 1 or not 0 <= gamma < np.inf:
        raise InvalidSelection(
            f"num_documents {num_documents}, uniform_share {uniform_share}, gamma "
            f"{gamma}; expected at least 0, within [0, 1] and at least 0; "
            "correct the round's selection config"
        )


def _probabilities(pi_N: FloatArray) -> FloatArray:
    pi_N = np.asarray(pi_N, dtype=np.float64)
    if not ((pi_N >= 0) & (pi_N <= 1)).all():
        raise InvalidSelection(
            f"probabilities run from {pi_N.min()} to {pi_N.max()}; expected [0, 1]; "
            "take them from inclusion_probabilities"
        )
    return pi_N


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
