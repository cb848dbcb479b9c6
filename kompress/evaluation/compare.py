"""Whether one student is better than another, on the same texts and resamples.

N = words of one text, W = words of the suite
"""

from dataclasses import dataclass

from kompress.config import EvaluationConfig
from kompress.evaluation.figures import Figure, headline
from kompress.evaluation.guards import find_guarded, negations
from kompress.evaluation.predictions import Arrays, Predictions, area, make_predictions
from kompress.evaluation.prepared_suite import CountTokens
from kompress.evaluation.suites import Suite
from kompress.metrics.bootstrap import paired_difference, sum_by_group
from kompress.types import BoolArray


@dataclass(frozen=True, slots=True)
class FigureDifference:
    """One figure of a first student less that of a second.

    Attributes:
        metric: as in `scores`.
        stratum: `all` or `plain`.
        target_keep_rate: None means each student's own threshold.
        a: the first student's value, None where the denominator is 0.
        b: the second's.
        difference: a - b.
        ci_low: lower end of its 95 % interval, None where it was not computed.
        ci_high: upper end.
        p_value: two-sided, None where there is no interval.
        n: the denominator of both.
    """

    metric: str
    stratum: str
    target_keep_rate: float | None
    a: float | None
    b: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    n: int


def compare(
    a_scores: Arrays,
    b_scores: Arrays,
    suite: Suite,
    config: EvaluationConfig | None = None,
    seed: int = 0,
    *,
    count_tokens: CountTokens | None = None,
) -> list[FigureDifference]:
    """Compare two students by a paired test of every headline figure.

    At the own thresholds, where the one that keeps more has it easier (read keep_rate
    beside), and at each of the config's keep_rates, where both keep equally many words
    of each text. Once: exact_auc.

    Args:
        a_scores: the first student's (N,) array a text.
        b_scores: the second's.
        suite: the texts, at least one.
        config: rule set, keep_rates and number of bootstraps; the defaults if None.
        seed: decides the resamples.
        count_tokens: one tokenizer for both; None leaves token_savings out.

    Returns:
        For each condition: exact_pct, keep_rate, token_savings, f1 (all and plain),
        decision_pct, fact_pct and negation_pct, as far as the suite allows.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: scores or tokens do not fit the texts.

    Source: design §9 (a paired test over groups); `metrics.bootstrap`.
    """
    a, b = (
        make_predictions(scores, suite, config, seed=seed, count_tokens=count_tokens)
        for scores in (a_scores, b_scores)
    )
    guarded_W = find_guarded(a.suite)
    rates: list[float | None] = [None, *a.config.keep_rates]
    found = [
        _compare(a, figure, other, rate)
        for rate in rates
        for figure, other in zip(
            _figures(a, guarded_W, rate), _figures(b, guarded_W, rate), strict=True
        )
    ]
    return [*found, _compare(a, area(a), area(b), None)]


def _figures(
    predictions: Predictions, guarded_W: BoolArray, rate: float | None
) -> list[Figure]:
    keep_W = predictions.keep(rate)
    guarded = negations(predictions.suite, guarded_W, keep_W)
    return [*headline(predictions.suite, keep_W), guarded]


def _compare(
    predictions: Predictions, a: Figure, b: Figure, rate: float | None
) -> FigureDifference:
    groups = predictions.suite.group_ids
    difference = paired_difference(
        sum_by_group(a.counts_TK, groups),
        sum_by_group(b.counts_TK, groups),
        predictions.weights_BG,
        a.statistic,
    )
    return FigureDifference(
        metric=a.metric,
        stratum=a.stratum,
        target_keep_rate=rate,
        a=a.value,
        b=b.value,
        difference=difference.value,
        ci_low=difference.low,
        ci_high=difference.high,
        p_value=difference.p_value,
        n=a.n,
    )
