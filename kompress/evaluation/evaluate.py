"""Score a student, or anything else that scores words, on a suite.

Figures are on the words alone, without the client's pass-through and table rules, and
without override unless the row names one.

N = words of one text, W = words of the suite, T = texts
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kompress.config import EvaluationConfig
from kompress.evaluation.figures import Figure, RowMaker
from kompress.evaluation.guards import guard_rows
from kompress.evaluation.predictions import (
    Predictions,
    Progress,
    Scorer,
    area,
    make_predictions,
    tokens_of,
)
from kompress.evaluation.prepared_suite import CountTokens
from kompress.evaluation.robustness import robustness_rows
from kompress.evaluation.rules import rule_rows, time_override
from kompress.evaluation.suites import Suite
from kompress.metrics.bootstrap import difference_statistic
from kompress.types import BoolArray, Score


def evaluate(
    scorer: Scorer,
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    count_tokens: CountTokens | None = None,
) -> list[Score]:
    """Score a student on a suite.

    Args:
        scorer: a student, or a baseline.
        suite: the texts, at least one.
        config: rule sets, keep_rates and number of bootstraps; the defaults if None.
        seed: decides the resamples of the intervals.
        progress: passed to the scorer.
        count_tokens: gives each word's tokens; None means the scorer's own tokenizer,
            and no token_savings where it has none.

    Returns:
        Rows for `scores`, see `evaluate_scores`.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: the scorer did not give one number in [0, 1] a word.

    Source: design §1 "Honest figures" and "Exactly".
    """
    scores = scorer.score([text.text for text in suite.texts], progress=progress)
    return evaluate_scores(
        scores,
        suite,
        config,
        seed=seed,
        count_tokens=count_tokens or tokens_of(scorer),
    )


def evaluate_scores(
    scores: Sequence[NDArray[np.floating[Any]]],
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    own_keep: Sequence[BoolArray] | None = None,
    count_tokens: CountTokens | None = None,
) -> list[Score]:
    """Turn scores of a suite's words into rows.

    At the own threshold and at each keep_rate: exact_pct (all, by stratum and kind),
    keep_rate and token_savings (all, by kind), f1, precision and recall on gold (all
    and plain words; recall by stratum), decision_pct, fact_pct. At the own threshold
    only: exact_pct, keep_rate and token_savings with the override; override_delta;
    exact_pct by the published definition; rows of every text. Once: exact_auc. Rows on
    gold, questions, facts or tokens exist only where there are any.

    Args:
        scores: one (N,) array a text.
        suite: the texts, at least one.
        config: rule sets, keep_rates and number of bootstraps; the defaults if None.
        seed: decides the resamples of the intervals.
        own_keep: one (N,) mask a text to use instead of score > 0.5, for what has a
            threshold of its own (a label keeps at 0.5 and above).
        count_tokens: gives each word's tokens; None leaves token_savings out.

    Returns:
        Rows for `scores`; n is the denominator, for f1 the words with known gold.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: scores or masks do not fit the texts.

    Source: design §1 "Honest figures" and "Exactly".
    """
    return score_rows(
        make_predictions(
            scores,
            suite,
            config,
            seed=seed,
            own_keep=own_keep,
            count_tokens=count_tokens,
        )
    )


def evaluate_all(
    scorer: Scorer,
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    rules: bool = False,
    robustness: bool = False,
    progress: Progress | None = None,
    count_tokens: CountTokens | None = None,
    other_domain: Suite | None = None,
    text_rates: Sequence[float] = (),
) -> list[Score]:
    """Score a student on a suite: figures, guards and, on request, the rest.

    Args:
        scorer: a student, or a baseline.
        suite: the texts, at least one.
        config: rule sets, keep_rates and number of bootstraps; the defaults if None.
        seed: decides perturbations and resamples.
        rules: add the rows of `rule_rows` and `time_override`.
        robustness: add the rows of `robustness_rows`, which scores the suite once more
            for each perturbation.
        progress: passed to the scorer for the suite itself.
        count_tokens: gives each word's tokens; None means the scorer's own tokenizer,
            and no token_savings where it has none.
        other_domain: for `robustness_rows`.
        text_rates: keep_rates at which texts get rows of decision_pct and fact_pct.

    Returns:
        Rows for `scores`, no two with one key: of `evaluate_scores`, `guard_rows` and
        what was asked for.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: the scorer did not give one number in [0, 1] a word.

    Source: design §1 "Honest figures".
    """
    scores = scorer.score([text.text for text in suite.texts], progress=progress)
    count_tokens = count_tokens or tokens_of(scorer)
    predictions = make_predictions(
        scores, suite, config, seed=seed, count_tokens=count_tokens
    )
    rows = [*score_rows(predictions, text_rates), *guard_rows(predictions)]
    if rules:
        rows += [*rule_rows(predictions), time_override(suite, predictions.config)]
    if robustness:
        rows += robustness_rows(scorer, predictions, seed, other_domain)
    return _unique(rows)


def score_rows(
    predictions: Predictions, text_rates: Sequence[float] = ()
) -> list[Score]:
    """Make the rows of `evaluate_scores`, and those of texts at other keep_rates."""
    own_W, override = predictions.own_W, predictions.config.override
    own = predictions.rows()
    rows = [*_condition(own, own_W), own.substring(own_W), *own.texts(own_W)]
    rows.append(own.figure(area(predictions)))
    for rate in predictions.config.keep_rates:
        rows += _condition(predictions.rows(rate=rate), predictions.keep_top(rate))
    for rate in text_rates:
        maker = predictions.rows(rate=rate)
        rows += maker.text_decisions(predictions.keep_top(rate))
    overridden = predictions.rows(override=override)
    with_override_W = own_W | predictions.suite.override_W
    rows += overridden.survival(with_override_W)
    rows += overridden.savings(with_override_W)
    rows.append(overridden.figure(_override_delta(predictions)))
    return rows


def _condition(maker: RowMaker, keep_W: BoolArray) -> list[Score]:
    return [
        *maker.survival(keep_W),
        *maker.savings(keep_W),
        *maker.gold(keep_W),
        *maker.decisions(keep_W),
    ]


def _override_delta(predictions: Predictions) -> Figure:
    suite, own_W = predictions.suite, predictions.own_W
    must_T = suite.by_text(suite.must_W)
    counts_T3 = np.stack(
        [
            suite.by_text(suite.must_W & (own_W | suite.override_W)),
            suite.by_text(suite.must_W & own_W),
            must_T,
        ],
        axis=1,
    )
    n = int(must_T.sum())
    return Figure("override_delta", "all", counts_T3, difference_statistic, n)


def _unique(rows: Iterable[Score]) -> list[Score]:
    """Keep the first row of each key that `scores` has."""
    found: dict[tuple[object, ...], Score] = {}
    for row in rows:
        key = (
            row.suite,
            row.stratum,
            row.rule_set,
            row.definition,
            row.override,
            row.target_keep_rate,
            row.step,
            row.metric,
            row.text_sha256,
        )
        found.setdefault(key, row)
    return list(found.values())
