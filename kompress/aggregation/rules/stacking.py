"""Stack the voters: logistic regression of gold on what they say.

N = words, M = voters, P = patterns, C = words of one block, S = strata,
K = S + M coefficients (an intercept a stratum, a weight a voter)
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag, cho_factor, cho_solve, cholesky
from scipy.optimize import lsq_linear
from scipy.special import expit

from kompress.aggregation.patterns import VotePatterns, count_patterns
from kompress.aggregation.votes import (
    Block,
    Pooled,
    check_num_voters,
    pool_votes,
    sum_voters,
)
from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import (
    ABSTAIN,
    JSON,
    KEEP,
    NUM_CODES,
    STRATA,
    UNKNOWN,
    BoolArray,
    FloatArray,
    Posterior,
    decode_votes,
)

# What all strata and all voters share has wide priors: 20 gold words overrule them. An
# intercept of 2 stands for .88 of all words to keep; a common weight of 1 for voters
# that are each to be taken at their word.
COMMON_INTERCEPT_SD = 2.0
COMMON_WEIGHT_SD = 1.0
# The largest logit of a byte; a float of 0 or 1 says no more than that.
MAX_LOGIT = math.log(2 * NUM_CODES - 1)
# Between sigma(30) = 1 - 9e-14 and 1 a float64 still has room; at 37 it has none.
MAX_SCORE = 30.0
_MAX_STEPS = 100
_MAX_HALVINGS = 20
# Newton's steps square: after one of 1e-7 nothing is left to gain.
_LAST_STEP = 1e-7


class LearnedByWord(ABC):
    """What a `GoldLearner` learned: it pools block by block, by `combine`."""

    __slots__ = ()

    @property
    @abstractmethod
    def num_voters(self) -> int:
        """M."""

    @abstractmethod
    def combine(self, block: Block) -> Pooled:
        """Pool one block of words; no vote at all gives Beta(1, 1)."""

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,  # noqa: ARG002  # one shape for all
    ) -> Posterior:
        """Pool the words by what was learned.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: (M,) or (N, M) samples; only tells 0 (no vote) from the rest.
            stratum_N: (N,) codes into `STRATA`.
            boundary_N: not looked at: words are independent.

        Returns:
            The posterior; no vote at all gives Beta(1, 1).

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong, or
                the voters are not as many as were fitted.
        """
        votes_NM = check_num_voters(p_NM, self.num_voters)
        return pool_votes(votes_NM, strength, stratum_N, combine=self.combine)


class GoldLearner(ABC):
    """A `Learner` that learns from gold alone, word by word."""

    __slots__ = ()

    @abstractmethod
    def fit(self, patterns: VotePatterns) -> LearnedByWord:
        """Learn from the patterns whose truth is known."""

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,  # noqa: ARG002  # one shape for all
    ) -> Posterior:
        """Pool with equal weights: without gold there is nothing else to learn.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: (M,) or (N, M) samples; only tells 0 (no vote) from the rest.
            stratum_N: (N,) codes into `STRATA`; only sorts the weights.
            boundary_N: not looked at: words are independent.

        Returns:
            The posterior; no vote at all gives Beta(1, 1).

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.
        """
        patterns = count_patterns(p_NM, strength, stratum_N)
        return self.fit(patterns).aggregate(p_NM, strength, stratum_N)


@dataclass(frozen=True, slots=True, eq=False)
class LearnedStacking(LearnedByWord):
    """Weights of M voters' logits, and how well they are known.

    A vote weighs the absolute value of its voter's weight.

    Attributes:
        num_gold_words: words that the weights were fitted to.
        intercept_S: (S,) log-odds of a word of each stratum before any vote.
        weight_M: (M,) what a voter's logit is multiplied by.
        covariance_KK: (S + M, S + M) of intercepts, then weights, by Laplace.
        num_set_aside: words of gold that taught nothing: all of one class.
    """

    num_gold_words: int
    intercept_S: FloatArray
    weight_M: FloatArray
    covariance_KK: FloatArray
    num_set_aside: int = 0

    @property
    def data(self) -> JSON:
        """Everything that was learned; `has_gold` is False where nothing could be."""
        return {
            "has_gold": self.num_gold_words > 0,
            "num_gold_words": self.num_gold_words,
            "num_gold_words_set_aside": self.num_set_aside,
            "intercept": self.intercept_S.tolist(),
            "weight": self.weight_M.tolist(),
            "covariance": self.covariance_KK.tolist(),
        }

    @property
    def num_voters(self) -> int:
        """M."""
        return int(self.weight_M.size)

    def combine(self, block: Block) -> Pooled:
        """Score one block by the weights."""
        x_MC = vote_logit(block.p_MC)  # 0 where there is no vote
        stratum_C = block.stratum_C
        score_C = self.intercept_S[stratum_C] + sum_voters(
            self.weight_M[:, None] * x_MC
        )
        mean_C = expit(np.clip(score_C, -MAX_SCORE, MAX_SCORE))
        votes_C = sum_voters(block.voted_MC)
        some_C = votes_C > 0
        noise_C = mean_C * (1 - mean_C) * self._variance(x_MC, stratum_C)
        draws_C = 1 / (1 / np.where(some_C, votes_C, 1.0) + noise_C)
        size_C = np.where(some_C, 2 + draws_C, 2.0)
        mean_C = np.where(some_C, mean_C, 0.5)
        weight_MC = np.abs(self.weight_M)[:, None] * block.voted_MC
        return Pooled(size_C * mean_C, size_C * (1 - mean_C), weight_MC)

    def _variance(self, x_MC: FloatArray, stratum_C: NDArray[np.intp]) -> FloatArray:
        """(C,) variance of each word's score, summed in one order in any block."""
        num_strata = self.intercept_S.size
        own_S = np.diag(self.covariance_KK)[:num_strata]
        variance_C: FloatArray = own_S[stratum_C]
        for m, x_C in enumerate(x_MC):
            row_K = self.covariance_KK[num_strata + m]
            inner_C = 2 * row_K[:num_strata][stratum_C] + row_K[num_strata + m] * x_C
            for other in range(m):
                inner_C += 2 * row_K[num_strata + other] * x_MC[other]
            variance_C = variance_C + x_C * inner_C
        # A variance of nearly 0 may be rounded below it.
        return np.maximum(variance_C, 0.0)


