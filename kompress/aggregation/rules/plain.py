"""The plain rules: each pools a word's votes by a closed formula and learns nothing.

N = words, M = voters, C = words of one block
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from kompress.aggregation.votes import Block, Pooled, pool_votes, sum_voters
from kompress.errors import InvalidConfig
from kompress.types import BoolArray, FloatArray, Posterior

# The size of a Beta, alpha + beta, must be above 0. For two voters the estimate's is;
# for more nothing proves it, though 3.6 M random words of up to 20 voters had none
# below 4e-4 (two voters of 10 000 samples each, flatly opposed).
SMALLEST_SIZE = 1e-4


class PlainRule(ABC):
    """What all plain rules share: votes in, a posterior out, word by word.

    A rule says how to `combine` one block; whose weight is what, is summed up here.
    """

    __slots__ = ()

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,  # noqa: ARG002  # one shape for all
    ) -> Posterior:
        """Pool the votes, word by word.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: (M,) or (N, M) samples behind each vote; 0 is no vote.
            stratum_N: (N,) codes into `STRATA`; only sorts the weights.
            boundary_N: not looked at: words are independent.

        Returns:
            The posterior; no vote at all gives the prior.

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

        Source: see the class.
        """
        return pool_votes(p_NM, strength, stratum_N, combine=self.combine)

    @abstractmethod
    def combine(self, block: Block) -> Pooled:
        """Pool one block; each rule has its own formula."""


@dataclass(frozen=True, slots=True)
class Majority(PlainRule):
    """Keep a word if at least half of the voters that voted would; ties keep.

    A voter votes keep if its P(keep) >= 1/2. With K keeps and D drops the posterior is
    Beta(1 + K, 1 + D): sample counts, sharpness and strata change nothing.

    Source: Condorcet 1785 for the rule; the Beta(1, 1) prior is Laplace's.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "monotone", "unanimous"}
    )

    def combine(self, block: Block) -> Pooled:
        """See the class."""
        cast_MC: FloatArray = block.voted_MC.astype(float)
        keeps_C = sum_voters(block.voted_MC & (block.p_MC >= 0.5))
        return Pooled(1.0 + keeps_C, 1.0 + sum_voters(cast_MC) - keeps_C, cast_MC)


@dataclass(frozen=True, slots=True)
class KOfN(PlainRule):
    """Drop a word if at least k of the voters that voted would drop it.

    A voter drops a word if its P(keep) < 1/2. "Dropped" is thus the k-th largest of
    the voters' indicators, from which follows:

    - what is dropped at k + 1 is dropped at k; k = 1 keeps only what all would keep;
    - if the voters' drops are nested in a stratum (each drops all that the more
      careful one drops), the rule equals the k-th weakest voter there: k = 1 is the
      weakest, k = M the strongest. That is the voting paradox;
    - a word with fewer than k votes is always kept.

    With D drops among V votes the posterior is Beta(1 + V·g, 1 + V·(1 - g)), g being
    the share of keeps bent so that the rule's threshold t = k - 1/2 falls on one half:
    g = 1 - D / (2t) for D < k, else (V - D) / (2 (V - t)). So its mean is >= 1/2
    exactly where the rule keeps, and with k = (V + 1) / 2 it is `majority`'s.

    Attributes:
        k: drops needed, at least 1.

    Raises:
        InvalidConfig: k is not a whole number >= 1.

    Source: k-out-of-n systems, Barlow & Heidtmann 1984; the bent posterior is ours.
    """

    k: int = 2
    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "monotone", "unanimous"}
    )

    def __post_init__(self) -> None:
        k: object = self.k  # a config may hold anything
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise InvalidConfig(
                f"k_of_n: k is {k!r}; expected a whole number >= 1, the drops "
                "that it takes to drop a word"
            )

    def combine(self, block: Block) -> Pooled:
        """See the class."""
        cast_MC: FloatArray = block.voted_MC.astype(float)
        votes_C = sum_voters(cast_MC)
        drops_C = sum_voters(block.voted_MC & (block.p_MC < 0.5))
        threshold = self.k - 0.5
        # With fewer than k votes the second branch is never taken: any divisor does.
        beyond_C = np.maximum(votes_C - threshold, 0.5)
        share_C = np.where(
            drops_C < self.k,
            1 - drops_C / (2 * threshold),
            (votes_C - drops_C) / (2 * beyond_C),
        )
        return Pooled(1 + votes_C * share_C, 1 + votes_C * (1 - share_C), cast_MC)


