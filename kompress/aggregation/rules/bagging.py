"""Bag the voters: the mean of regressions on resampled gold.

N = words, M = voters, P = patterns, C = words of one block, S = strata, B = resamples
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, pdtr, pdtrik

from kompress.aggregation.patterns import VotePatterns
from kompress.aggregation.rules.stacking import (
    MAX_SCORE,
    GoldLearner,
    LearnedByWord,
    Stacking,
    go_along,
    vote_logit,
)
from kompress.aggregation.votes import Block, Pooled, sum_voters
from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import ABSTAIN, JSON, STRATA, UNKNOWN, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LearnedBagging(LearnedByWord):
    """Weights of M voters' logits, one set a resample.

    A vote weighs the absolute value of its voter's mean weight.

    Attributes:
        num_gold_words: words that were resampled.
        intercept_BS: (B, S) log-odds of a word of each stratum before any vote.
        weight_BM: (B, M) what a voter's logit is multiplied by.
    """

    num_gold_words: int
    intercept_BS: FloatArray
    weight_BM: FloatArray

    @property
    def data(self) -> JSON:
        """Everything that was learned; `has_gold` is False where nothing could be."""
        return {
            "has_gold": self.num_gold_words > 0,
            "num_gold_words": self.num_gold_words,
            "intercept": self.intercept_BS.tolist(),
            "weight": self.weight_BM.tolist(),
        }

    @property
    def num_voters(self) -> int:
        """M."""
        return int(self.weight_BM.shape[1])

    def combine(self, block: Block) -> Pooled:
        """Average what the regressions say of one block."""
        x_MC = vote_logit(block.p_MC)  # 0 where there is no vote
        sum_C = np.zeros(x_MC.shape[1])
        square_C = np.zeros(x_MC.shape[1])
        for intercept_S, weight_M in zip(
            self.intercept_BS, self.weight_BM, strict=True
        ):
            score_C = sum_voters(weight_M[:, None] * x_MC)
            score_C += intercept_S[block.stratum_C]
            p_C = expit(np.clip(score_C, -MAX_SCORE, MAX_SCORE))
            sum_C += p_C
            square_C += p_C * p_C
        mean_C = sum_C / len(self.weight_BM)
        # Rounding may leave a variance just below 0.
        variance_C = np.maximum(square_C / len(self.weight_BM) - mean_C * mean_C, 0.0)
        votes_C = sum_voters(block.voted_MC)
        some_C = votes_C > 0
        noise_C = variance_C / (mean_C * (1 - mean_C))
        size_C = 2 + np.where(some_C, 1 / (1 / np.maximum(votes_C, 1) + noise_C), 0.0)
        mean_C = np.where(some_C, mean_C, 0.5)
        weight_M1 = np.abs(self.weight_BM.mean(axis=0))[:, None]
        return Pooled(
            size_C * mean_C, size_C * (1 - mean_C), weight_M1 * block.voted_MC
        )


@dataclass(frozen=True, slots=True)
class Bagging(GoldLearner):
    """Average `stacking` over resamples of its gold.

    Each of B resamples takes every word of gold a Poisson(1) number of times, and fits
    `Stacking` to them; the posterior mean is the mean of their P(keep), and the
    posterior is as wide as they disagree: size 2 + 1 / (1/V + Var(p) / (p(1 - p))) for
    V votes. Words are drawn, not documents: patterns of votes know none. How often a
    pattern is drawn is read off its votes, whoever cast which: the same votes give
    the same fit in any order of voters. Without gold of both classes it is `Stacking`
    without gold.

    Attributes:
        num_resamples: B, 1 to 1,000.

    Raises:
        InvalidConfig: B is no whole number in this range.

    Source: Breiman 1996, "Bagging predictors"; Poisson draws: Oza & Russell 2001; the
        size: ours.
    """

    num_resamples: int = 10
    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "unanimous"}
    )

    def __post_init__(self) -> None:
        number: object = self.num_resamples  # a config may hold anything
        if type(number) is not int or not 1 <= number <= 1_000:
            raise InvalidConfig(
                f"bagging: num_resamples is {number!r}; expected a whole number from 1 "
                "to 1000"
            )

    def fit(self, patterns: VotePatterns) -> LearnedBagging:
        """Fit one regression to each resample of the words whose truth is known.

        Args:
            patterns: raw votes; those of unknown truth only tell who votes, and how
                many votes a word has.

        Source: see the class.
        """
        known_P = patterns.truth_P != UNKNOWN
        whole = Stacking().fit(patterns)
        if not whole.num_gold_words:
            return LearnedBagging(0, whole.intercept_S[None], whole.weight_M[None])
        gold = patterns.take(known_P)
        # A voter that is better than chance on all of gold is so on every resample.
        along_M = go_along(gold)
        key_P = _name_patterns(gold)
        fits = []
        for resample in range(self.num_resamples):
            count_P = patterns.count_P.copy()
            bits_P = _mix(key_P + np.uint64(resample)) >> np.uint64(11)
            uniform_P = bits_P / 2.0**53  # below 1, where the Poisson's end is
            count_P[known_P] = _poisson_quantile(uniform_P, gold.count_P)
            drawn = replace(patterns, count_P=count_P).take(count_P > 0)
            fits.append(Stacking().fit(drawn, along_M=along_M))
        return LearnedBagging(
            whole.num_gold_words,
            np.stack([fit.intercept_S for fit in fits]),
            np.stack([fit.weight_M for fit in fits]),
        )

    def load(self, data: JSON) -> LearnedBagging:
        """Bring back what was learned, bit for bit.

        Args:
            data: a `LearnedBagging.data`.

        Raises:
            InvalidVotes: a key is missing, or the sizes disagree.
        """
        try:
            found = LearnedBagging(
                int(data["num_gold_words"]),
                np.asarray(data["intercept"], dtype=np.float64),
                np.asarray(data["weight"], dtype=np.float64),
            )
        except KeyError as error:
            raise InvalidVotes(
                f"the stored fit lacks {error}; expected a `LearnedBagging.data`; fit "
                "again"
            ) from error
        if found.intercept_BS.shape != (len(found.weight_BM), len(STRATA)):
            raise InvalidVotes(
                f"the stored bagging has intercepts of {found.intercept_BS.shape} for "
                f"weights of {found.weight_BM.shape}; expected a row a resample and a "
                f"column for each of {len(STRATA)} strata; fit again"
            )
        return found


def _poisson_quantile(
    uniform_P: FloatArray, mean_P: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(P,) the least k with P(X <= k) >= u; `scipy.stats` would look for torch."""
    k_P = np.ceil(pdtrik(uniform_P, mean_P))
    below_P = np.maximum(k_P - 1, 0)
    k_P = np.where(pdtr(below_P, mean_P) >= uniform_P, below_P, k_P)
    return np.asarray(np.maximum(k_P, 0), dtype=np.int64)


def _name_patterns(patterns: VotePatterns) -> NDArray[np.uint64]:
    """(P,) numbers that patterns of the same votes share, whoever cast which."""
    name_P = patterns.stratum_P.astype(np.uint64) << np.uint64(8)
    name_P |= patterns.truth_P.astype(np.uint64)
    for code_P in np.sort(patterns.code_PM, axis=1).T:
        mixed_P = _mix(name_P + code_P.astype(np.uint64))
        name_P = np.where(code_P == ABSTAIN, name_P, mixed_P)
    return _mix(name_P)


def _mix(x_P: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter integers over all 64 bits.

    Source: SplitMix64, Steele, Lea & Flood 2014.
    """
    x_P = x_P + np.uint64(0x9E3779B97F4A7C15)
    x_P = (x_P ^ (x_P >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x_P = (x_P ^ (x_P >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x_P ^ (x_P >> np.uint64(31)))