@dataclass(frozen=True, slots=True)
class Stacking(GoldLearner):
    """Weigh voters' logits as gold says, shrunk towards equal weights.

    A word of stratum s has the score b_s + Σ w_m logit(p_m) over its V votes, an
    abstention adding 0 and a byte's logit being 6.2 at most; σ(score) is P(keep). The
    coefficients maximise the likelihood of gold under normal priors:

    - b_s = b + e_s, b of mean 0 and standard deviation 2, e_s of `stratum_sd`: a
      stratum with little gold takes the intercept of all;
    - w_m = w + d_m, d_m of `weight_sd`, w of standard deviation 1 around 1 / (mean
      votes on a word): a little gold settles the common weight, much each voter's own;
    - w_m >= 0 for every voter whose logits go with the truth of gold within strata, as
      any better-than-chance voter's do: no such vote ever speaks against itself. A
      voter that goes against the truth may have a weight below 0.

    Without gold of both classes, to keep and to drop, there is nothing to regress on:
    the weights are equal, so the score is about the mean logit; `data` says so with
    `has_gold` False, and how many words of gold were set aside.

    The posterior has mean σ(score) and size 2 + 1 / (1/V + σ(1 - σ) Var(score)), with
    the variance of the score by the inverse Hessian (Laplace). 1 / (σ(1 - σ) Var) draws
    would know as much, so votes count as V draws at most, and as fewer where the
    weights are not known. Words of one panel share errors of the weights: the size is a
    word's own.

    Strengths only tell 0 (no vote) from the rest: what a vote is worth is fitted.

    Attributes:
        weight_sd: of a voter's own weight around the common one, > 0.
        stratum_sd: of a stratum's own intercept around the common one, > 0.

    Raises:
        InvalidConfig: a standard deviation is not a finite number above 0.

    Source: Wolpert 1992 (stacking); Breiman 1996, "Stacked regressions", section 3, for
        weights that are not negative; the shrinkage and the size are ours.
    """

    weight_sd: float = 0.5
    stratum_sd: float = 1.0
    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "unanimous"}
    )

    def __post_init__(self) -> None:
        for name in ("weight_sd", "stratum_sd"):
            value: object = getattr(self, name)  # a config may hold anything
            known = isinstance(value, int | float) and not isinstance(value, bool)
            if not known or not 0 < float(str(value)) < math.inf:
                raise InvalidConfig(
                    f"stacking: {name} is {value!r}; expected a finite number above 0"
                )

    def fit(
        self, patterns: VotePatterns, *, along_M: BoolArray | None = None
    ) -> LearnedStacking:
        """Fit the weights to the patterns whose truth is known.

        Args:
            patterns: raw votes; those of unknown truth only tell who votes, and how
                many votes a word has.
            along_M: (M,) whose weights may not fall below 0; None: those that go with
                the truth of this gold (`go_along`).

        Returns:
            The weights. A voter that never voted has the equal weight and its prior's
            variance.

        Source: see the class; a Newton step with bounds is a least-squares problem,
            solved by `scipy.optimize.lsq_linear`.
        """
        voted_PM = patterns.code_PM != ABSTAIN
        heard_M = voted_PM.any(axis=0)
        num_votes = int(patterns.votes_M.sum())
        equal = patterns.num_words / num_votes if num_votes else 1.0
        num_strata, num_heard = len(STRATA), int(heard_M.sum())
        start_K = np.append(np.zeros(num_strata), np.full(num_heard, equal))
        precision_KK = block_diag(
            _shrinkage(num_strata, COMMON_INTERCEPT_SD, self.stratum_sd),
            _shrinkage(num_heard, COMMON_WEIGHT_SD, self.weight_sd),
        )
        known_P = patterns.truth_P != UNKNOWN
        has_both = np.unique(patterns.truth_P[known_P]).size > 1
        gold = patterns.take(known_P & has_both)
        laid = _Gold.of(gold)
        along_M = laid.along_M if along_M is None else along_M
        lower_M = np.where(along_M[heard_M], 0.0, -np.inf)
        problem = _Problem.of(laid, heard_M, start_K, precision_KK, lower_M)
        coefficient_K = problem.solve() if gold.num_words else start_K
        hessian = cho_factor(problem.hessian(coefficient_K))
        covariance_KK = cho_solve(hessian, np.eye(start_K.size))
        # Those who never voted are left out of the algebra, so that their presence
        # changes no bit of the others'.
        place_K = np.append(np.ones(num_strata, dtype=np.bool_), heard_M)
        full_KK = np.eye(place_K.size) * (COMMON_WEIGHT_SD**2 + self.weight_sd**2)
        full_KK[np.ix_(place_K, place_K)] = (covariance_KK + covariance_KK.T) / 2
        weight_M = np.full(heard_M.size, equal)
        weight_M[heard_M] = coefficient_K[num_strata:]
        num_aside = int(patterns.count_P[known_P].sum()) - gold.num_words
        intercept_S = coefficient_K[:num_strata]
        return LearnedStacking(
            gold.num_words, intercept_S, weight_M, full_KK, num_aside
        )

    def load(self, data: JSON) -> LearnedStacking:
        """Bring back what was learned, bit for bit.

        Args:
            data: a `LearnedStacking.data`.

        Raises:
            InvalidVotes: a key is missing, or the sizes disagree.

        Source: ours.
        """
        try:
            found = LearnedStacking(
                int(data["num_gold_words"]),
                np.asarray(data["intercept"], dtype=np.float64),
                np.asarray(data["weight"], dtype=np.float64),
                np.asarray(data["covariance"], dtype=np.float64),
                int(data["num_gold_words_set_aside"]),
            )
        except KeyError as error:
            raise InvalidVotes(
                f"the stored fit lacks {error}; expected a `LearnedStacking.data`; fit "
                "again"
            ) from error
        size = len(STRATA) + found.weight_M.size
        if found.covariance_KK.shape != (size, size):
            raise InvalidVotes(
                f"the stored stacking has a covariance of {found.covariance_KK.shape}; "
                f"expected {(size, size)}, strata and voters; fit again"
            )
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Gold:
    """The patterns of known truth, as numbers."""

    stratum_PS: FloatArray
    x_PM: FloatArray  # logits, 0 where there is no vote
    voted_PM: BoolArray
    keep_P: FloatArray
    total_P: FloatArray

    @classmethod
    def of(cls, gold: VotePatterns) -> "_Gold":
        p_PM = decode_votes(gold.code_PM)
        total_P = gold.count_P.astype(np.float64)
        return cls(
            (gold.stratum_P[:, None] == np.arange(len(STRATA))).astype(float),
            vote_logit(np.where(np.isnan(p_PM), 0.5, p_PM)),
            ~np.isnan(p_PM),
            np.where(gold.truth_P == KEEP, total_P, 0.0),
            total_P,
        )

    @property
    def along_M(self) -> BoolArray:
        """(M,) whether n · cov(logit, truth), summed over strata, is at least 0."""
        votes_SM = self.stratum_PS.T @ (self.total_P[:, None] * self.voted_PM)
        keeps_SM = self.stratum_PS.T @ (self.keep_P[:, None] * self.voted_PM)
        x_SM = self.stratum_PS.T @ (self.total_P[:, None] * self.x_PM)
        both_SM = self.stratum_PS.T @ (self.keep_P[:, None] * self.x_PM)
        chance_SM = x_SM * keeps_SM / np.maximum(votes_SM, 1)
        return np.asarray((both_SM - chance_SM).sum(axis=0) >= 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """A logistic regression under a normal prior, with lower bounds."""

    x_PK: FloatArray
    keep_P: FloatArray
    total_P: FloatArray
    start_K: FloatArray
    precision_KK: FloatArray
    lower_K: FloatArray

    @classmethod
    def of(
        cls,
        gold: "_Gold",
        heard_M: BoolArray,
        start_K: FloatArray,
        precision_KK: FloatArray,
        lower_M: FloatArray,
    ) -> "_Problem":
        """Take the voters that were heard."""
        return cls(
            x_PK=np.hstack([gold.stratum_PS, gold.x_PM[:, heard_M]]),
            keep_P=gold.keep_P,
            total_P=gold.total_P,
            start_K=start_K,
            precision_KK=precision_KK,
            lower_K=np.append(np.full(len(STRATA), -np.inf), lower_M),
        )

    def loss(self, at_K: FloatArray) -> float:
        """-log posterior, without its constant."""
        score_P = self.x_PK @ at_K
        off_K = at_K - self.start_K
        told = self.total_P @ np.logaddexp(0, score_P) - self.keep_P @ score_P
        return float(told + off_K @ self.precision_KK @ off_K / 2)

    def gradient(self, at_K: FloatArray) -> FloatArray:
        """(K,) of the loss."""
        wrong_P = self.total_P * expit(self.x_PK @ at_K) - self.keep_P
        slope_K: FloatArray = self.x_PK.T @ wrong_P
        return slope_K + self.precision_KK @ (at_K - self.start_K)

    def hessian(self, at_K: FloatArray) -> FloatArray:
        """(K, K) of the loss; positive definite, since the prior's is."""
        p_P = expit(self.x_PK @ at_K)
        bend_P1 = (self.total_P * p_P * (1 - p_P))[:, None]
        told_KK: FloatArray = self.x_PK.T @ (bend_P1 * self.x_PK)
        return told_KK + self.precision_KK

    def solve(self) -> FloatArray:
        """Find the only minimum of the loss within the bounds."""
        at_K = self.start_K
        for _ in range(_MAX_STEPS):
            step_K = self._step(at_K)
            loss, share = self.loss(at_K), 1.0
            for _ in range(_MAX_HALVINGS):
                if self.loss(at_K + share * step_K) <= loss:
                    break
                share /= 2
            at_K = np.maximum(at_K + share * step_K, self.lower_K)
            if np.abs(step_K).max() < _LAST_STEP:
                break
        return at_K

    def _step(self, at_K: FloatArray) -> FloatArray:
        """Go to the minimum of the local parabola within the bounds."""
        root_KK = cholesky(self.hessian(at_K))  # upper: root.T @ root
        gradient_K = self.gradient(at_K)
        free_K: FloatArray = np.linalg.solve(root_KK.T, gradient_K)
        target_K = root_KK @ at_K - free_K
        bounds = (self.lower_K, np.full(at_K.size, np.inf))
        found: Any = lsq_linear(root_KK, target_K, bounds, method="bvls", tol=1e-14)
        step_K: FloatArray = found.x - at_K
        return step_K


def vote_logit(p: FloatArray) -> FloatArray:
    """Give the log-odds of votes, of any shape; none beyond a byte's, 6.2."""
    lowest = 1 / (2 * NUM_CODES)
    inside = np.clip(p, lowest, 1 - lowest)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def go_along(gold: VotePatterns) -> BoolArray:
    """Say whose votes go with the truth of gold within strata, or say nothing.

    Args:
        gold: patterns of known truth.

    Returns:
        (M,) False for a voter whose logits fall where the truth is to keep.
    """
    return _Gold.of(gold).along_M


def _shrinkage(size: int, common_sd: float, own_sd: float) -> FloatArray:
    """Give the precision of coefficients that share a mean of `common_sd`."""
    # The inverse of own² I + common² 1 1', by Sherman and Morrison.
    shared = common_sd**2 / (own_sd**2 + size * common_sd**2)
    precision_KK: FloatArray = (np.eye(size) - shared) / own_sd**2
    return precision_KK
