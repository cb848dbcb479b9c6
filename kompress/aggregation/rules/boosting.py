"""Boost the voters: step by step the threshold on a vote that gold gains most by.

N = words, M = voters, P = patterns, C = words of one block, S = strata, K = byte codes
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit

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
from kompress.types import (
    ABSTAIN,
    JSON,
    KEEP,
    NUM_CODES,
    STRATA,
    UNKNOWN,
    BoolArray,
    FloatArray,
    decode_votes,
    encode_votes,
)

# Of a Newton step: small steps, as many as the gold bears.
STEP = 0.1
# Words' worth of doubt in every step; a split that moves a handful of words moves them
# little.
DOUBT = 5.0
# Below this drop of the loss, in nats over all of gold, a step follows the noise: for
# one free number chance alone gives half a nat.
MIN_GAIN = 1.0
# Gains that differ by less differ by rounding.
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LearnedBoosting(LearnedByWord):
    """What every vote adds to the log-odds of keep; its size is what a vote weighs.

    Attributes:
        num_gold_words: words that it was fitted to.
        intercept_S: (S,) log-odds of a word of each stratum before any vote.
        score_MK: (M, 255) what a vote of each byte code adds.
    """

    num_gold_words: int
    intercept_S: FloatArray
    score_MK: FloatArray

    @property
    def data(self) -> JSON:
        """Everything that was learned; `has_gold` is False where nothing could be."""
        return {
            "has_gold": self.num_gold_words > 0,
            "num_gold_words": self.num_gold_words,
            "intercept": self.intercept_S.tolist(),
            "score": self.score_MK.tolist(),
        }

    @property
    def num_voters(self) -> int:
        """M."""
        return len(self.score_MK)

    def combine(self, block: Block) -> Pooled:
        """Add up what the votes on one block are worth; size 2 + V for V votes."""
        code_MC = encode_votes(block.p_MC)
        added_MC = np.take_along_axis(self.score_MK, code_MC.astype(np.intp), axis=1)
        added_MC = np.where(block.voted_MC, added_MC, 0.0)
        score_C = sum_voters(added_MC) + self.intercept_S[block.stratum_C]
        votes_C = sum_voters(block.voted_MC)
        mean_C = expit(np.clip(score_C, -MAX_SCORE, MAX_SCORE))
        mean_C = np.where(votes_C > 0, mean_C, 0.5)
        size_C = 2 + votes_C
        return Pooled(size_C * mean_C, size_C * (1 - mean_C), np.abs(added_MC))


@dataclass(frozen=True, slots=True)
class Boosting(GoldLearner):
    """Add up thresholds on votes, each chosen for what it adds on gold to the others.

    The score starts at the log-odds of gold. A step tries every threshold on every
    voter's votes, and every stratum, takes the one whose two Newton steps lower the
    loss most, and goes a tenth of the way; an abstention adds 0. A voter whose votes go
    with the truth of gold never gets a threshold above which keeping is less likely,
    one that goes against it never the other kind. It ends after `max_steps`, or when a
    step gains less than chance would. All steps together are a table: what each vote
    of each voter adds.

    Gradient boosting with one threshold a step is additive in the voters, as `stacking`
    is, but bends: a vote of .9 may be worth no more than one of .6. It says nothing of
    its own uncertainty: V votes count as V draws. Without gold of both classes it is
    `Stacking` without gold.

    Attributes:
        max_steps: at most so many, 1 to 10,000.

    Raises:
        InvalidConfig: `max_steps` is no whole number in this range.

    Source: Friedman, Hastie & Tibshirani 2000 (LogitBoost); Friedman 2001 (shrinkage);
        the direction of a voter, the doubt and the end: ours.
    """

    max_steps: int = 300
    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "unanimous"}
    )

    def __post_init__(self) -> None:
        number: object = self.max_steps  # a config may hold anything
        if type(number) is not int or not 1 <= number <= 10_000:
            raise InvalidConfig(
                f"boosting: max_steps is {number!r}; expected a whole number from 1 to "
                "10000"
            )

    def fit(self, patterns: VotePatterns) -> LearnedBoosting:
        """Fit the table to the patterns whose truth is known.

        Args:
            patterns: raw votes; those of unknown truth only tell who votes, and how
                many votes a word has.

        Source: see the class.
        """
        gold = patterns.take(patterns.truth_P != UNKNOWN)
        if np.unique(gold.truth_P).size < 2:
            equal = Stacking().fit(patterns)
            logit_K = vote_logit(decode_votes(np.arange(NUM_CODES, dtype=np.uint8)))
            score_MK = equal.weight_M[:, None] * logit_K
            return LearnedBoosting(0, equal.intercept_S, score_MK)
        total_P = gold.count_P.astype(np.float64)
        keep_P = np.where(gold.truth_P == KEEP, total_P, 0.0)
        kept, whole = float(keep_P.sum()), float(total_P.sum())
        start = math.log((kept + 1) / (whole - kept + 1))
        intercept_S = np.full(len(STRATA), start)
        score_MK = np.zeros((gold.num_voters, NUM_CODES))
        up_M = go_along(gold)
        score_P = np.full(len(total_P), start)
        for _ in range(self.max_steps):
            p_P = expit(score_P)
            slope_P = total_P * p_P - keep_P
            bend_P = total_P * p_P * (1 - p_P)
            votes = _best_thresholds(gold, slope_P, bend_P, up_M)
            stratum = _best_stratum(gold, slope_P, bend_P)
            if max(votes[0].gain, stratum.gain) < MIN_GAIN:
                break
            if votes[0].gain >= stratum.gain:
                for vote in votes:
                    added_K = STEP / len(votes) * vote.step_K
                    score_MK[vote.of] += added_K
                    # `ABSTAIN` is the last code, and adds nothing.
                    score_P += np.append(added_K, 0.0)[gold.code_PM[:, vote.of]]
            else:
                added = STEP * float(stratum.step_K[0])
                intercept_S[stratum.of] += added
                score_P[gold.stratum_P == stratum.of] += added
        return LearnedBoosting(gold.num_words, intercept_S, score_MK)

    def load(self, data: JSON) -> LearnedBoosting:
        """Bring back what was learned, bit for bit.

        Args:
            data: a `LearnedBoosting.data`.

        Raises:
            InvalidVotes: a key is missing, or the sizes disagree.
        """
        try:
            found = LearnedBoosting(
                int(data["num_gold_words"]),
                np.asarray(data["intercept"], dtype=np.float64),
                np.asarray(data["score"], dtype=np.float64).reshape(-1, NUM_CODES),
            )
        except (KeyError, ValueError) as error:
            raise InvalidVotes(
                f"the stored fit does not hold: {error}; expected a "
                "`LearnedBoosting.data`; fit again"
            ) from error
        if found.intercept_S.shape != (len(STRATA),):
            raise InvalidVotes(
                f"the stored boosting has {found.intercept_S.size} intercepts; "
                f"expected {len(STRATA)}, one a stratum; fit again"
            )
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """The best step of a kind: whose, what it adds, how far it lowers the loss."""

    of: int
    step_K: FloatArray
    gain: float


def _best_thresholds(
    gold: VotePatterns, slope_P: FloatArray, bend_P: FloatArray, up_M: BoolArray
) -> list[_Step]:
    """Find the voter, and the threshold on its votes; several voters if they are equal.

    Copies of a voter share its steps, so that their order decides nothing.
    """
    found = []
    for m in range(gold.num_voters):
        code_P = gold.code_PM[:, m]
        # The last cell holds abstentions.
        slope_K = np.bincount(code_P, slope_P, ABSTAIN + 1)[:NUM_CODES]
        bend_K = np.bincount(code_P, bend_P, ABSTAIN + 1)[:NUM_CODES]
        below_K, low_bend_K = np.cumsum(slope_K), np.cumsum(bend_K) + DOUBT
        high_bend_K = low_bend_K[-1] - low_bend_K + DOUBT
        low_K = -below_K / low_bend_K
        high_K = (below_K - below_K[-1]) / high_bend_K
        gain_K = (low_K**2 * low_bend_K + high_K**2 * high_bend_K) / 2
        right_K = high_K >= low_K if up_M[m] else high_K <= low_K
        gain_K = np.where(right_K, gain_K, -math.inf)
        top = float(gain_K.max())
        # Codes that nobody voted leave the gain as it is: the middle of the gap.
        best_K = np.flatnonzero(gain_K >= top - _EQUAL)
        ends_K = np.flatnonzero(np.diff(best_K) > 1)
        at = int(best_K[(ends_K[0] if ends_K.size else best_K.size - 1) // 2])
        above_K = np.arange(NUM_CODES) > at
        found.append(_Step(m, np.where(above_K, high_K[at], low_K[at]), top))
    top = max(step.gain for step in found)
    return [step for step in found if step.gain >= top - _EQUAL]


def _best_stratum(gold: VotePatterns, slope_P: FloatArray, bend_P: FloatArray) -> _Step:
    """Find the stratum whose intercept to move."""
    slope_S = np.bincount(gold.stratum_P, slope_P, len(STRATA))
    bend_S = np.bincount(gold.stratum_P, bend_P, len(STRATA)) + DOUBT
    step_S = -slope_S / bend_S
    gain_S = step_S**2 * bend_S / 2
    at = int(gain_S.argmax())
    return _Step(at, step_S[at : at + 1], float(gain_S[at]))
