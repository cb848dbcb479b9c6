"""A baseline: what scores words beside a student and keeps what it would.

N = words of one text
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kompress.evaluation.predictions import OWN_THRESHOLD, Progress, Scorer
from kompress.types import BoolArray, FloatArray, Score, SubjectKind


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


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What a student or a baseline scored on one suite.

    Attributes:
        kind: what it is in `scores`.
        name: its name there.
        rows: its scores, without those of single texts.
        keep_rate: its own, in [0, 1].
        ms_per_chunk: milliseconds for 350 words, None if it was not measured.
    """

    kind: SubjectKind
    name: str
    rows: tuple[Score, ...]
    keep_rate: float
    ms_per_chunk: float | None


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
