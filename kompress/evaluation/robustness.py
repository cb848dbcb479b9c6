"""How much a student loses when a text looks otherwise and says the same.

Decisions on the changed texts are carried back to the original words, so gold,
must-keep words and denominators stay, and the drop is paired text by text.

N = words of one text, W = words of the suite
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kompress.evaluation.figures import Figure, RowMaker, gold, survival
from kompress.evaluation.perturbations import PERTURBATIONS, perturb
from kompress.evaluation.predictions import (
    OWN_THRESHOLD,
    Predictions,
    Scorer,
    flatten,
    make_predictions,
)
from kompress.evaluation.prepared_suite import PreparedSuite
from kompress.evaluation.suites import Suite
from kompress.metrics.bootstrap import (
    Difference,
    Interval,
    independent_difference,
    paired_difference,
    sum_by_group,
)
from kompress.types import BoolArray, Score


@dataclass(frozen=True, slots=True)
class _Changed:
    """Predictions on changed texts, whose masks are asked for in the original order."""

    predictions: Predictions
    order_W: NDArray[np.int64]

    def keep(self, rate: float | None) -> BoolArray:
        keep_W = np.empty_like(self.predictions.own_W)
        keep_W[self.order_W] = self.predictions.keep(rate)
        return keep_W


def robustness_rows(
    scorer: Scorer,
    predictions: Predictions,
    seed: int,
    other_domain: Suite | None = None,
) -> list[Score]:
    """Score a student on changed texts, and give the drop with its interval.

    Each perturbation is a suite of its own, named as `agent~identifiers`,
    `agent~digits`, `agent~indentation`, `agent~lines`, and `agent~domain` for the other
    domain. At the own threshold and at each keep_rate, in stratum `all` (f1 in `plain`
    too): exact_pct, keep_rate, f1 on gold; and `exact_pct_drop`, `keep_rate_drop`,
    `f1_drop`: the original suite's figure minus this one. Drops are paired, but for
    the other domain, whose texts are others: there both sides are resampled.

    Args:
        scorer: a student, or a baseline.
        predictions: what it keeps of the suite.
        seed: decides the perturbations and the resamples.
        other_domain: texts of kinds that the student did not train on; None or empty
            leaves the domain out.

    Returns:
        Rows for `scores`; n as for the metric on that suite.

    Raises:
        InvalidSuite: the other domain's gold does not fit.
        InvalidVotes: the scorer did not give one number in [0, 1] a word.

    Source: Ribeiro et al. 2020 (CheckList, invariance tests); ours.
    """
    rates: list[float | None] = [None, *predictions.config.keep_rates]
    rows: list[Score] = []
    for name in PERTURBATIONS:
        changed = _change(scorer, predictions, name, seed)
        for rate in rates:
            rows += _paired_rows(predictions, changed, rate)
    if other_domain is not None and other_domain.texts:
        named = replace(other_domain, name=f"{predictions.suite.name}~domain")
        scores = scorer.score([text.text for text in named.texts])
        other = make_predictions(scores, named, predictions.config, seed=seed)
        for rate in rates:
            rows += _independent_rows(predictions, other, rate)
    return rows


def _change(scorer: Scorer, predictions: Predictions, name: str, seed: int) -> _Changed:
    """Score the changed texts."""
    suite = predictions.suite
    changed = [perturb(text.text, name, seed) for text in suite.texts]
    score_W = flatten(suite, scorer.score([each.text for each in changed]))
    starts_T = np.concatenate([[0], suite.end_T[:-1]])
    orders = [
        start + each.order_N for start, each in zip(starts_T, changed, strict=True)
    ]
    return _Changed(
        replace(
            predictions,
            suite=replace(suite, name=f"{suite.name}~{name}"),
            score_W=score_W,
            own_W=score_W > OWN_THRESHOLD,
        ),
        np.concatenate(orders),
    )


def _figures(suite: PreparedSuite, keep_W: BoolArray) -> list[Figure]:
    return [*survival(suite, keep_W), *gold(suite, keep_W)]


def _paired_rows(
    predictions: Predictions, changed: _Changed, rate: float | None
) -> Iterator[Score]:
    suite = predictions.suite
    maker = changed.predictions.rows(rate=rate)
    before = _figures(suite, predictions.keep(rate))
    after = _figures(suite, changed.keep(rate))
    for old, new in zip(before, after, strict=True):
        yield maker.figure(new)
        drop = paired_difference(
            sum_by_group(old.counts_TK, suite.group_ids),
            sum_by_group(new.counts_TK, suite.group_ids),
            predictions.weights_BG,
            new.statistic,
        )
        yield _drop_row(maker, new, drop)


def _independent_rows(
    predictions: Predictions, other: Predictions, rate: float | None
) -> Iterator[Score]:
    maker = other.rows(rate=rate)
    before = {
        (figure.metric, figure.stratum): figure
        for figure in _figures(predictions.suite, predictions.keep(rate))
    }
    for new in _figures(other.suite, other.keep(rate)):
        yield maker.figure(new)
        old = before.get((new.metric, new.stratum))
        if old is None:
            continue
        drop = independent_difference(
            sum_by_group(old.counts_TK, predictions.suite.group_ids),
            sum_by_group(new.counts_TK, other.suite.group_ids),
            predictions.weights_BG,
            other.weights_BG,
            new.statistic,
        )
        yield _drop_row(maker, new, drop)


def _drop_row(maker: RowMaker, figure: Figure, drop: Difference) -> Score:
    return maker.row(
        f"{figure.metric}_drop",
        figure.stratum,
        drop.value,
        figure.n,
        Interval(drop.low, drop.high),
    )
