"""Put a rule beside its best voter, with luck left out.

Whichever voter looks best on a few words is partly lucky: it is compared on other
documents than those that chose it.

By simulation the interval lies below 0 in 3 % of draws beside one voter that is just as
good as the rule, and in 6 to 8 % beside the best of 8 such, independent of it and of
each other (50 words in 8 groups to 2,000 in 60: who leads, leads on most folds at
once); in 0 where voters are near copies, or the rule pools them. So of many strata and
rules a few lie below by luck. To bound all voters at once (the largest of M deviations)
makes that 3 to 6 %, and finds a voter at .9 beside a rule at .8 on 200 words in 56 % of
draws in place of 76.

M = voters, G = document groups, F = folds
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kompress.aggregation.statistics import (
    IntArray,
    balanced_accuracies,
    expanded_percents,
    paired_interval,
)
from kompress.errors import InvalidVotes
from kompress.types import BoolArray, FloatArray

NUM_FOLDS = 10
NUM_BOOTSTRAPS = 1_000
# Groups that hold a class. Draws miss all k of them up to e^-k of the time, and of k
# groups alone the same one comes k times in k^(1 - k): 5 and 11 % of three, more than
# an interval leaves out; 1.8 and 1.6 % of four.
MIN_GROUPS = 4
# Equal counts of another order add up to other last bits.
_TIE = 1e-12

Rate = Callable[[IntArray], FloatArray]


@dataclass(frozen=True, slots=True)
class BestVoterComparison:
    """A rule beside its best voter.

    Attributes:
        best: the column of the voter that is best on all words, of equals the first.
        value: the rule's rate.
        best_value: that voter's, flattered by having been chosen on these words.
        low: lower end of the 95 % interval of the rule's rate minus the voter's, the
            voter chosen on other groups (`expanded_percents`).
        high: its upper end.
    """

    best: int
    value: float
    best_value: float
    low: float
    high: float

    @property
    def is_below(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high < 0


def compare_with_best(
    rule_G4: IntArray,
    voter_MG4: IntArray,
    rng: np.random.Generator,
    *,
    rate: Rate = balanced_accuracies,
) -> BestVoterComparison | None:
    """Put a rule beside its best voter, each fold of groups beside the others' best.

    Voters that are equally good on the others stand together, by their mean: nothing
    depends on their order.

    Args:
        rule_G4: (G, 4) counts TP, FN, FP, TN of the rule by document group.
        voter_MG4: (M, G, 4) those of each voter.
        rng: deals groups to folds, and draws bootstraps.
        rate: (…, 4) counts -> (…,) what is compared, NaN where there is none.

    Returns:
        The comparison; None where too little is known (`is_enough`) or no voter has a
        rate. Groups count for nothing that hold all of the others' words to keep, or to
        drop.

    Raises:
        InvalidVotes: the shapes do not fit together.

    Source: cross-validation against the winner's curse, Stone 1974; in this form ours.
    """
    rule_G4, voter_MG4 = _heard(np.asarray(rule_G4), np.asarray(voter_MG4))
    value_M = rate(voter_MG4.sum(axis=1))
    best = first_best(value_M)
    if best is None or not is_enough(rule_G4, rate=rate):
        return None
    own_G4, chosen_G4 = _beside_others_best(rule_G4, voter_MG4, rng, rate)
    fewest = min(_count_groups(own_G4, rate))
    if fewest < MIN_GROUPS:
        return None
    interval = paired_interval(
        own_G4[:, None],
        chosen_G4[:, None],
        rng,
        NUM_BOOTSTRAPS,
        rate=rate,
        percents=expanded_percents(fewest),
    )
    if interval is None:
        return None
    value = float(rate(rule_G4.sum(axis=0)))
    return BestVoterComparison(best, value, float(value_M[best]), *interval)


def _heard(rule_G4: IntArray, voter_MG4: IntArray) -> tuple[IntArray, IntArray]:
    """Leave out groups without a word."""
    if rule_G4.ndim != 2 or voter_MG4.shape[1:] != rule_G4.shape:
        raise InvalidVotes(
            f"the rule's counts have shape {rule_G4.shape}, the voters' "
            f"{voter_MG4.shape}; expected (G, 4) and (M, G, 4), TP FN FP TN"
        )
    heard_G = rule_G4.sum(axis=1) > 0
    return rule_G4[heard_G], voter_MG4[:, heard_G]


def is_enough(counts_G4: ArrayLike, *, rate: Rate = balanced_accuracies) -> bool:
    """Tell whether enough groups hold words of each class for a verdict.

    Args:
        counts_G4: (G, 4) counts TP, FN, FP, TN by document group.
        rate: what is compared: where it needs no words to drop, they are not asked for.

    Returns:
        Whether there are words of each class in at least `MIN_GROUPS` groups: words of
        one document are one witness.

    Source: ours.
    """
    return min(_count_groups(np.asarray(counts_G4), rate)) >= MIN_GROUPS


def first_best(value_M: FloatArray) -> int | None:
    """Find the first of the best voters; None where none has a rate.

    Source: ours.
    """
    best_M = _is_best(value_M)
    return int(best_M.argmax()) if best_M.any() else None


def _beside_others_best(
    rule_G4: IntArray, voter_MG4: IntArray, rng: np.random.Generator, rate: Rate
) -> tuple[IntArray, IntArray]:
    """Put each group beside the counts of the voters that are best on other folds.

    Both are scaled alike, so that the mean of equally good voters is whole, and exact.
    """
    num_groups = len(rule_G4)
    total_M4 = voter_MG4.sum(axis=1)
    fold_G = rng.permutation(num_groups) % min(NUM_FOLDS, num_groups)
    best_FM = np.array(
        [
            _is_best(rate(total_M4 - voter_MG4[:, fold_G == fold].sum(axis=1)))
            for fold in range(int(fold_G.max()) + 1)
        ]
    )
    # All words of a class lie in one fold: the others cannot say who is best.
    known_G: BoolArray = np.asarray(best_FM.any(axis=1))[fold_G]
    scale = math.lcm(*(n for n in best_FM.sum(axis=1).tolist() if n))
    chosen_G4 = np.zeros_like(rule_G4)
    for group in np.flatnonzero(known_G):
        best_M = best_FM[fold_G[group]]
        mean_4 = voter_MG4[best_M, group].sum(axis=0) * (scale // int(best_M.sum()))
        chosen_G4[group] = mean_4
    return rule_G4[known_G] * scale, chosen_G4[known_G]


def _is_best(value_M: FloatArray) -> BoolArray:
    """Mark the voters that none is better than; one without a rate never is."""
    known_M = ~np.isnan(value_M)
    best = value_M[known_M].max(initial=-np.inf)
    result: BoolArray = known_M & (np.where(known_M, value_M, 0.0) >= best - _TIE)
    return result


def _classes(rate: Rate) -> tuple[slice, ...]:
    """Give the cells of the classes without which there is no rate."""
    keep, drop = slice(0, 2), slice(2, 4)
    return (keep, drop) if np.isnan(rate(np.array([1, 0, 0, 0]))) else (keep,)


def _count_groups(counts_G4: IntArray, rate: Rate) -> list[int]:
    """Count the groups that hold each class."""
    return [int((counts_G4[:, c].sum(axis=1) > 0).sum()) for c in _classes(rate)]
