"""How well one person finds another's lines: the ceiling of every table; and by it.

L = lines of one log, T = logs, C = candidate thresholds
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.diagnosis.measure import DiagnosisCase
from kompress.types import KEEP, UNKNOWN, BoolArray, FloatArray

NUM_THRESHOLDS = 400


@dataclass(frozen=True, slots=True)
class PairFigures:
    """What is found of somebody's lines; means over logs.

    Attributes:
        recall: share of the first's lines that the second also marks.
        precision: share of the second's lines that the first also marks; a log of which
            nothing is marked does not count.
        kappa: agreement beyond chance, None where it is not asked for.
        num_logs: logs that count.
    """

    recall: float
    precision: float
    kappa: float | None
    num_logs: int


def measure_people(cases: Sequence[DiagnosisCase]) -> PairFigures | None:
    """Compare the first two annotators, by name; None if no log has two.

    Lines that one of them left open count nowhere.

    Source: kappa, Cohen 1960.
    """
    found = []
    for case in cases:
        names = sorted(case.gold.marks)[:2]
        if len(names) == 2:
            first_L, second_L = (case.gold.marks[name] for name in names)
            both_L = (first_L != UNKNOWN) & (second_L != UNKNOWN)
            pair = (first_L[both_L] == KEEP, second_L[both_L] == KEEP)
            found.append((*_overlap(*pair), _kappa(*pair)))
    if not found:
        return None
    recall, precision, kappa = np.nanmean(np.array(found), axis=0)
    return PairFigures(float(recall), float(precision), float(kappa), len(found))


def recall_at_precision(
    cases: Sequence[DiagnosisCase],
    scores: Sequence[FloatArray],
    fold_T: NDArray[np.int64],
    *,
    precision: float,
) -> PairFigures:
    """Give what scores find at a precision; each fold's threshold is the others'.

    Args:
        cases: T logs.
        scores: T arrays (L,).
        fold_T: (T,) folds.
        precision: mean precision that the threshold has on the other folds; of all such
            the one with the highest recall there.

    Returns:
        What comes of it on the folds themselves, which need not be that precision.
    """
    # The scores of so many lines from the top, ever closer towards it.
    share_C = np.append(0, np.geomspace(1e-5, 0.5, NUM_THRESHOLDS))
    threshold_C = np.unique(np.quantile(np.concatenate(list(scores)), 1 - share_C))
    found_TC2 = np.array(
        [
            _sweep(case, score_L, threshold_C)
            for case, score_L in zip(cases, scores, strict=True)
        ]
    )
    chosen = np.full((len(cases), 2), np.nan)
    for fold in np.unique(fold_T):
        recall_C, precision_C = _means(found_TC2[fold_T != fold])
        fits_C = precision_C >= precision
        best = np.where(fits_C, recall_C, -1).argmax() if fits_C.any() else -1
        chosen[fold_T == fold] = found_TC2[fold_T == fold, best]
    recall, got = _means(chosen[:, None])
    return PairFigures(float(recall[0]), float(got[0]), None, len(cases))


def _means(found_TC2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give mean recall, and mean precision of the logs where something is marked."""
    known_TC = ~np.isnan(found_TC2[..., 1])
    sum_C = np.where(known_TC, found_TC2[..., 1], 0).sum(axis=0)
    count_C = known_TC.sum(axis=0)
    precision_C = np.where(count_C > 0, sum_C / np.maximum(count_C, 1), np.nan)
    return np.nanmean(found_TC2[..., 0], axis=0), precision_C


def _sweep(
    case: DiagnosisCase, score_L: FloatArray, threshold_C: FloatArray
) -> FloatArray:
    """Give (C, 2) recall and precision at thresholds, against the first annotator."""
    code_L = case.gold.marks[min(case.gold.marks)]
    known_L = code_L != UNKNOWN
    keep_L, score_L = code_L[known_L] == KEEP, score_L[known_L]
    order = np.argsort(-score_L, kind="stable")
    hits = np.append(0, np.cumsum(keep_L[order]))
    taken_C = np.searchsorted(-score_L[order], -threshold_C, side="right")
    recall_C = hits[taken_C] / hits[-1] if hits[-1] else np.full(len(taken_C), np.nan)
    precision_C = np.where(taken_C > 0, hits[taken_C] / np.maximum(taken_C, 1), np.nan)
    return np.stack([recall_C, precision_C], axis=1)


def _overlap(first_L: BoolArray, second_L: BoolArray) -> tuple[float, float]:
    both = float((first_L & second_L).sum())
    recall = both / first_L.sum() if first_L.any() else float("nan")
    precision = both / second_L.sum() if second_L.any() else float("nan")
    return float(recall), float(precision)


def _kappa(first_L: BoolArray, second_L: BoolArray) -> float:
    if not len(first_L):
        return float("nan")
    observed = float((first_L == second_L).mean())
    a, b = float(first_L.mean()), float(second_L.mean())
    by_chance = a * b + (1 - a) * (1 - b)
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
