"""The headline figures of one keep mask, as counts a text: what rows and tests share.

W = words of the suite, T = texts, B = bootstraps, K = counts of one statistic
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kompress.evaluation.sheet import Sheet
from kompress.metrics.bootstrap import Statistic, f1_statistic, ratio_statistic
from kompress.types import PLAIN, BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a suite, before it is divided.

    Attributes:
        metric: as in `scores`.
        stratum: `all` or `plain`.
        counts_TK: (T, K) counts of each text; columns are what the statistic reads.
        statistic: maps sums (B, K) to values (B,).
        n: the denominator; for f1 the words with known gold.
    """

    metric: str
    stratum: str
    counts_TK: FloatArray
    statistic: Statistic
    n: int

    @property
    def value(self) -> float | None:
        """The micro average over all texts, None where the denominator is 0."""
        value = float(self.statistic(self.counts_TK.sum(axis=0, keepdims=True))[0])
        return value if np.isfinite(value) else None

    def of_texts(self, of_T: BoolArray, stratum: str) -> "Figure":
        """Give a ratio of some texts only; its n is the sum of the last column."""
        counts_TK = self.counts_TK[of_T]
        n = int(counts_TK[:, -1].sum())
        return replace(self, stratum=stratum, counts_TK=counts_TK, n=n)


def share(metric: str, part_T: FloatArray, whole_T: FloatArray) -> Figure:
    """Make a micro-averaged ratio of counts: sum of parts / sum of wholes."""
    counts_T2 = np.stack([part_T, whole_T], axis=1)
    return Figure(metric, "all", counts_T2, ratio_statistic, int(whole_T.sum()))


def headline(sheet: Sheet, keep_W: BoolArray) -> list[Figure]:
    """Count every headline figure that the suite allows.

    Args:
        sheet: the suite.
        keep_W: (W,) which words are kept.

    Returns:
        The figures of `survival`, `savings`, `gold` and `decisions`, in this order.

    Source: design §1 "Exactly".
    """
    return [
        *survival(sheet, keep_W),
        *savings(sheet, keep_W),
        *gold(sheet, keep_W),
        *decisions(sheet, keep_W),
    ]


def survival(sheet: Sheet, keep_W: BoolArray) -> list[Figure]:
    """Count exact_pct and keep_rate.

    Returns:
        exact_pct: kept must-keep words / must-keep words; keep_rate: kept words /
        words.

    Source: design §1 "Exactly".
    """
    kept_T, words_T = sheet.by_text(keep_W), sheet.by_text(np.ones_like(keep_W))
    must_kept_T = sheet.by_text(keep_W & sheet.must_W)
    return [
        share("exact_pct", must_kept_T, sheet.by_text(sheet.must_W)),
        share("keep_rate", kept_T, words_T),
    ]


def savings(sheet: Sheet, keep_W: BoolArray) -> list[Figure]:
    """Count token_savings = 1 - tokens kept / tokens, where a tokenizer was given.

    Source: ours; tokens of words alone, see `sheet.CountTokens`.
    """
    if sheet.tokens_W is None:
        return []
    saved_T = sheet.tokens_by_text(~keep_W)
    whole_T = sheet.tokens_by_text(np.ones_like(keep_W))
    return [share("token_savings", saved_T, whole_T)]


def gold(sheet: Sheet, keep_W: BoolArray) -> list[Figure]:
    """Count f1 on known gold, of all and of plain words; nothing without gold.

    Source: design §1 "Exactly" (micro, keep is positive).
    """
    if not sheet.known_W.any():
        return []
    plain_W = sheet.known_W & (sheet.stratum_W == PLAIN)
    return [
        Figure("f1", stratum, counts_T3, f1_statistic, int(np.count_nonzero(of_W)))
        for stratum, of_W in (("all", sheet.known_W), ("plain", plain_W))
        for counts_T3 in [confusion_by_text(sheet, keep_W, of_W)]
    ]


def decisions(sheet: Sheet, keep_W: BoolArray) -> list[Figure]:
    """Count what a reader can still decide; nothing without questions or facts.

    Returns:
        decision_pct: questions all of whose facts survive / questions; fact_pct:
        planted facts all of whose words survive / planted facts.

    Source: ours.
    """
    found = []
    for metric, parts in (
        ("decision_pct", sheet.questions),
        ("fact_pct", sheet.facts),
    ):
        if parts:
            found.append(share(metric, *_all_kept(sheet, keep_W, parts)))
    return found


def confusion_by_text(
    sheet: Sheet, keep_W: BoolArray, of_W: BoolArray
) -> NDArray[np.float64]:
    """Count (T, 3) TP, FP, FN among the words of a mask."""
    truth_W = sheet.truth_W
    masks = (keep_W & truth_W, keep_W & ~truth_W, ~keep_W & truth_W)
    return np.stack([sheet.by_text(mask & of_W) for mask in masks], axis=1)


def _all_kept(
    sheet: Sheet,
    keep_W: BoolArray,
    parts: Sequence[tuple[int, NDArray[np.int64]]],
) -> tuple[FloatArray, FloatArray]:
    """Count by text the parts all of whose words are kept, and the parts."""
    text_P = np.array([text for text, _ in parts])
    sizes_P = np.array([len(words) for _, words in parts])
    kept = keep_W[np.concatenate([words for _, words in parts])]
    starts_P = np.cumsum(sizes_P) - sizes_P
    whole_P = np.add.reduceat(kept.astype(np.int64), starts_P) == sizes_P
    num = sheet.num_texts
    return (
        np.bincount(text_P[whole_P], minlength=num).astype(np.float64),
        np.bincount(text_P, minlength=num).astype(np.float64),
    )
