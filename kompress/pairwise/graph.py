"""Which pairs are compared, and the graph that they span.

N = items, E = pairs that were compared
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from kompress.errors import InvalidComparisons
from kompress.types import FloatArray

IntArray = NDArray[np.int64]

# Whole numbers up to here are exact in a float64; far above it the fits overflow.
MAX_COUNT = 2.0**53
# Of so many random cycles the one with the most new pairs is taken: two cycles over
# 100 items share two pairs in the mean, and a shared pair is a comparison less.
_DRAWS = 16


@dataclass(frozen=True, slots=True)
class Edges:
    """The pairs that were compared, each once, with their (soft) counts.

    Attributes:
        num_items: N.
        first_E: (E,) the smaller item of each pair.
        second_E: (E,) the greater one.
        wins_E: (E,) comparisons that the first won.
        losses_E: (E,) that the second won.
        ties_E: (E,) undecided ones.
        component_N: (N,) number of each item's connected component, from 0.
    """

    num_items: int
    first_E: IntArray
    second_E: IntArray
    wins_E: FloatArray
    losses_E: FloatArray
    ties_E: FloatArray
    component_N: NDArray[np.int32]


def hamiltonian_pairs(
    num_items: int, num_cycles: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Lay random cycles through all items: a sparse, connected, near-regular graph.

    Args:
        num_items: at least 2.
        num_cycles: at least 1; an item gets at most twice as many partners.
        rng: decides the cycles.

    Returns:
        Distinct pairs (smaller, greater), ascending: at most num_cycles * num_items.
        Where 2 * num_cycles reaches num_items - 1 it is every pair.

    Raises:
        InvalidComparisons: fewer than two items or no cycle.

    Source: union of random Hamiltonian cycles, zELO (arXiv 2509.12541);
    taking the best of some draws: ours.
    """
    if num_items < 2 or num_cycles < 1:
        raise InvalidComparisons(
            f"found {num_items} items and {num_cycles} cycles; expected at least "
            "2 items and 1 cycle"
        )
    if 2 * num_cycles >= num_items - 1:
        return [(i, j) for i in range(num_items) for j in range(i + 1, num_items)]
    codes = _cycle(num_items, rng)
    for _ in range(num_cycles - 1):
        draws = (np.union1d(codes, _cycle(num_items, rng)) for _ in range(_DRAWS))
        codes = max(draws, key=len)
    return [divmod(code, num_items) for code in np.sort(codes).tolist()]


def read_edges(
    wins_NN: ArrayLike, ties_NN: ArrayLike | None = None, *, prior: float
) -> Edges:
    """Check count matrices and take the pairs that were compared from them.

    Args:
        wins_NN: (N, N) [i, j] is the (soft) number of comparisons i won against j.
        ties_NN: (N, N) symmetric: [i, j] and [j, i] both hold the pair's ties.
        prior: the fit's prior, at least 0.

    Returns:
        The edges; the prior is not in their counts.

    Raises:
        InvalidComparisons: a shape, a count or the prior is wrong, nothing was
            compared, or prior is 0 and the maximum likelihood is infinite: in some
            component a group of items never lost to the rest or never won.

    Source: existence of the maximum: Ford 1957.
    """
    wins_NN = _check_counts(wins_NN, "wins")
    _check_prior(prior)
    won_NN = wins_NN
    if ties_NN is not None:
        ties_NN = _check_ties(ties_NN, wins_NN.shape)
        won_NN = wins_NN + ties_NN
    size = len(won_NN)
    winner, loser = np.divmod(np.flatnonzero(won_NN > 0), size)
    if not winner.size:
        raise InvalidComparisons(
            f"found no comparison between {size} items; expected at least one"
        )
    component_N = _find_or_refuse(winner, loser, size, prior)
    first_E, second_E = np.divmod(np.flatnonzero(won_NN + won_NN.T > 0), size)
    once = first_E < second_E
    first_E, second_E = first_E[once], second_E[once]
    ties_E = np.zeros(len(first_E)) if ties_NN is None else ties_NN[first_E, second_E]
    return Edges(
        size,
        first_E,
        second_E,
        wins_NN[first_E, second_E],
        wins_NN[second_E, first_E],
        ties_E,
        component_N,
    )


