"""Judgments as evidence: soft votes {first, second, tie} become counts and Betas.

E = judgments, N = items
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from kompress.errors import InvalidComparisons
from kompress.pairwise.graph import IntArray
from kompress.types import FloatArray

# Of a judgment's three probabilities: stored in half precision they may miss 1 by this.
_SUM_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True)
class Judgments:
    """Judgments as they come in, unchecked.

    Attributes:
        first_E: (E,) the item that stood first in the prompt, 0..N-1.
        second_E: (E,) the other item.
        p_first_E: (E,) P(first is better); three NaN or three zeros are a failed call.
        p_second_E: (E,) P(second is better).
        p_tie_E: (E,) P(neither); the three sum to 1.
        strength_E: (E,) samples behind each judgment, at least 0; 1 by default.
    """

    first_E: ArrayLike
    second_E: ArrayLike
    p_first_E: ArrayLike
    p_second_E: ArrayLike
    p_tie_E: ArrayLike
    strength_E: ArrayLike | None = None


@dataclass(frozen=True, slots=True)
class Votes:
    """Judgments that did not fail, as weights of their three outcomes.

    Attributes:
        first_E: (E,) the item that stood first in the prompt.
        second_E: (E,) the other.
        win_E: (E,) weight for the first: strength times certainty times probability.
        loss_E: (E,) weight for the second, likewise.
        tie_E: (E,) weight of a tie: strength times probability.
        place_E: (E,) where each stood among the judgments that came in.
    """

    first_E: IntArray
    second_E: IntArray
    win_E: FloatArray
    loss_E: FloatArray
    tie_E: FloatArray
    place_E: IntArray


@dataclass(frozen=True, slots=True)
class PairwiseCounts:
    """What all judgments of a set of items say together.

    Attributes:
        wins_NN: (N, N) [i, j] is the soft number of votes for i against j.
        ties_NN: (N, N) symmetric, soft numbers of ties.
    """

    wins_NN: FloatArray
    ties_NN: FloatArray

    @property
    def alpha_NN(self) -> FloatArray:
        """(N, N) pseudo-counts of "i is better than j": 1 + wins + half the ties."""
        return 1 + self.wins_NN + 0.5 * self.ties_NN

    @property
    def beta_NN(self) -> FloatArray:
        """(N, N) pseudo-counts of "j is better than i"."""
        return self.alpha_NN.T

    @property
    def mean_NN(self) -> FloatArray:
        """(N, N) posterior mean of P(i is better than j); 1/2 without votes."""
        return self.alpha_NN / (self.alpha_NN + self.beta_NN)

    @property
    def sd_NN(self) -> FloatArray:
        """(N, N) posterior standard deviation of it; √(1/12) without votes."""
        total_NN = self.alpha_NN + self.beta_NN
        return np.sqrt(self.mean_NN * (1 - self.mean_NN) / (total_NN + 1))


def count_votes(judgments: Judgments, *, num_items: int) -> PairwiseCounts:
    """Pool judgments into counts; the order in the prompt is forgotten.

    An answer (a, b, t) of strength n adds n c a and n c b, where c is its certainty
    (`weigh_certainty`), and n t / 2 to both sides of the Beta; a failed call adds
    nothing.

    Args:
        judgments: of any number of judges.
        num_items: N.

    Returns:
        The counts and their Beta posteriors under Beta(1, 1).

    Raises:
        InvalidComparisons: a shape, an item, a probability or a strength is wrong.

    Source: docs/references.md, "A vote and its posterior"; ours.
    """
    votes = read_votes(judgments, num_items=num_items)
    cell_E = votes.first_E * num_items + votes.second_E

    def pool(weight_E: FloatArray) -> FloatArray:
        flat = np.bincount(cell_E, weight_E, num_items * num_items)
        return np.asarray(flat.reshape(num_items, num_items), dtype=np.float64)

    ties_NN = pool(votes.tie_E)
    return PairwiseCounts(pool(votes.win_E) + pool(votes.loss_E).T, ties_NN + ties_NN.T)


def read_votes(judgments: Judgments, *, num_items: int) -> Votes:
    """Check judgments and leave the failed ones out.

    Args:
        judgments: of any number of judges.
        num_items: N.

    Returns:
        The judgments of positive strength that did not fail.

    Raises:
        InvalidComparisons: see `count_votes`.
    """
    p = (judgments.p_first_E, judgments.p_second_E, judgments.p_tie_E)
    first, second = np.asarray(judgments.first_E), np.asarray(judgments.second_E)
    columns = [np.asarray(each, np.float64) for each in p]
    strength = np.asarray(
        np.ones(first.shape) if judgments.strength_E is None else judgments.strength_E
    )
    shapes = [array.shape for array in (first, second, *columns, strength)]
    if len(set(shapes)) > 1 or first.ndim != 1:
        raise InvalidComparisons(f"judgments have shapes {shapes}; expected one (E,)")
    _check_items(first, second, num_items)
    p_3E = np.stack(columns)
    failed_E = np.isnan(p_3E).all(axis=0) | (p_3E == 0).all(axis=0)
    _check_probabilities(p_3E[:, ~failed_E], strength)
    used_E = np.flatnonzero(~failed_E & (strength > 0))
    win_E, loss_E, tie_E = p_3E[:, used_E] * strength[used_E]
    certainty_E = weigh_certainty(win_E, loss_E)
    win_E, loss_E = certainty_E * win_E, certainty_E * loss_E
    first_E, second_E = first[used_E].astype(np.int64), second[used_E].astype(np.int64)
    return Votes(first_E, second_E, win_E, loss_E, tie_E, used_E)


def weigh_certainty(win_E: FloatArray, loss_E: FloatArray) -> FloatArray:
    """Say how much answers tell about who is better, whatever they say of a tie.

    1 - H₂(win / (win + loss)) in bits: 1 for an answer that names one side, 0 for one
    that gives both the same. A judge that has no opinion answers ½ : ½; counted in
    full, sixteen such answers would pull what four sharp ones found from 1.02 to .23,
    and make it look surer.

    Args:
        win_E: (E,) weights for the first, at least 0.
        loss_E: (E,) weights for the second.

    Returns:
        (E,) in [0, 1]; 0 where both weights are 0.

    Source: ours; H₂ is the entropy of a coin.
    """
    whole_E = win_E + loss_E
    share_E = np.divide(
        win_E, whole_E, out=np.full_like(whole_E, 0.5), where=whole_E > 0
    )
    bits_E = (entr(share_E) + entr(1 - share_E)) / np.log(2)
    return np.asarray(np.clip(1 - bits_E, 0, 1))


def _check_items(first_E: NDArray[Any], second_E: NDArray[Any], num_items: int) -> None:
    items = np.concatenate([first_E, second_E])
    if items.size and not np.issubdtype(items.dtype, np.integer):
        raise InvalidComparisons(f"items are {items.dtype}; expected integers")
    if items.size and not (items.min() >= 0 and items.max() < num_items):
        raise InvalidComparisons(
            f"items lie in {items.min()}..{items.max()}; expected 0..{num_items - 1}"
        )
    same_E = first_E == second_E
    if same_E.any():
        raise InvalidComparisons(
            f"item {first_E[same_E][0]} is held against itself; expected two items a "
            "judgment"
        )


def _check_probabilities(p_3E: FloatArray, strength_E: FloatArray) -> None:
    # A NaN makes every comparison false.
    whole_E = p_3E.sum(axis=0)
    good_E = (p_3E >= 0).all(axis=0) & (np.abs(whole_E - 1) <= _SUM_TOLERANCE)
    if not good_E.all():
        bad = p_3E[:, ~good_E][:, 0].tolist()
        raise InvalidComparisons(
            f"a judgment's probabilities are {bad}; expected three of at least 0 that "
            "sum to 1, or three NaN for a failed call"
        )
    strong_E = (strength_E >= 0) & (strength_E < np.inf)
    if not strong_E.all():
        raise InvalidComparisons(
            f"a strength is {strength_E[~strong_E][0]}; expected finite numbers of at "
            "least 0"
        )
