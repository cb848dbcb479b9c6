"""What stands beside a student: a round's voters and rules, and methods of others.

N = words of one text
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from kompress.aggregation import rules_of
from kompress.aggregation.learned import Learned
from kompress.config import AggregationConfig
from kompress.evaluation.baselines.llmlingua2 import LLMLingua2
from kompress.evaluation.baselines.textrank import TextRank
from kompress.evaluation.baselines.voters import (
    RuleScorer,
    VoterPool,
    VoterScorer,
)
from kompress.evaluation.predictions import OWN_THRESHOLD, Progress, Scorer
from kompress.types import BoolArray, FloatArray, SubjectKind

NO_FITS: Mapping[str, Learned] = MappingProxyType({})


class Baseline(Protocol):
    """Scores words, and decides what it keeps of its own accord."""

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[FloatArray]:
        """Give one (N,) array in [0, 1] a text."""
        ...

    def keep(
        self, texts: Sequence[str], scores: Sequence[FloatArray], keep_rate: float
    ) -> list[BoolArray]:
        """Give what it keeps; keep_rate is for methods without a threshold."""
        ...


@dataclass(frozen=True, slots=True)
class NamedBaseline:
    """A baseline under the name that its rows have.

    Attributes:
        kind: what it is in `scores`.
        name: its name there.
        baseline: what scores.
    """

    kind: SubjectKind
    name: str
    baseline: Baseline


class ThresholdBaseline:
    """A student as a baseline: it keeps what it scores above one half.

    Source: the deployed client's rule.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[FloatArray]:
        """Score as the student does."""
        scores = self._scorer.score(texts, progress=progress)
        return [np.asarray(score_N, dtype=np.float64) for score_N in scores]

    def keep(
        self, texts: Sequence[str], scores: Sequence[FloatArray], keep_rate: float
    ) -> list[BoolArray]:
        """Keep scores above one half; ties drop."""
        del texts, keep_rate
        return [score_N > OWN_THRESHOLD for score_N in scores]


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


def published_baselines(
    self_information: VoterPool | None, llmlingua2: LLMLingua2 | None
) -> list[NamedBaseline]:
    """Give the methods of others.

    Args:
        self_information: that voter alone, None to leave it out.
        llmlingua2: the method on some encoder, None to leave it out.
    """
    found = [NamedBaseline("baseline", "textrank", TextRank())]
    if self_information is not None:
        name = self_information.members[0].name
        scorer = VoterScorer(self_information, name)
        found.append(NamedBaseline("baseline", "self_information", scorer))
    if llmlingua2 is not None:
        found.append(NamedBaseline("baseline", "llmlingua2", llmlingua2))
    return found
