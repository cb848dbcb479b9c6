"""One student's or baseline's scores on one suite, checked and flat.

N = words of one text, W = words of the suite, B = bootstraps, G = groups
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kompress.config import EvaluationConfig
from kompress.errors import InvalidVotes
from kompress.evaluation.figures import Figure, RowMaker
from kompress.evaluation.prepared_suite import CountTokens, PreparedSuite, prepare
from kompress.evaluation.suites import Suite
from kompress.metrics.bootstrap import resample_weights
from kompress.metrics.curve import CURVE_KEEP_RATES, curve_statistic
from kompress.metrics.keep_rate import keep_top
from kompress.types import BoolArray, FloatArray

OWN_THRESHOLD = 0.5  # as in the client: keep if the score is above, ties drop

Progress = Callable[[int], None]
Arrays = Sequence[NDArray[np.floating[Any]]]


class Scorer(Protocol):
    """Whatever scores the words of texts: a student, a baseline."""

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Sequence[NDArray[np.floating[Any]]]:
        """Give each text's (N,) scores in [0, 1]; progress gets the texts done."""
        ...


@dataclass(frozen=True, slots=True)
class Predictions:
    """A student's or baseline's decisions on a suite.

    Attributes:
        suite: the suite.
        score_W: (W,) scores in [0, 1].
        own_W: (W,) what is kept at the own threshold, without override.
        weights_BG: (B, G) resamples; equal for all who are scored on a suite.
        config: rule sets and keep_rates.
    """

    suite: PreparedSuite
    score_W: FloatArray
    own_W: BoolArray
    weights_BG: FloatArray
    config: EvaluationConfig

    def keep_top(self, rate: float) -> BoolArray:
        """Keep the top share of each text, never of the suite as a whole."""
        parts = self.suite.split(self.score_W)
        return np.concatenate([keep_top(score_N, rate) for score_N in parts])

    def keep(self, rate: float | None) -> BoolArray:
        """Keep by a target rate, or by the own threshold if None."""
        return self.own_W if rate is None else self.keep_top(rate)

    def rows(self, *, override: str = "", rate: float | None = None) -> RowMaker:
        """Give the maker of rows under one condition."""
        return RowMaker(
            self.suite,
            self.weights_BG,
            self.config.rule_set,
            override=override,
            target_keep_rate=rate,
        )


def make_predictions(
    scores: Arrays,
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    own_keep: Sequence[BoolArray] | None = None,
    count_tokens: CountTokens | None = None,
) -> Predictions:
    """Check scores and lay them out flat.

    Args:
        scores: one (N,) array a text.
        suite: the texts, at least one.
        config: rule sets, keep_rates and number of bootstraps; the defaults if None.
        seed: decides the resamples of the intervals.
        own_keep: one (N,) mask a text to use instead of score > 0.5.
        count_tokens: gives each word's tokens; None leaves token_savings out.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: scores, masks or tokens do not fit the texts.
    """
    config = config or EvaluationConfig()
    prepared = prepare(
        suite,
        rule_set=config.rule_set,
        override=config.override,
        count_tokens=count_tokens,
    )
    score_W = flatten(prepared, scores)
    own_W = score_W > OWN_THRESHOLD
    if own_keep is not None:
        own_W = flatten(prepared, own_keep).astype(np.bool_)
    weights_BG = _draw_weights(prepared, config, seed)
    return Predictions(prepared, score_W, own_W, weights_BG, config)


def tokens_of(scorer: object) -> CountTokens | None:
    """Give a function that counts tokens as a scorer's own tokenizer does.

    Args:
        scorer: anything; a student has a `tokenizer` with `encode(words)`.

    Returns:
        Words -> tokens of each word, special tokens left out; None for a scorer
        without such a tokenizer.

    Source: ours; the student's WordTokenizer sees words alone, as the client's does.
    """
    tokenizer: Any = getattr(scorer, "tokenizer", None)
    if not hasattr(tokenizer, "encode"):
        return None

    def count(words: Sequence[str]) -> NDArray[np.int64]:
        return np.asarray(tokenizer.encode(words).num_tokens_N, dtype=np.int64)

    return count


def flatten(suite: PreparedSuite, arrays: Arrays | Sequence[BoolArray]) -> FloatArray:
    """Check one array a text and join them: (W,).

    Raises:
        InvalidVotes: an array does not fit its text, or leaves [0, 1].
    """
    starts_T = np.concatenate([[0], suite.end_T[:-1]])
    expected = [int(n) for n in suite.end_T - starts_T]
    found = [np.asarray(array).shape for array in arrays]
    if found != [(n,) for n in expected]:
        wrong = next(
            (i for i, n in enumerate(expected) if i >= len(found) or found[i] != (n,)),
            len(expected),
        )
        shape = found[wrong] if wrong < len(found) else "nothing"
        raise InvalidVotes(
            f"{len(found)} score arrays for {len(expected)} texts of suite "
            f"{suite.name!r}, text {wrong} has {shape}; expected one number "
            "a word of each text; split words with kompress.words"
        )
    flat_W = np.concatenate([np.asarray(a, dtype=np.float64) for a in arrays])
    if not ((flat_W >= 0) & (flat_W <= 1)).all():
        raise InvalidVotes(
            f"scores on suite {suite.name!r} are not all within [0, 1] or not "
            "numbers; expected P(keep) of every word; the student may have diverged"
        )
    return flat_W


def area(predictions: Predictions) -> Figure:
    """Count exact_auc: always over the design's five rates, whatever the config asks.

    Source: design §1 "Exactly".
    """
    suite = predictions.suite
    kept = [
        suite.by_text(suite.must_W & predictions.keep_top(rate))
        for rate in CURVE_KEEP_RATES
    ]
    must_T = suite.by_text(suite.must_W)
    counts_T6 = np.stack([*kept, must_T], axis=1)
    return Figure("exact_auc", "all", counts_T6, curve_statistic, int(must_T.sum()))


def _draw_weights(
    suite: PreparedSuite, config: EvaluationConfig, seed: int
) -> FloatArray:
    """Draw the resamples of a suite's groups: the same for whoever is scored."""
    name = int.from_bytes(sha256(suite.name.encode()).digest()[:4], "big")
    return resample_weights(
        len(set(suite.group_ids)),
        num_bootstraps=config.num_bootstraps,
        rng=np.random.default_rng([seed, name]),
    )
