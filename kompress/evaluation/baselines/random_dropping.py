"""Random dropping, which stands beside every figure.

N = words of one text
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import numpy as np

from kompress.config import EvaluationConfig
from kompress.evaluation.evaluate import evaluate_scores
from kompress.evaluation.predictions import Progress
from kompress.evaluation.prepared_suite import CountTokens
from kompress.evaluation.suites import Suite
from kompress.metrics.keep_rate import keep_top
from kompress.types import FloatArray, Score
from kompress.words import word_list


class RandomBaseline:
    """Scores words by a coin that depends on the seed and the text alone."""

    def __init__(self, seed: int) -> None:
        """Remember the seed, at least 0."""
        self._seed = seed

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[FloatArray]:
        """Draw uniform scores: a text gets the same ones in any company.

        Args:
            texts: T texts.
            progress: called with the number of texts done so far.

        Returns:
            One (N,) array in [0, 1) a text.
        """
        scores = []
        for number, text in enumerate(texts, start=1):
            digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
            rng = np.random.default_rng(
                [self._seed, int.from_bytes(digest[:16], "big")]
            )
            scores.append(rng.random(len(word_list(text))))
            if progress is not None:
                progress(number)
        return scores


def evaluate_random(
    suite: Suite,
    config: EvaluationConfig,
    *,
    keep_rate: float,
    seed: int,
    beside: Iterable[float] = (),
    count_tokens: CountTokens | None = None,
) -> list[Score]:
    """Score random dropping at every keep_rate that a figure stands at.

    Args:
        suite: the texts that the student was scored on.
        config: the same as for the student.
        keep_rate: the student's own on this suite, in [0, 1]: the rows of the own
            threshold keep this share of each text.
        seed: the student's, so that intervals share their resamples.
        beside: other baselines' own keep_rates, in [0, 1]; each gets rows at that
            target.
        count_tokens: the student's.

    Returns:
        Rows with the keys of the student's, see `evaluate_scores`; those of single
        texts are left out.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidConfig: a keep_rate lies outside [0, 1].

    Source: design §1 "Honest figures".
    """
    scores = RandomBaseline(seed).score([text.text for text in suite.texts])
    rates = sorted({*config.keep_rates, *beside})
    rows = evaluate_scores(
        scores,
        suite,
        config.model_copy(update={"keep_rates": tuple(rates)}),
        seed=seed,
        own_keep=[keep_top(score_N, keep_rate) for score_N in scores],
        count_tokens=count_tokens,
    )
    return [row for row in rows if not row.text_sha256]
