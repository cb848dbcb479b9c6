"""Measure what each voter's votes add to what the others already say of the truth.

On gold alone: a rule is fitted to the documents of other groups with and without a
voter, and both are asked about these. What the log-loss rises by without it is what
the voter was worth.

N = words, M = voters, G = document groups, F = folds, B = bootstraps
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.learned import Learner
from kompress.aggregation.pairs import sides_of
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.statistics import expanded_percents
from kompress.aggregation.votes import as_codes, read_stratum
from kompress.decisions import LeaveOneOutValue
from kompress.ensemble.independence import MIN_GROUPS
from kompress.ensemble.information import joint_information
from kompress.errors import InvalidVotes
from kompress.metrics.bootstrap import resample_weights
from kompress.types import ABSTAIN, KEEP, UNKNOWN, CodeArray, FloatArray

NUM_FOLDS = 4
NUM_BOOTSTRAPS = 1_000
_LEAST = 1e-9  # of a probability whose logarithm is taken


@dataclass(frozen=True, slots=True, eq=False)
class GoldVotes:
    """Votes on gold words that somebody voted on.

    Attributes:
        names: M voters, in the columns' order.
        code_NM: (N, M) byte codes, 255 where a voter abstained.
        strength_NM: (N, M) samples behind each vote.
        truth_N: (N,) `KEEP` or `DROP`.
        stratum_N: (N,) codes into `STRATA`.
        group_N: (N,) document groups, 0 … G - 1.
    """

    names: tuple[str, ...]
    code_NM: CodeArray
    strength_NM: FloatArray
    truth_N: CodeArray
    stratum_N: CodeArray
    group_N: NDArray[np.intp]

    @classmethod
    def read(
        cls,
        names: Sequence[str],
        p_NM: ArrayLike,
        strength: ArrayLike,
        truth_N: ArrayLike,
        stratum_N: ArrayLike,
        group_N: ArrayLike,
    ) -> "GoldVotes":
        """Check votes, and take the words that count.

        Args:
            names: M names, in the columns' order.
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: a number, (M,) or (N, M) samples behind each vote.
            truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`; unknown words are left out.
            stratum_N: (N,) codes into `STRATA`.
            group_N: (N,) document groups, numbers or names.

        Raises:
            InvalidVotes: a shape, a probability, a stratum or a truth is wrong.

        Source: ours.
        """
        code_NM = as_codes(p_NM)
        truth_N, group_N = np.asarray(truth_N), np.asarray(group_N)
        size, num_voters = code_NM.shape
        if len(names) != num_voters or {truth_N.shape, group_N.shape} != {(size,)}:
            raise InvalidVotes(
                f"votes have shape {code_NM.shape}, truth {truth_N.shape}, groups "
                f"{group_N.shape}, and there are {len(names)} names; expected (N, M), "
                "(N,), (N,) and M"
            )
        own_N = (truth_N != UNKNOWN) & (code_NM != ABSTAIN).any(axis=1)
        strength_NM = np.broadcast_to(np.asarray(strength, np.float64), code_NM.shape)
        return cls(
            tuple(names),
            code_NM[own_N],
            strength_NM[own_N],
            truth_N[own_N].astype(np.uint8),
            read_stratum(stratum_N, size)[own_N].astype(np.uint8),
            np.unique(group_N[own_N], return_inverse=True)[1],
        )

    @property
    def num_groups(self) -> int:
        """G."""
        return int(self.group_N.max(initial=-1)) + 1

    def voted(self, m: int) -> NDArray[np.bool_]:
        """Which words a voter voted on."""
        voted_N: NDArray[np.bool_] = self.code_NM[:, m] != ABSTAIN
        return voted_N

    def loss(self, p_N: FloatArray) -> FloatArray:
        """-log2 P(truth) of each word."""
        right_N = np.where(self.truth_N == KEEP, p_N, 1 - p_N)
        bits_N: FloatArray = -np.log2(np.clip(right_N, _LEAST, 1.0))
        return bits_N


def measure_leave_one_out(
    learner: Learner,
    words: GoldVotes,
    rng: np.random.Generator,
    *,
    num_bootstraps: int = NUM_BOOTSTRAPS,
) -> tuple[LeaveOneOutValue, ...]:
    """Measure each voter by leaving it out, cross-fitted over document groups.

    A word is judged by a fit that saw no word of its group. The intervals resample
    groups of that one fit: they hold the luck of the words, not that of the refits.

    Args:
        learner: the rule.
        words: the voters' votes.
        rng: deals groups into folds and resamples them.
        num_bootstraps: how often groups are resampled.

    Returns:
        In the voters' order, those who voted on a gold word; empty with fewer than two
        groups of gold, or fewer than two voters.

    Source: ours; log-loss reduction is the mutual information that a consensus uses.
    """
    if len(words.names) < 2 or words.num_groups < 2:
        return ()
    fold_N, weight_BG = _deal(words, rng, num_bootstraps)
    everyone = list(range(len(words.names)))
    whole_N = _cross_fit(learner, words, fold_N, everyone)
    found = []
    for m in everyone:
        if words.voted(m).any():
            others = [voter for voter in everyone if voter != m]
            without_N = _cross_fit(learner, words, fold_N, others)
            found.append(_gain(words, m, whole_N, without_N, weight_BG))
    return tuple(found)


def measure_additions(
    learner: Learner,
    words: GoldVotes,
    rng: np.random.Generator,
    *,
    num_panel: int,
    num_bootstraps: int = NUM_BOOTSTRAPS,
) -> tuple[LeaveOneOutValue, ...]:
    """Measure what each of some voters would add to a panel, one at a time.

    As `measure_leave_one_out` of the panel with that one, but the panel is fitted once.

    Args:
        learner: the rule.
        words: the voters' votes, the panel's first.
        rng: deals groups into folds and resamples them.
        num_panel: how many columns are the panel's.
        num_bootstraps: how often groups are resampled.

    Returns:
        In their order, of the voters after the panel those who voted on a gold word;
        empty with fewer than two groups of gold, or without a panel.

    Source: ours; see `measure_leave_one_out`.
    """
    if not num_panel or words.num_groups < 2:
        return ()
    fold_N, weight_BG = _deal(words, rng, num_bootstraps)
    panel = list(range(num_panel))
    without_N = _cross_fit(learner, words, fold_N, panel)
    found = []
    for m in range(num_panel, len(words.names)):
        if words.voted(m).any():
            whole_N = _cross_fit(learner, words, fold_N, [*panel, m])
            found.append(_gain(words, m, whole_N, without_N, weight_BG))
    return tuple(found)


def _deal(
    words: GoldVotes, rng: np.random.Generator, num_bootstraps: int
) -> tuple[NDArray[np.intp], FloatArray]:
    """Deal groups into folds, (N,) of each word, and draw (B, G) resamples of them."""
    deal_G = rng.permutation(words.num_groups) % min(NUM_FOLDS, words.num_groups)
    weight_BG = resample_weights(
        words.num_groups,
        num_bootstraps=num_bootstraps if words.num_groups >= MIN_GROUPS else 0,
        rng=rng,
    )
    return deal_G[words.group_N], weight_BG


def _gain(
    words: GoldVotes,
    m: int,
    whole_N: FloatArray,
    without_N: FloatArray,
    weight_BG: FloatArray,
) -> LeaveOneOutValue:
    """Compare the posteriors with and without a voter."""
    voted_N = words.voted(m)
    bits_N = words.loss(without_N) - words.loss(whole_N)
    mean, low, high = _mean_of(bits_N, voted_N, words.group_N, weight_BG)
    tpr, tnr = _rates(words, m)
    bits_of_another_N = joint_information(
        whole_N, np.array([tpr]), np.array([tnr]), (1,)
    )
    another = float(bits_of_another_N.mean())
    return LeaveOneOutValue(
        words.names[m], mean, low, high, int(voted_N.sum()), tpr, tnr, another
    )


def _cross_fit(
    learner: Learner, words: GoldVotes, fold_N: NDArray[np.intp], voters: list[int]
) -> FloatArray:
    """Give P(keep) of each word by the fit to the other folds."""
    code_NM, strength_NM = words.code_NM[:, voters], words.strength_NM[:, voters]
    p_N = np.empty(len(code_NM))
    for fold in range(int(fold_N.max()) + 1):
        own_N = fold_N == fold
        patterns = count_patterns(
            code_NM[~own_N],
            strength_NM[~own_N],
            words.stratum_N[~own_N],
            words.truth_N[~own_N],
        )
        learned = learner.fit(patterns)
        posterior = learned.aggregate(
            code_NM[own_N], strength_NM[own_N], words.stratum_N[own_N]
        )
        p_N[own_N] = posterior.mean_N
    return p_N


def _mean_of(
    bits_N: FloatArray,
    voted_N: NDArray[np.bool_],
    group_N: NDArray[np.intp],
    weight_BG: FloatArray,
) -> tuple[float, float | None, float | None]:
    """Give the mean over a voter's words, and its interval over groups."""
    num_groups = weight_BG.shape[1]
    words_G = np.bincount(group_N, voted_N, num_groups)
    bits_G = np.bincount(group_N, np.where(voted_N, bits_N, 0.0), num_groups)
    mean = float(bits_G.sum() / words_G.sum())
    num_heard = int((words_G > 0).sum())
    words_B = weight_BG @ words_G
    known_B = words_B > 0
    if num_heard < MIN_GROUPS or not known_B.any():
        return mean, None, None
    mean_B = (weight_BG @ bits_G)[known_B] / words_B[known_B]
    low, high = np.percentile(mean_B, expanded_percents(num_heard))
    return mean, float(low), float(high)


def _rates(words: GoldVotes, m: int) -> tuple[float, float]:
    """Give a voter's sensitivity and specificity under Beta(1, 1)."""
    keep_N, voted_N = (side[:, 0] for side in sides_of(words.code_NM[:, m : m + 1]))
    rates = []
    for is_keep in (True, False):
        own_N = voted_N & ((words.truth_N == KEEP) == is_keep)
        right = int((keep_N[own_N] == is_keep).sum())
        rates.append((1 + right) / (2 + int(own_N.sum())))
    return rates[0], rates[1]
