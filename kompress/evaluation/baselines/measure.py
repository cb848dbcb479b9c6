"""Measure what stands beside a student, each at its own keep_rate and at fixed ones."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.config import EvaluationConfig
from kompress.evaluation.baselines.baseline import BaselineResult, NamedBaseline
from kompress.evaluation.baselines.voters import Clock, RuleScorer, VoterScorer
from kompress.evaluation.evaluate import evaluate_scores
from kompress.evaluation.predictions import Progress, Scorer
from kompress.evaluation.prepared_suite import CountTokens
from kompress.evaluation.suites import Suite
from kompress.students.chunks import CHUNK_WORDS
from kompress.types import Score
from kompress.words import word_list


class TimedScorer:
    """A scorer that adds up the time it takes.

    Attributes:
        tokenizer: the scorer's, None if it has none.
        first: what it scored when it was first asked.
    """

    def __init__(self, scorer: Scorer, clock: Clock = time.perf_counter) -> None:
        self._scorer = scorer
        self._clock = clock
        self._seconds = 0.0
        self._num_words = 0
        self.tokenizer: object = getattr(scorer, "tokenizer", None)
        self.first: Sequence[NDArray[np.floating[Any]]] = ()

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Sequence[NDArray[np.floating[Any]]]:
        """Score as the scorer does."""
        started = self._clock()
        scores = self._scorer.score(texts, progress=progress)
        self._seconds += self._clock() - started
        self._num_words += sum(len(score_N) for score_N in scores)
        self.first = self.first or scores
        return scores

    @property
    def ms_per_chunk(self) -> float | None:
        """Milliseconds for 350 words so far, None before the first word."""
        if not self._num_words:
            return None
        return 1_000 * self._seconds * CHUNK_WORDS / self._num_words


def measure(
    named: NamedBaseline,
    suite: Suite,
    config: EvaluationConfig,
    *,
    keep_rate: float,
    seed: int,
    count_tokens: CountTokens | None = None,
    clock: Clock = time.perf_counter,
) -> BaselineResult:
    """Score a baseline on a suite.

    Args:
        named: the baseline.
        suite: the texts.
        config: the same as for the student.
        keep_rate: the student's own on this suite, in [0, 1]: what a method without a
            threshold is held to.
        seed: the student's, so that intervals share their resamples.
        count_tokens: the student's, so that token_savings compare.
        clock: seconds.

    Returns:
        Its rows, at its own threshold and at every keep_rate of the config.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: it did not give one number in [0, 1] a word.

    Source: design §1 "Honest figures".
    """
    texts = [text.text for text in suite.texts]
    baseline = named.baseline
    started = clock()
    scores = baseline.score(texts)
    seconds: float | None = clock() - started
    if isinstance(baseline, VoterScorer | RuleScorer):
        # Votes are shared: who asked first must not pay for all.
        seconds = baseline.seconds(texts)
    own_keep = baseline.keep(texts, scores, keep_rate)
    rows = evaluate_scores(
        scores, suite, config, seed=seed, own_keep=own_keep, count_tokens=count_tokens
    )
    return BaselineResult(
        named.kind,
        named.name,
        tuple(row for row in rows if not row.text_sha256),
        own_keep_rate(rows),
        ms_per_chunk(seconds, texts),
    )


def own_keep_rate(rows: Iterable[Score]) -> float:
    """Find the own keep_rate on a suite among rows; 0 without words."""
    found = next(
        row.value
        for row in rows
        if row.metric == "keep_rate"
        and row.stratum == "all"
        and row.target_keep_rate is None
        and not row.override
        and not row.text_sha256
    )
    return found or 0.0


def ms_per_chunk(seconds: float | None, texts: Sequence[str]) -> float | None:
    """Give milliseconds for 350 words.

    Args:
        seconds: what scoring the texts took, None if unknown.
        texts: the texts.

    Returns:
        Milliseconds, None if unknown or if there is no word.

    Source: ours; 350 words are the client's chunk.
    """
    num_words = sum(len(word_list(text)) for text in texts)
    if seconds is None or not num_words:
        return None
    return 1_000 * seconds * CHUNK_WORDS / num_words
