"""Which candidates are compared: a sparse graph, and later what the student misorders.

I = candidates of one text, N = its words
"""

from collections.abc import Collection

import numpy as np

from kompress.pairwise.graph import hamiltonian_pairs
from kompress.types import BoolArray, FloatArray

Pair = tuple[int, int]


def plan_pairs(
    num_items: int,
    known: Collection[Pair],
    *,
    cycles: int,
    rng: np.random.Generator,
    misordered: Collection[Pair] = (),
) -> list[Pair]:
    """Lay out the pairs of one text: what was compared stays, what is missing is added.

    Args:
        num_items: I, candidates.
        known: pairs compared in earlier rounds, in any order.
        cycles: Hamiltonian cycles of a first round. Later, candidates that came since
            get min(2 * cycles, I - 1) partners each.
        rng: of the text: the same pairs wherever it is asked.
        misordered: pairs to add, as `find_misordered` gives them.

    Returns:
        Each pair once, as (smaller, greater), ascending.

    Source: the graph: `hamiltonian_pairs`; adding failed pairs and keeping the old
    ones: zELO section 5.6.
    """
    pairs = {_ordered(*pair) for pair in (*known, *misordered)}
    if not known:
        pairs |= {_ordered(*p) for p in hamiltonian_pairs(num_items, cycles, rng)}
    degree_I = np.zeros(num_items, dtype=np.int64)
    for pair in pairs:
        degree_I[list(pair)] += 1
    wanted = min(2 * cycles, num_items - 1)
    met = {item for pair in known for item in pair}
    for item in sorted(set(range(num_items)) - met) if known else ():
        # The least compared come first; chance decides between equals.
        others = np.lexsort((rng.permutation(num_items), degree_I))
        for other in others.tolist():
            if degree_I[item] >= wanted:
                break
            pair = _ordered(item, other)
            if other != item and pair not in pairs:
                pairs.add(pair)
                degree_I[[item, other]] += 1
    return sorted(pairs)


def student_preference(keep_IN: BoolArray, student_N: BoolArray) -> FloatArray:
    """Say how much a student likes each candidate: the words where it agrees.

    The log-likelihood of the mask under a student that is equally sure of all its
    words, but for scale and offset; no model has to be loaded for it.

    Args:
        keep_IN: (I, N) masks.
        student_N: (N,) the student's own.

    Returns:
        (I,) shares of equal words.

    Source: ours.
    """
    return np.asarray((keep_IN == student_N).mean(axis=1), dtype=np.float64)


def find_misordered(
    quality_I: FloatArray, preference_I: FloatArray, *, limit: int
) -> list[Pair]:
    """Find the pairs that a student orders otherwise than the judges do.

    Args:
        quality_I: (I,) by the newest fit, NaN where there is none.
        preference_I: (I,) the student's, on any scale.
        limit: at most so many, those that the student is surest of first.

    Returns:
        Pairs as (smaller, greater).

    Source: zELO section 5.6, which looks for a reranker's failed pairs; the student's
    preference: ours.
    """
    # NaN compares false both ways, so that unjudged candidates are in no pair.
    better_II = quality_I[:, None] > quality_I[None, :]
    margin_II = preference_I[None, :] - preference_I[:, None]
    first, second = np.nonzero(better_II & (margin_II > 0))
    order = np.lexsort((second, first, -margin_II[first, second]))[:limit]
    return [
        _ordered(i, j)
        for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True)
    ]


def _ordered(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)
