"""Random dropping, which stands beside every figure.

N = words of one text
"""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from kompress.config import EvaluationConfig
from kompress.evaluation.evaluate import Progress, evaluate_scores
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

        Source: ours.
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
    config: EvaluationConfig | None,
    own_keep_rate: float,
    seed: int,
) -> list[Score]:
    """Score random dropping at a student's own keep_rate and at the fixed ones.

    Args:
        suite: the texts that the student was scored on.
        config: the same as for the student.
        own_keep_rate: the student's keep_rate on this suite, in [0, 1]; the rows of the
            own threshold keep this share of each text.
        seed: the same as for the student, so that intervals share their resamples.

    Returns:
        Rows with the keys of the student's, see `evaluate_scores`.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidConfig: own_keep_rate lies outside [0, 1].

    Source: design §1 "Honest figures".
    """
    scores = RandomBaseline(seed).score([text.text for text in suite.texts])
    own_keep = [keep_top(score_N, own_keep_rate) for score_N in scores]
    return evaluate_scores(scores, suite, config, seed=seed, own_keep=own_keep)