@dataclass(frozen=True, slots=True)
class Uniform(PlainRule):
    """Average P(keep) over the voters that voted, whatever their strength.

    With V votes of mean μ = Σ p_m / V the posterior is Beta(1 + V μ, 1 + V (1 - μ)): V
    votes are worth V draws, as in `majority`, which it equals where every vote is 0
    or 1. It keeps a word exactly where μ >= 1/2.

    Source: the linear opinion pool with equal weights, Stone 1961; the worth of a
    draw a vote, and the prior Beta(1, 1), are ours.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "monotone", "unanimous"}
    )

    def combine(self, block: Block) -> Pooled:
        """See the class."""
        cast_MC: FloatArray = block.voted_MC.astype(float)
        keep_C = sum_voters(cast_MC * block.p_MC)
        drop_C = sum_voters(cast_MC * (1 - block.p_MC))
        return Pooled(1 + keep_C, 1 + drop_C, cast_MC)


@dataclass(frozen=True, slots=True)
class Beta(PlainRule):
    """Strength-weighted Beta pooling with a between-voter term.

    Over the V voters that voted on a word, vote p_m with strength n_m (samples, or the
    κ of a probability read from logits):

    1. pooled counts: S = Σ n_m p_m, T = Σ n_m, mean μ = (1 + S) / (2 + T);
    2. each vote alone: y_m = (1 + n_m p_m) / (2 + n_m), v_m = y_m(1 - y_m)/(n_m + 3),
       w_m = 1 / v_m;
    3. between-voter variance τ² = max(0, Q - (V - 1)) / (Σw - Σw²/Σw) with
       Q = Σ w_m (y_m - Σwy/Σw)², and 0 for fewer than two votes;
    4. design effect d = 1 + τ² Σ n_m² / (T μ(1 - μ)): the variance of the pooled share
       with the term over that without it;
    5. posterior Beta(1 + S/d, 1 + (T - S)/d).

    Without disagreement beyond chance τ² = 0 and this is the pooled counts. With it
    the n draws of one voter count as fewer, down to about one: 5-0 against 0-5 has
    τ² = .24, d = 5.8 and variance .053, where the counts claim .019. The variance is
    never below that of the pooled counts, and a word is kept exactly where the counts
    keep it: d moves the mean towards 1/2, never across.

    Source: steps 2-3 DerSimonian & Laird 1986, equations 6-8; steps 4-5 Rao & Scott
    1992 (effective sample size of clustered binary data); putting them together: ours.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside"}
    )

    def combine(self, block: Block) -> Pooled:
        """See the class."""
        n_MC = block.strength_MC
        keep_MC = n_MC * block.p_MC
        keep_C, total_C = sum_voters(keep_MC), sum_voters(n_MC)
        mean_C = (1 + keep_C) / (2 + total_C)
        y_MC = (1 + keep_MC) / (2 + n_MC)
        w_MC = (n_MC + 3) / (y_MC * (1 - y_MC)) * block.voted_MC
        tau2_C = between_variance(y_MC, w_MC, block.voted_MC)
        square_C = sum_voters(n_MC * n_MC)
        safe_C = np.where(total_C > 0, total_C, 1.0)
        effect_C = 1 + tau2_C * square_C / (safe_C * mean_C * (1 - mean_C))
        # A sum of p <= 1 may exceed the sum of its weights by one rounding.
        drop_C = np.maximum(total_C - keep_C, 0.0)
        return Pooled(1 + keep_C / effect_C, 1 + drop_C / effect_C, n_MC)


