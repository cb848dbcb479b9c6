"""How much a student loses when a text looks otherwise and says the same.

Decisions on the changed texts are carried back to the original words, so gold,
must-keep words and denominators stay, and the drop is paired text by text.

N = words of one text, W = words of the suite
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kompress.evaluation.figures import Figure, gold, survival
from kompress.evaluation.perturbations import PERTURBATIONS, perturb
from kompress.evaluation.rows import RowMaker
from kompress.evaluation.sheet import Sheet
from kompress.evaluation.subject import (
    OWN_THRESHOLD,
    Scorer,
    Subject,
    flatten,
    take,
)
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
    """A subject on changed texts, whose masks are asked for in the original order."""

    subject: Subject
    order_W: NDArray[np.int64]

    def keep(self, rate: float | None) -> BoolArray:
        keep_W = np.empty_like(self.subject.own_W)
        keep_W[self.order_W] = self.subject.keep(rate)
        return keep_W


def robustness_rows(
    scorer: Scorer,
    subject: Subject,
    *,
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
        subject: what it keeps of the suite.
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
    rates: list[float | None] = [None, *subject.config.keep_rates]
    rows: list[Score] = []
    for name in PERTURBATIONS:
        changed = _change(scorer, subject, name, seed)
        for rate in rates:
            rows += _paired_rows(subject, changed, rate)
    if other_domain is not None and other_domain.texts:
        named = replace(other_domain, name=f"{subject.sheet.suite.name}~domain")
        scores = scorer.score([text.text for text in named.texts])
        other = take(scores, named, subject.config, seed=seed)
        for rate in rates:
            rows += _independent_rows(subject, other, rate)
    return rows


def _change(scorer: Scorer, subject: Subject, name: str, seed: int) -> _Changed:
    """Score the changed texts."""
    sheet = subject.sheet
    changed = [perturb(text.text, name, seed) for text in sheet.suite.texts]
    score_W = flatten(sheet, scorer.score([each.text for each in changed]))
    starts_T = np.concatenate([[0], sheet.end_T[:-1]])
    orders = [
        start + each.order_N for start, each in zip(starts_T, changed, strict=True)
    ]
    suite = Suite(f"{sheet.suite.name}~{name}", sheet.suite.texts)
    return _Changed(
        replace(
            subject,
            sheet=replace(sheet, suite=suite),
            score_W=score_W,
            own_W=score_W > OWN_THRESHOLD,
        ),
        np.concatenate(orders),
    )


def _figures(sheet: Sheet, keep_W: BoolArray) -> list[Figure]:
    return [*survival(sheet, keep_W), *gold(sheet, keep_W)]


def _paired_rows(
    subject: Subject, changed: _Changed, rate: float | None
) -> Iterator[Score]:
    sheet = subject.sheet
    maker = changed.subject.rows(rate=rate)
    before = _figures(sheet, subject.keep(rate))
    after = _figures(sheet, changed.keep(rate))
    for old, new in zip(before, after, strict=True):
        yield maker.figure(new)
        drop = paired_difference(
            sum_by_group(old.counts_TK, sheet.group_ids),
            sum_by_group(new.counts_TK, sheet.group_ids),
            subject.weights_BG,
            new.statistic,
        )
        yield _drop_row(maker, new, drop)


def _independent_rows(
    subject: Subject, other: Subject, rate: float | None
) -> Iterator[Score]:
    maker = other.rows(rate=rate)
    before = {
        (figure.metric, figure.stratum): figure
        for figure in _figures(subject.sheet, subject.keep(rate))
    }
    for new in _figures(other.sheet, other.keep(rate)):
        yield maker.figure(new)
        old = before.get((new.metric, new.stratum))
        if old is None:
            continue
        drop = independent_difference(
            sum_by_group(old.counts_TK, subject.sheet.group_ids),
            sum_by_group(new.counts_TK, other.sheet.group_ids),
            subject.weights_BG,
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
