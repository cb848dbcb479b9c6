"""Score a student, or anything else that scores words, on a suite.

Figures are on the words alone, without the client's pass-through and table rules, and
without override unless the row names one.

N = words of one text, W = words of the suite, T = texts
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kompress.config import EvaluationConfig
from kompress.errors import InvalidVotes
from kompress.evaluation.rows import RowMaker
from kompress.evaluation.sheet import Sheet, prepare
from kompress.evaluation.suites import Suite
from kompress.metrics.bootstrap import difference_statistic, resample_weights
from kompress.metrics.curve import CURVE_KEEP_RATES, area_under_curve, curve_statistic
from kompress.metrics.keep_rate import keep_top
from kompress.types import BoolArray, FloatArray, Score

OWN_THRESHOLD = 0.5  # facts on the client: keep if the score is above, ties drop

Progress = Callable[[int], None]


class Scorer(Protocol):
    """Whatever scores the words of texts: a student, a baseline."""

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Sequence[NDArray[np.floating[Any]]]:
        """Give each text's (N,) scores in [0, 1]; progress gets the texts done."""
        ...


def evaluate(
    scorer: Scorer,
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Score]:
    """Score a student on a suite.

    Args:
        scorer: a student, or a baseline.
        suite: the texts, at least one.
        config: rule sets, keep_rates and number of bootstraps; the defaults if None.
        seed: decides the resamples of the intervals.
        progress: passed to the scorer.

    Returns:
        Rows for `scores`, see `evaluate_scores`.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: the scorer did not give one number in [0, 1] a word.

    Source: design §1 "Honest figures" and "Exactly".
    """
    scores = scorer.score([text.text for text in suite.texts], progress=progress)
    return evaluate_scores(scores, suite, config, seed=seed)


def evaluate_scores(
    scores: Sequence[NDArray[np.floating[Any]]],
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    own_keep: Sequence[BoolArray] | None = None,
) -> list[Score]:
    """Turn scores of a suite's words into rows.

    At the own threshold and at each keep_rate: exact_pct (all, by stratum and kind),
    keep_rate (all, by kind), f1, precision and recall on gold (all and plain words;
    recall by stratum), decision_pct. At the own threshold only: exact_pct and keep_rate
    with the override; override_delta; exact_pct by the published definition; rows of
    every text. Once: exact_auc. Rows on gold or questions exist only where the suite
    has any.

    Args:
        scores: one (N,) array a text.
        suite: the texts, at least one.
        config: rule sets, keep_rates and number of bootstraps; the defaults if None.
        seed: decides the resamples of the intervals.
        own_keep: one (N,) mask a text to use instead of score > 0.5, for a subject with
            a threshold of its own (a label keeps at 0.5 and above).

    Returns:
        Rows for `scores`; n is the denominator, for f1 the words with known gold.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: scores or masks do not fit the texts.

    Source: design §1 "Honest figures" and "Exactly".
    """
    config = config or EvaluationConfig()
    sheet = prepare(suite, rule_set=config.rule_set, override=config.override)
    score_W = _flatten(sheet, scores)
    own_W = score_W > OWN_THRESHOLD
    if own_keep is not None:
        own_W = _flatten(sheet, own_keep).astype(np.bool_)
    name = int.from_bytes(sha256(suite.name.encode()).digest()[:4], "big")
    weights_BG = resample_weights(
        len(set(sheet.group_ids)),
        num_bootstraps=config.num_bootstraps,
        rng=np.random.default_rng([seed, name]),
    )
    own = RowMaker(sheet, weights_BG, config.rule_set)
    rows = [*_condition(own, own_W), own.substring(own_W)]
    rows += [*own.texts(own_W), _area(own, score_W)]
    for rate in config.keep_rates:
        fixed = RowMaker(sheet, weights_BG, config.rule_set, target_keep_rate=rate)
        rows += _condition(fixed, _keep_top(sheet, score_W, rate))
    overridden = RowMaker(sheet, weights_BG, config.rule_set, override=config.override)
    rows += overridden.survival(own_W | sheet.override_W)
    rows.append(_override_delta(overridden, own_W))
    return rows


def _condition(maker: RowMaker, keep_W: BoolArray) -> list[Score]:
    return [
        *maker.survival(keep_W),
        *maker.gold(keep_W),
        *maker.decisions(keep_W),
    ]


def _area(maker: RowMaker, score_W: FloatArray) -> Score:
    """Always over the design's five rates, whatever others the config asks for."""
    sheet = maker.sheet
    kept = [
        sheet.by_text(sheet.must_W & _keep_top(sheet, score_W, rate))
        for rate in CURVE_KEEP_RATES
    ]
    counts_T6 = np.stack([*kept, sheet.by_text(sheet.must_W)], axis=1)
    sums_6 = counts_T6.sum(axis=0)
    n = int(sums_6[5])
    value = float(area_under_curve(sums_6[:5] / n)) if n else None
    interval = maker.interval(counts_T6, curve_statistic)
    return maker.row("exact_auc", "all", value, n, interval)


def _override_delta(maker: RowMaker, own_W: BoolArray) -> Score:
    sheet = maker.sheet
    counts_T3 = np.stack(
        [
            sheet.by_text(sheet.must_W & (own_W | sheet.override_W)),
            sheet.by_text(sheet.must_W & own_W),
            sheet.by_text(sheet.must_W),
        ],
        axis=1,
    )
    with_override, without, n = map(int, counts_T3.sum(axis=0))
    value = (with_override - without) / n if n else None
    interval = maker.interval(counts_T3, difference_statistic)
    return maker.row("override_delta", "all", value, n, interval)


def _keep_top(sheet: Sheet, score_W: FloatArray, rate: float) -> BoolArray:
    """Keep the top share of each text, never of the suite as a whole."""
    return np.concatenate([keep_top(score_N, rate) for score_N in sheet.split(score_W)])


def _flatten(
    sheet: Sheet, arrays: Sequence[NDArray[np.floating[Any]]] | Sequence[BoolArray]
) -> FloatArray:
    starts_T = np.concatenate([[0], sheet.end_T[:-1]])
    expected = [int(n) for n in sheet.end_T - starts_T]
    found = [np.asarray(array).shape for array in arrays]
    if found != [(n,) for n in expected]:
        wrong = next(
            (i for i, n in enumerate(expected) if i >= len(found) or found[i] != (n,)),
            len(expected),
        )
        shape = found[wrong] if wrong < len(found) else "nothing"
        raise InvalidVotes(
            f"{len(found)} score arrays for {len(expected)} texts of suite "
            f"{sheet.suite.name!r}, text {wrong} has {shape}; expected one number "
            "a word of each text; split words with kompress.words"
        )
    flat_W = np.concatenate([np.asarray(a, dtype=np.float64) for a in arrays])
    if not ((flat_W >= 0) & (flat_W <= 1)).all():
        raise InvalidVotes(
            f"scores on suite {sheet.suite.name!r} are not all within [0, 1] or not "
            "numbers; expected P(keep) of every word; the student may have diverged"
        )
    return flat_W