@dataclass(frozen=True, slots=True)
class InverseVariance(PlainRule):
    """Pool the votes' means, each weighed by 1 / its own Beta variance.

    A vote p of strength n is Beta(1 + n·p, 1 + n·(1 - p)) with mean y and variance
    v = y(1 - y)/(n + 3). The posterior is the Beta with mean Σ(y/v) / Σ(1/v) and
    variance 1 / Σ(1/v).

    Known faults, kept for comparison: a vote near 0 or 1 has a small variance, so
    weight follows extremity; one sample a voter weighs everybody alike; and the
    variance ignores disagreement (5-0 against 0-5 reports .0077, less than the .0192
    of the pooled counts). `beta` mends the last.

    Source: Cochran 1954, fixed-effect pooling, on Beta posteriors; the moment match is
    ours.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "unanimous"}
    )

    def combine(self, block: Block) -> Pooled:
        """See the class."""
        n_MC = block.strength_MC
        y_MC = (1 + n_MC * block.p_MC) / (n_MC + 2)
        weight_MC = np.where(block.voted_MC, (n_MC + 3) / (y_MC * (1 - y_MC)), 0.0)
        total_C = sum_voters(weight_MC)
        some_C = total_C > 0
        safe_C = np.where(some_C, total_C, 1.0)
        mean_C = np.where(some_C, sum_voters(weight_MC * y_MC) / safe_C, 0.5)
        # y(1 - y) is concave, so the size is > 0 for any votes; the prior's size is 2.
        size_C = np.where(some_C, mean_C * (1 - mean_C) * safe_C - 1, 2.0)
        return Pooled(size_C * mean_C, size_C * (1 - mean_C), weight_MC)


@dataclass(frozen=True, slots=True)
class RandomEffects(PlainRule):
    """Pool the votes' means by the inverse of their own and the voters' variance.

    A vote p of strength n is Beta(1 + n·p, 1 + n·(1 - p)) with mean y and variance
    v = y(1 - y)/(n + 3). With τ² between voters (`between_variance`) it weighs
    w = 1 / (v + τ²). The posterior is the Beta with mean Σwy / Σw and variance 1 / Σw.

    It is `inverse_variance` where votes differ by no more than chance. Where they do
    not agree, weights even out and the variance says so: 5-0 against 0-5 has τ² = .24
    and variance .128 beside `inverse_variance`'s .0077. It keeps that rule's faults
    where τ² = 0: weight follows extremity, and few votes hide a small τ².

    Source: DerSimonian & Laird 1986, equations 6-8, on Beta posteriors; the moment
    match is ours.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside"}
    )

    def combine(self, block: Block) -> Pooled:
        """See the class."""
        n_MC = block.strength_MC
        y_MC = (1 + n_MC * block.p_MC) / (n_MC + 2)
        v_MC = y_MC * (1 - y_MC) / (n_MC + 3)
        alone_MC = np.where(block.voted_MC, 1 / v_MC, 0.0)
        tau2_C = between_variance(y_MC, alone_MC, block.voted_MC)
        weight_MC = np.where(block.voted_MC, 1 / (v_MC + tau2_C), 0.0)
        total_C = sum_voters(weight_MC)
        some_C = total_C > 0
        safe_C = np.where(some_C, total_C, 1.0)
        mean_C = np.where(some_C, sum_voters(weight_MC * y_MC) / safe_C, 0.5)
        # The prior's size is 2.
        size_C = np.where(some_C, mean_C * (1 - mean_C) * safe_C - 1, 2.0)
        size_C = np.maximum(size_C, SMALLEST_SIZE)
        return Pooled(size_C * mean_C, size_C * (1 - mean_C), weight_MC)


def between_variance(
    y_MC: FloatArray, w_MC: FloatArray, voted_MC: BoolArray
) -> FloatArray:
    """Estimate τ², the variance between voters, word by word.

    With V votes of means y and weights w = 1 / variance, Q = Σ w (y - Σwy/Σw)² has
    expectation V - 1 where all mean the same; what is above that is theirs:
    τ² = max(0, Q - (V - 1)) / (Σw - Σw²/Σw).

    Args:
        y_MC: (M, C) means of the votes.
        w_MC: (M, C) inverse variances; 0 where there is no vote.
        voted_MC: (M, C) whether there is a vote.

    Returns:
        (C,) τ² >= 0; 0 for fewer than two votes.

    Source: DerSimonian & Laird 1986, equation 8.
    """
    votes_C = sum_voters(voted_MC)
    w_C = sum_voters(w_MC)
    safe_C = np.where(votes_C > 0, w_C, 1.0)
    centre_C = sum_voters(w_MC * y_MC) / safe_C
    gap_MC = y_MC - centre_C
    q_C = sum_voters(w_MC * gap_MC * gap_MC)
    spread_C = w_C - sum_voters(w_MC * w_MC) / safe_C
    excess_C = np.maximum(q_C - (votes_C - 1), 0.0)
    several_C = (votes_C > 1) & (spread_C > 0)
    divisor_C = np.where(several_C, spread_C, 1.0)
    return np.where(several_C, excess_C / divisor_C, 0.0)
