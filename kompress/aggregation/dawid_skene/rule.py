"""Dawid & Skene's model as a rule of the farm: two coins a voter, keep and drop.

The textbook rival of `reliability`: votes are hard, a voter errs alike in all strata,
and voters err independently given the truth.

N = words, M = voters, C = words of one block, P = patterns, S = strata
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.dawid_skene.hard_votes import (
    SAID_DROP,
    SAID_KEEP,
    SILENT,
    HardPatterns,
    HardVotes,
    harden,
)
from kompress.aggregation.patterns import VotePatterns
from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import (
    DROP,
    JSON,
    KEEP,
    STRATA,
    UNKNOWN,
    CodeArray,
    FloatArray,
    Posterior,
)

MAX_ITER = 300
TOL = 1e-8  # the largest move of a probability
# Evidence and posteriors are rounded to these fractions, so that sums of them are
# whole numbers below 2**53: exact, whatever the order of words and voters.
_EVIDENCE = 2.0**32
_BITS = 52


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """Two coins a voter, one share of keeps a stratum, by EM on hard votes.

    A vote keeps if its byte's P(keep) >= 1/2; samples only tell 0 from the rest. Five
    samples of one voter are one answer: drawn from one reading of a text they are not
    independent given the truth, which the model would take them to be.

    Sensitivity and specificity of a voter are pooled over strata, for a rare stratum
    has too few words for two coins of its own; the share of keeps is the stratum's.
    MAP: each coin has `prior_right` imagined right and `prior_wrong` imagined wrong
    answers, each stratum one word of either side. Better than chance a priori, so that
    keep stays keep. Words with gold are fixed at it; where there is any, EM also starts
    from gold alone, and the likelier of the two ends is taken.

    The posterior's mean is P(keep | votes); its concentration is 2 + V for V votes, as
    `majority`'s: the model has no word of its own on how sure that probability is.

    Attributes:
        prior_right: > `prior_wrong`.
        prior_wrong: > 0.

    Source: Dawid & Skene 1979 with Beta priors as in Raykar et al. 2010, section 3;
    pooling coins but not shares, and the concentration: ours.
    """

    prior_right: float = 2.0
    prior_wrong: float = 1.0

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside"}
    )

    def __post_init__(self) -> None:
        if not 0 < self.prior_wrong < self.prior_right < np.inf:
            raise InvalidConfig(
                f"dawid_skene: prior_right is {self.prior_right!r} and prior_wrong is "
                f"{self.prior_wrong!r}; expected 0 < prior_wrong < prior_right, so "
                "that a voter is better than chance until its votes say otherwise"
            )

    def fit(self, patterns: VotePatterns) -> "LearnedDawidSkene":
        """Learn coins and shares; gold among the patterns is observed truth.

        Args:
            patterns: of raw votes; codes are read as hard votes.

        Source: see the class.
        """
        return self._learn(harden(patterns))

    def load(self, data: JSON) -> "LearnedDawidSkene":
        """Bring back what was learned.

        Raises:
            InvalidConfig: the data are not what `LearnedDawidSkene.data` gave.

        Source: ours.
        """
        try:
            learned = LearnedDawidSkene(
                np.array(data["keep_share"], dtype=np.float64),
                np.array(data["sensitivity"], dtype=np.float64),
                np.array(data["specificity"], dtype=np.float64),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidConfig(
                f"a fit of dawid_skene cannot be read ({type(error).__name__}: "
                f"{error}); expected keep_share, sensitivity and specificity; fit again"
            ) from error
        learned.check()
        return learned

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,  # noqa: ARG002  # one shape for all
    ) -> Posterior:
        """Fit to these words alone, without gold, and pool them.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: (M,) or (N, M) samples; only tells 0 (no vote) from the rest.
            stratum_N: (N,) codes into `STRATA`.
            boundary_N: not looked at: words are independent.

        Returns:
            The posterior; no vote at all gives Beta(1, 1). Weights are shares of the
            absolute log-odds that votes moved.

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

        Source: see the class.
        """
        votes = HardVotes.read(p_NM, strength, stratum_N)
        return self._learn(votes.patterns()).pool(votes)

    def _learn(self, patterns: HardPatterns) -> "LearnedDawidSkene":
        """Run EM from the votes and, where there is gold, from gold; keep the likelier.

        A panel that is wrong together is a maximum too, and the votes start beside it.
        """
        words = _Words.of(patterns)
        learned = self._climb(words, words.count_P)
        if (words.truth_P == UNKNOWN).all():
            return learned
        other = self._climb(words, words.count_P * (words.truth_P != UNKNOWN))
        gain = self._objective(words, other) - self._objective(words, learned)
        # More than rounding, or two starts of one maximum would be told apart.
        return other if gain > 1e-6 * words.count_P.sum() else learned

    def _climb(self, words: "_Words", counted_P: FloatArray) -> "LearnedDawidSkene":
        """Maximise and expect in turn; the first step counts `counted_P` words."""
        # The sum of all words' posteriors stays below 2**53 of these.
        scale = 2.0 ** (_BITS - int(np.ceil(np.log2(max(words.count_P.sum(), 1)))))
        before = np.full(len(STRATA) + 2 * words.keep_PM.shape[1], np.inf)
        posterior_P = words.shares()
        for _ in range(MAX_ITER):
            _observe(posterior_P, words.truth_P)
            learned = self._maximise(words, counted_P, posterior_P, scale)
            after = learned.flat()
            if np.abs(after - before).max() < TOL:
                break
            before, counted_P = after, words.count_P
            posterior_P = _expit(words.score(learned))
        return learned

    def _maximise(
        self,
        words: "_Words",
        counted_P: FloatArray,
        posterior_P: FloatArray,
        scale: float,
    ) -> "LearnedDawidSkene":
        kept_P = np.rint(posterior_P * scale) * counted_P
        dropped_P = scale * counted_P - kept_P
        keep_PM, drop_PM = words.keep_PM, words.drop_PM
        coins = (self.prior_right, self.prior_wrong, scale)
        return LearnedDawidSkene(
            _share(*_by_stratum(kept_P, dropped_P, words.stratum_P), 1.0, 1.0, scale),
            _share(kept_P @ keep_PM, kept_P @ drop_PM, *coins),
            _share(dropped_P @ drop_PM, dropped_P @ keep_PM, *coins),
        )

    def _objective(self, words: "_Words", learned: "LearnedDawidSkene") -> float:
        """Give the log of prior and likelihood, but for a constant."""
        coins_2M = np.stack([learned.sensitivity_M, learned.specificity_M])
        share_S = learned.keep_share_S
        right_2M, wrong_2M = np.log(coins_2M), np.log1p(-coins_2M)
        prior = self.prior_right * right_2M.sum() + self.prior_wrong * wrong_2M.sum()
        prior += (np.log(share_S) + np.log1p(-share_S)).sum()
        keep_P = words.keep_PM @ right_2M[0] + words.drop_PM @ wrong_2M[0]
        drop_P = words.drop_PM @ right_2M[1] + words.keep_PM @ wrong_2M[1]
        keep_P += np.log(share_S)[words.stratum_P]
        drop_P += np.log1p(-share_S)[words.stratum_P]
        known_P = np.where(words.truth_P == KEEP, keep_P, drop_P)
        is_open_P = words.truth_P == UNKNOWN
        joint_P = np.where(is_open_P, np.logaddexp(keep_P, drop_P), known_P)
        return float(prior + words.count_P @ joint_P)


@dataclass(frozen=True, slots=True, eq=False)
class _Words:
    """Patterns as numbers: 1.0 where a voter said it."""

    stratum_P: NDArray[np.intp]
    truth_P: CodeArray
    keep_PM: FloatArray
    drop_PM: FloatArray
    count_P: FloatArray

    @classmethod
    def of(cls, patterns: HardPatterns) -> "_Words":
        return cls(
            patterns.stratum_P.astype(np.intp),
            patterns.truth_P,
            (patterns.side_PM == SAID_KEEP).astype(np.float64),
            (patterns.side_PM == SAID_DROP).astype(np.float64),
            patterns.count_P.astype(np.float64),
        )

    def shares(self) -> FloatArray:
        """Give (P,) shares of keep votes."""
        keep_P = self.keep_PM.sum(axis=1)
        share_P: FloatArray = keep_P / (keep_P + self.drop_PM.sum(axis=1))
        return share_P

    def score(self, learned: "LearnedDawidSkene") -> FloatArray:
        """Give (P,) log-odds of keep, in 2**-32."""
        prior_S, keep_M, drop_M = learned.evidence()
        votes_P: FloatArray = self.keep_PM @ keep_M + self.drop_PM @ drop_M
        return votes_P + prior_S[self.stratum_P]


@dataclass(frozen=True, slots=True, eq=False)
class LearnedDawidSkene:
    """What `DawidSkene` learned.

    Attributes:
        keep_share_S: (S,) prior P(keep) by stratum, inside (0, 1).
        sensitivity_M: (M,) P(says keep | keep), inside (0, 1).
        specificity_M: (M,) P(says drop | drop), inside (0, 1).
    """

    keep_share_S: FloatArray
    sensitivity_M: FloatArray
    specificity_M: FloatArray

    @property
    def data(self) -> JSON:
        """Everything that was learned."""
        return {
            "keep_share": self.keep_share_S.tolist(),
            "sensitivity": self.sensitivity_M.tolist(),
            "specificity": self.specificity_M.tolist(),
        }

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,  # noqa: ARG002  # one shape for all
    ) -> Posterior:
        """Pool the votes of the same voters; see `DawidSkene.aggregate`.

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

        Source: Bayes' rule; Dawid & Skene 1979, equation 2.5.
        """
        return self.pool(HardVotes.read(p_NM, strength, stratum_N))

    def pool(self, votes: HardVotes) -> Posterior:
        """Pool votes that have been checked, block by block."""
        if votes.num_voters != self.sensitivity_M.size:
            raise InvalidVotes(
                f"votes are of {votes.num_voters} voters; the fit is of "
                f"{self.sensitivity_M.size}; pass the voters it was fitted to, in order"
            )
        prior_S, keep_M, drop_M = self.evidence()
        said_M3 = np.column_stack([drop_M, keep_M, np.zeros_like(keep_M)])
        size = len(votes.stratum_N)
        alpha_N, beta_N = np.empty(size), np.empty(size)
        num_SM3 = np.zeros((len(STRATA), *said_M3.shape))
        for part in votes.blocks():
            stratum_C = votes.stratum_N[part]
            score_C, total_C = prior_S[stratum_C], np.full(stratum_C.size, 2.0)
            for m, side_C in enumerate(votes.sides(part)):
                score_C += said_M3[m].take(side_C)
                total_C += side_C != SILENT
                cells = np.bincount(stratum_C * 3 + side_C, minlength=len(STRATA) * 3)
                num_SM3[:, m] += cells.reshape(-1, 3)
            mean_C = np.where(total_C > 2, _expit(score_C), 0.5)
            np.multiply(mean_C, total_C, out=alpha_N[part])
            np.multiply(1 - mean_C, total_C, out=beta_N[part])
        weight_SM = (num_SM3 * np.abs(said_M3)).sum(axis=2)
        # Voters are added in the order of their weights: one order for any panel.
        total_S1 = np.sort(weight_SM, axis=1).cumsum(axis=1)[:, -1:]
        weight_SM /= np.where(total_S1 > 0, total_S1, 1.0)
        return Posterior(alpha_N, beta_N, weight_SM)

    def evidence(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give log-odds of strata, of keep votes and of drop votes, in 2**-32."""
        said_keep_M = np.log(self.sensitivity_M) - np.log1p(-self.specificity_M)
        said_drop_M = np.log1p(-self.sensitivity_M) - np.log(self.specificity_M)
        prior_S = np.log(self.keep_share_S) - np.log1p(-self.keep_share_S)
        return (
            np.rint(prior_S * _EVIDENCE),
            np.rint(said_keep_M * _EVIDENCE),
            np.rint(said_drop_M * _EVIDENCE),
        )

    def flat(self) -> FloatArray:
        """Give all parameters in a row."""
        return np.concatenate([
            self.keep_share_S, self.sensitivity_M, self.specificity_M
        ])  # fmt: skip

    def check(self) -> None:
        """Refuse parameters that no fit gives."""
        values = self.flat()
        shapes = {self.sensitivity_M.shape, self.specificity_M.shape}
        if (
            self.keep_share_S.shape != (len(STRATA),)
            or len(shapes) != 1
            or self.sensitivity_M.ndim != 1
            or not ((values > 0) & (values < 1)).all()
        ):
            raise InvalidConfig(
                f"a fit of dawid_skene has {self.keep_share_S.shape} shares, coins of "
                f"shapes {sorted(shapes)} and values outside (0, 1) or of another "
                f"number; expected {len(STRATA)} shares and two coins a voter, all "
                "inside (0, 1); fit again"
            )


def _observe(posterior_P: FloatArray, truth_P: CodeArray) -> None:
    """Fix at the truth what gold knows."""
    posterior_P[truth_P == KEEP] = 1.0
    posterior_P[truth_P == DROP] = 0.0


def _by_stratum(
    kept_P: FloatArray, dropped_P: FloatArray, stratum_P: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    size = len(STRATA)
    kept_S = np.bincount(stratum_P, weights=kept_P, minlength=size)
    dropped_S = np.bincount(stratum_P, weights=dropped_P, minlength=size)
    return kept_S.astype(np.float64), dropped_S.astype(np.float64)


def _share(
    yes: FloatArray, no: FloatArray, prior_yes: float, prior_no: float, scale: float
) -> FloatArray:
    return (prior_yes + yes / scale) / (prior_yes + prior_no + (yes + no) / scale)


def _expit(score_C: FloatArray) -> FloatArray:
    """Turn log-odds in 2**-32 into probabilities, 1e-13 off 0 and 1 at least."""
    odds_C = np.exp(-np.clip(score_C / _EVIDENCE, -30.0, 30.0))
    return 1 / (1 + odds_C)
