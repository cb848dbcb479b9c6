"""The Pareto frontier: what keeps less cannot be had without losing quality.

N = operating points
"""

import numpy as np
from numpy.typing import ArrayLike

from kompress.errors import InvalidSelection
from kompress.types import BoolArray


def pareto_frontier(keep_rate_N: ArrayLike, quality_N: ArrayLike) -> BoolArray:
    """Mark the points that no other point beats.

    A point is beaten by one that keeps no more at no less quality, and is better in one
    of the two. Equal points are on the frontier together.

    Args:
        keep_rate_N: (N,) kept words / all words; less is better.
        quality_N: (N,) any quality; more is better.

    Returns:
        (N,) True on the frontier.

    Raises:
        InvalidSelection: the shapes differ or a number is not finite.

    Source: Pareto 1906.
    """
    rate_N = np.asarray(keep_rate_N, dtype=np.float64)
    value_N = np.asarray(quality_N, dtype=np.float64)
    finite = bool(np.isfinite(rate_N).all() and np.isfinite(value_N).all())
    if rate_N.ndim != 1 or rate_N.shape != value_N.shape or not finite:
        raise InvalidSelection(
            f"keep_rates have shape {rate_N.shape}, qualities {value_N.shape}, "
            f"all finite: {finite}; expected (N,) finite numbers each; leave out "
            "points that were not measured"
        )
    on_N = np.zeros(rate_N.size, dtype=np.bool_)
    best, best_rate = -np.inf, -np.inf
    # From the least kept, of equal ones from the best: a point must beat what is left.
    for n in np.lexsort((-value_N, rate_N)).tolist():
        if value_N[n] > best:
            best, best_rate = value_N[n], rate_N[n]
            on_N[n] = True
        elif value_N[n] == best and rate_N[n] == best_rate:
            on_N[n] = True
    return on_N