def _check_prior(prior: float) -> None:
    if not 0 <= prior < np.inf:
        raise InvalidComparisons(
            f"found the prior {prior}; expected a finite number of at least 0"
        )
    if prior > MAX_COUNT:
        raise InvalidComparisons(
            f"found the prior {prior:g}; expected at most 2**53 comparisons"
        )


def find_components(
    one_E: Iterable[int] | IntArray, other_E: Iterable[int] | IntArray, num_items: int
) -> NDArray[np.int32]:
    """Number the connected components of a graph.

    Args:
        one_E: (E,) one end of each edge.
        other_E: (E,) the other.
        num_items: N.

    Returns:
        (N,) each item's component.

    Source: `scipy.sparse.csgraph.connected_components`.
    """
    return _components(np.asarray(one_E), np.asarray(other_E), num_items, "weak")


def _check_counts(counts_NN: ArrayLike, name: str) -> FloatArray:
    """Turn counts into a float matrix, or refuse them."""
    found_NN = np.asarray(counts_NN, dtype=np.float64)
    if found_NN.ndim != 2 or found_NN.shape[0] != found_NN.shape[1]:
        raise InvalidComparisons(
            f"{name} have shape {found_NN.shape}; expected a square matrix of items"
        )
    # A NaN makes both comparisons false.
    if found_NN.size and not (found_NN.min() >= 0 and found_NN.max() < np.inf):
        raise InvalidComparisons(
            f"{name} lie in [{found_NN.min()}, {found_NN.max()}]; expected finite "
            "counts of at least 0; leave failed calls out"
        )
    with np.errstate(over="ignore"):
        total = float(found_NN.sum())
    if total > MAX_COUNT:
        raise InvalidComparisons(
            f"{name} sum to {total:g}; expected at most 2**53, beyond which sums lose "
            "comparisons; divide all counts by one number"
        )
    if found_NN.diagonal().any():
        item = int(np.flatnonzero(found_NN.diagonal())[0])
        raise InvalidComparisons(
            f"{name} hold item {item} against itself; expected 0 on the diagonal"
        )
    return found_NN


def _check_ties(ties_NN: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    ties_NN = _check_counts(ties_NN, "ties")
    if ties_NN.shape != shape or not np.array_equal(ties_NN, ties_NN.T):
        raise InvalidComparisons(
            f"ties have shape {ties_NN.shape}, wins {shape}; expected one shape, and "
            "ties symmetric: each pair's ties stand at both places"
        )
    return ties_NN


def _cycle(num_items: int, rng: np.random.Generator) -> IntArray:
    order = rng.permutation(num_items)
    following = np.roll(order, 1)
    low, high = np.minimum(order, following), np.maximum(order, following)
    return np.asarray(low * num_items + high, dtype=np.int64)


def _find_or_refuse(
    winner_E: IntArray, loser_E: IntArray, num_items: int, prior: float
) -> NDArray[np.int32]:
    """Number the components; refuse counts whose likelihood has no maximum."""
    if prior > 0:
        return find_components(winner_E, loser_E, num_items)
    strong_N = _components(winner_E, loser_E, num_items, "strong")
    if not strong_N.any():
        return strong_N
    component_N = find_components(winner_E, loser_E, num_items)
    # An item whose strong component is not its whole weak one.
    whole_N = np.bincount(component_N)[component_N]
    part_N = np.bincount(strong_N)[strong_N]
    if (part_N == whole_N).all():
        return component_N
    item = int(np.flatnonzero(part_N < whole_N)[0])
    raise InvalidComparisons(
        f"without a prior item {item} or a group with it is infinitely better or "
        "worse: it never lost to the others, or never won; expected wins both ways; "
        "pass prior > 0 or compare more pairs"
    )


def _components(
    one_E: IntArray, other_E: IntArray, num_items: int, connection: str
) -> NDArray[np.int32]:
    order = np.argsort(one_E, kind="stable")
    start_N = np.searchsorted(one_E[order], np.arange(num_items + 1))
    graph_NN = csr_array(
        (np.ones(len(one_E)), other_E[order], start_N), shape=(num_items, num_items)
    )
    _, component_N = connected_components(graph_NN, connection=connection)
    return np.asarray(component_N, dtype=np.int32)
