"""Measure scores of lines on marked logs: one row of figures a log, means, intervals.

L = lines of one log, T = logs, B = bootstraps, G = repositories
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kompress.diagnosis.figures import (
    average_precision,
    error_lines_lost,
    evidence_recall,
    line_auc,
    signal_recall,
)
from kompress.diagnosis.gold import GoldLog
from kompress.lines.cut import CHARS_PER_TOKEN
from kompress.lines.log_lines import LogLines, prepare_log
from kompress.metrics.bootstrap import (
    Interval,
    percentile_interval,
    ratio_statistic,
    resample_weights,
    sum_by_group,
)
from kompress.types import KEEP, UNKNOWN, BoolArray, FloatArray

BUDGETS = (1000, 2000, 4000)  # tokens
SHARES = (5, 10, 20)  # percent of a log's tokens
NUM_BOOTSTRAPS = 1000


class Selection(Protocol):
    """Chooses lines within a budget (`kompress.lines.selection`)."""

    def __call__(
        self, score_L: FloatArray, log: LogLines, *, max_tokens: float
    ) -> BoolArray:
        """Give (L,) which lines are kept."""
        ...


@dataclass(frozen=True, slots=True)
class DiagnosisCase:
    """A marked log, prepared once for all voters."""

    gold: GoldLog
    log: LogLines

    @property
    def keep_L(self) -> FloatArray:
        """(L,) share of annotators who keep a line, NaN where none says."""
        codes = np.stack(list(self.gold.marks.values()))
        said_L = (codes != UNKNOWN).sum(axis=0)
        kept_L = (codes == KEEP).sum(axis=0)
        return np.where(said_L > 0, kept_L / np.maximum(said_L, 1), np.nan)


@dataclass(frozen=True, slots=True)
class MeanOverLogs:
    """A mean over logs and its 95 % interval by repository."""

    mean: float
    interval: Interval
    num_logs: int


def prepare_case(gold: GoldLog) -> DiagnosisCase:
    """Prepare a marked log and its twin."""
    return DiagnosisCase(gold=gold, log=prepare_log(gold.lines, gold.twin))


def measure_case(
    case: DiagnosisCase, score_L: FloatArray, select: Selection
) -> dict[str, float]:
    """Give all figures of one log; NaN where one is not defined.

    Figures on lines are means over annotators. `tokens@n` are what was used of a
    budget, `lost@n` and `errors` count lines (see `error_lines_lost`).

    Args:
        case: the log.
        score_L: (L,) scores, of which the AUC and the precision look at the order.
        select: what is kept within each budget.
    """
    marks = list(case.gold.marks.values())
    found = {
        "line_auc": _mean([line_auc(score_L, code_L) for code_L in marks]),
        "average_precision": _mean([average_precision(score_L, c) for c in marks]),
    }
    num_chars_L = case.log.lines.num_chars_L
    total = float(num_chars_L.sum()) / CHARS_PER_TOKEN
    budgets = {str(tokens): float(tokens) for tokens in BUDGETS}
    budgets |= {f"{share}%": total * share / 100 for share in SHARES}
    for name, max_tokens in budgets.items():
        kept_L = select(score_L, case.log, max_tokens=max_tokens)
        lost = [error_lines_lost(kept_L, code_L, case.log) for code_L in marks]
        kept = case.log.lines.keep(kept_L)
        found |= {
            f"recall@{name}": _mean([evidence_recall(kept_L, c) for c in marks]),
            f"signals@{name}": signal_recall(kept, case.gold.signals),
            f"tokens@{name}": len(kept) / CHARS_PER_TOKEN,
            f"lost@{name}": _mean([float(count) for count, _ in lost]),
            "errors": _mean([float(total) for _, total in lost]),
        }
    return found


def summarise(
    rows: Sequence[Mapping[str, float]],
    repositories: Sequence[str],
    *,
    rng: np.random.Generator,
) -> dict[str, MeanOverLogs]:
    """Give each figure's mean over logs, logs without it aside.

    Args:
        rows: T rows of `measure_case`.
        repositories: T names; intervals resample these.
        rng: source of the resamples, which all figures share.
    """
    num_groups = len(set(repositories))
    weights_BG = resample_weights(num_groups, num_bootstraps=NUM_BOOTSTRAPS, rng=rng)
    return {
        name: _figure(np.array([row[name] for row in rows]), repositories, weights_BG)
        for name in rows[0]
    }


def _figure(
    value_T: FloatArray, repositories: Sequence[str], weights_BG: FloatArray
) -> MeanOverLogs:
    known_T = ~np.isnan(value_T)
    sums_TK = np.column_stack([np.where(known_T, value_T, 0.0), known_T])
    counts_GK = sum_by_group(sums_TK, repositories)
    return MeanOverLogs(
        mean=float(ratio_statistic(sums_TK.sum(axis=0, keepdims=True))[0]),
        interval=percentile_interval(counts_GK, weights_BG, ratio_statistic),
        num_logs=int(known_T.sum()),
    )


def _mean(values: Sequence[float]) -> float:
    """Average what is defined; NaN if nothing is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
