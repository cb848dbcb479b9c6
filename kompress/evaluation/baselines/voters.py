"""A round's voters, and every rule over them, as scorers of any texts.

N = words of one text, W = words of all texts, M = voters
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation import make_aggregator, rules_of
from kompress.aggregation.learned import Learned
from kompress.aggregation.replicates import pool_replicates
from kompress.config import AggregationConfig
from kompress.errors import VoteFailed
from kompress.evaluation.baselines.baseline import NamedBaseline
from kompress.evaluation.predictions import Progress
from kompress.must_keep.bulk import classify_texts
from kompress.types import BoolArray, CodeArray, FloatArray, Vote
from kompress.voters.voter import Voter

# Just below the threshold: a word that nobody voted on is dropped, as in `paradox`.
ABSTAINED = float(np.nextafter(0.5, 0.0))

NO_FITS: Mapping[str, Learned] = MappingProxyType({})
Clock = Callable[[], float]
StoredVotes = Mapping[tuple[str, str], Sequence[Vote]]


@dataclass(frozen=True, slots=True)
class PoolMember:
    """One voter of a round.

    Attributes:
        name: its name in the round.
        voter: the voter, None if it cannot be asked now: it costs money, or what it
            was fitted to is gone. Then it abstains where no vote is stored.
        replicates: votes to pool for each text.
    """

    name: str
    voter: Voter | None
    replicates: int = 1


@dataclass(frozen=True, slots=True)
class VoteMatrix:
    """Votes on some texts, one below the other.

    Attributes:
        end_T: (T,) where each text's words end.
        p_WM: (W, M) P(keep), NaN for an abstention.
        strength_WM: (W, M) samples behind each vote.
        stratum_W: (W,) `farm` strata.
        seconds_M: (M,) what asking took; NaN where any vote was a stored one.
    """

    end_T: NDArray[np.int64]
    p_WM: FloatArray
    strength_WM: FloatArray
    stratum_W: CodeArray
    seconds_M: FloatArray

    def split(self, flat_W: NDArray[Any]) -> list[NDArray[Any]]:
        """Cut an array over all words into one a text."""
        return np.split(flat_W, self.end_T[:-1]) if len(self.end_T) else []


@dataclass(slots=True)
class VoterPool:
    """Asks the voters once for all the scorers made of them.

    Attributes:
        members: the voters, in the order of the round's config.
        stored: votes by (text, voter's name) that need no asking.
        clock: seconds, for the latency of each voter.
    """

    members: Sequence[PoolMember]
    stored: StoredVotes = field(default_factory=dict)
    clock: Clock = time.perf_counter
    _asked: tuple[tuple[str, ...], VoteMatrix] | None = None

    def ask(self, texts: Sequence[str]) -> VoteMatrix:
        """Collect every member's votes; the last answer is kept.

        Args:
            texts: T texts.

        Returns:
            The votes. A text that a voter fails on is one that it abstains on.
        """
        key = tuple(texts)
        if self._asked is None or self._asked[0] != key:
            self._asked = (key, self._collect(key))
        return self._asked[1]

    def _collect(self, texts: tuple[str, ...]) -> VoteMatrix:
        strata = classify_texts(texts, "farm")
        end_T = np.cumsum([len(codes_N) for codes_N in strata], dtype=np.int64)
        stratum_W = np.concatenate([*strata, np.zeros(0, dtype=np.uint8)])
        shape = (len(stratum_W), len(self.members))
        p_WM, strength_WM = np.full(shape, np.nan), np.zeros(shape)
        seconds_M = np.zeros(len(self.members))
        for column, member in enumerate(self.members):
            votes, seconds_M[column] = self._votes(member, texts)
            for number, cast in enumerate(votes):
                if cast:
                    end = int(end_T[number])
                    rows = slice(end - len(strata[number]), end)
                    p_WM[rows, column], strength_WM[rows, column] = pool_replicates(
                        np.stack([vote.codes_N for vote in cast]),
                        np.array([vote.num_samples for vote in cast]),
                    )
        return VoteMatrix(
            end_T, p_WM, strength_WM, stratum_W.astype(np.uint8), seconds_M
        )

    def _votes(
        self, member: PoolMember, texts: tuple[str, ...]
    ) -> tuple[list[list[Vote]], float]:
        """Give a member's votes on each text, and what asking for them took."""
        votes = [list(self.stored.get((text, member.name), ())) for text in texts]
        asked = [number for number, cast in enumerate(votes) if not cast]
        if member.voter is None:
            return votes, float("nan")
        started = self.clock()
        for replicate in range(member.replicates):
            results = member.voter.vote([texts[i] for i in asked], replicate=replicate)
            for index, result in results:
                if not isinstance(result, VoteFailed):
                    votes[asked[index]].append(result)
        seconds = self.clock() - started
        return votes, seconds if len(asked) == len(texts) else float("nan")


class VoterScorer:
    """One voter's P(keep); it keeps a word at one half and above.

    A word that it abstains on gets a score just below one half.

    Source: design §1; ours.
    """

    def __init__(self, pool: VoterPool, name: str) -> None:
        """Choose the voter by its name."""
        self._pool = pool
        self._column = [member.name for member in pool.members].index(name)

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[FloatArray]:
        """Give the voter's P(keep), one (N,) array in [0, 1] a text."""
        matrix = self._pool.ask(texts)
        p_W = matrix.p_WM[:, self._column]
        if progress is not None:
            progress(len(texts))
        return matrix.split(np.where(np.isnan(p_W), ABSTAINED, p_W))

    def keep(
        self, texts: Sequence[str], scores: Sequence[FloatArray], keep_rate: float
    ) -> list[BoolArray]:
        """Keep what the voter holds for at least as likely to be kept as not."""
        del texts, keep_rate
        return [score_N >= 0.5 for score_N in scores]

    def seconds(self, texts: Sequence[str]) -> float | None:
        """Give what asking the voter took, None if votes were stored ones."""
        return _known(float(self._pool.ask(texts).seconds_M[self._column]))

    def abstained(self, texts: Sequence[str]) -> float:
        """Give the share of words that the voter abstained on, in [0, 1]."""
        p_W = self._pool.ask(texts).p_WM[:, self._column]
        return float(np.isnan(p_W).mean()) if p_W.size else 0.0


class RuleScorer:
    """The posterior mean of an aggregation rule over all voters, as a label holds it.

    A rule that learns pools by what it has learned of these voters; without that it
    learns from the votes on all texts of one call, which have no gold.

    Source: design §1, `label`: a float16 mean, kept at one half and above.
    """

    def __init__(
        self,
        pool: VoterPool,
        name: str,
        params: Mapping[str, Any],
        learned: Learned | None = None,
    ) -> None:
        """Make the rule.

        Args:
            pool: the voters.
            name: of the registry.
            params: the rule's.
            learned: what it has learned of these voters' raw votes, in their order.

        Raises:
            InvalidConfig: the rule or a parameter is unknown.
        """
        self._pool = pool
        rule = make_aggregator(name, params)
        self._rule = rule if learned is None else learned
        self._own_seconds = 0.0

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[FloatArray]:
        """Pool the votes, one (N,) array in [0, 1] a text."""
        matrix = self._pool.ask(texts)
        started = self._pool.clock()
        posterior = self._rule.aggregate(
            matrix.p_WM, matrix.strength_WM, matrix.stratum_W
        )
        self._own_seconds = self._pool.clock() - started
        mean_W = posterior.mean_N.astype(np.float16).astype(np.float64)
        if progress is not None:
            progress(len(texts))
        return matrix.split(mean_W)

    def keep(
        self, texts: Sequence[str], scores: Sequence[FloatArray], keep_rate: float
    ) -> list[BoolArray]:
        """Keep what a label keeps."""
        del texts, keep_rate
        return [score_N >= 0.5 for score_N in scores]

    def seconds(self, texts: Sequence[str]) -> float | None:
        """Give what all voters and the rule took, None if votes were stored ones."""
        asked = float(self._pool.ask(texts).seconds_M.sum())
        return _known(asked + self._own_seconds)


def voter_baselines(
    pool: VoterPool,
    rules: AggregationConfig,
    fits: Mapping[str, Learned] = NO_FITS,
) -> list[NamedBaseline]:
    """Give a round's voters, then every rule over them.

    Args:
        pool: the voters.
        rules: the round's rule, and those measured beside it.
        fits: what rules have learned of these voters, by label; see `RuleScorer`.

    Source: design §5, `ensemble_paradox`: the same names.
    """
    names = [member.name for member in pool.members]
    voters = [NamedBaseline("voter", name, VoterScorer(pool, name)) for name in names]
    return voters + [
        NamedBaseline("rule", label, RuleScorer(pool, rule, params, fits.get(label)))
        for label, (rule, params) in rules_of(rules, len(names)).items()
    ]


def _known(seconds: float) -> float | None:
    return None if np.isnan(seconds) else seconds
