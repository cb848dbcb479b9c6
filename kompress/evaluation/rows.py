"""Turn one keep mask of a suite into rows of `scores`.

W = words of the suite, T = texts, S = strata, K = counts of one statistic
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.evaluation.sheet import Sheet
from kompress.labels import count_must_keep
from kompress.metrics.bootstrap import (
    Interval,
    Statistic,
    f1_statistic,
    percentile_interval,
    ratio_statistic,
    sum_by_group,
)
from kompress.metrics.ratios import Confusion, ratio
from kompress.types import PLAIN, STRATA, BoolArray, Definition, FloatArray, Score
from kompress.words import join_kept


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes rows of one suite under one condition.

    Attributes:
        sheet: the suite.
        weights_BG: resamples, shared by all figures so that they are paired.
        rule_set: names the must-keep words.
        override: rule set of the override, '' for none.
        target_keep_rate: None for the own threshold.
    """

    sheet: Sheet
    weights_BG: FloatArray
    rule_set: str
    override: str = ""
    target_keep_rate: float | None = None

    def survival(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give exact_pct and keep_rate: for all, by stratum and by kind."""
        sheet = self.sheet
        kept_W = keep_W & sheet.must_W
        yield self._interval_row("exact_pct", "all", kept_W, sheet.must_W)
        all_W = np.ones_like(keep_W)
        yield self._interval_row("keep_rate", "all", keep_W, all_W)
        kept_S, must_S = sheet.by_stratum(kept_W), sheet.by_stratum(sheet.must_W)
        for code in np.flatnonzero(must_S):
            value = ratio(int(kept_S[code]), int(must_S[code]))
            yield self.row("exact_pct", STRATA[code], value, int(must_S[code]))
        yield from self._by_kind("exact_pct", kept_W, sheet.must_W)
        yield from self._by_kind("keep_rate", keep_W, all_W)

    def gold(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give f1, precision and recall on known gold; recall by stratum too."""
        sheet = self.sheet
        if not sheet.known_W.any():
            return
        for stratum, of_W in (
            ("all", sheet.known_W),
            ("plain", sheet.known_W & (sheet.stratum_W == PLAIN)),
        ):
            counts_T3 = self.confusion_by_text(keep_W, of_W)
            counts = Confusion(*map(int, counts_T3.sum(axis=0)))
            interval = self.interval(counts_T3, f1_statistic)
            n = int(np.count_nonzero(of_W))
            yield self.row("f1", stratum, counts.f1, n, interval)
            yield from self._precision_recall(counts, stratum)
        truth_S = sheet.by_stratum(sheet.truth_W)
        kept_S = sheet.by_stratum(sheet.truth_W & keep_W)
        for code in np.flatnonzero(truth_S):
            if code != PLAIN:
                value = ratio(int(kept_S[code]), int(truth_S[code]))
                yield self.row("recall", STRATA[code], value, int(truth_S[code]))

    def decisions(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give the share of questions whose facts' words all survive."""
        if not self.sheet.questions:
            return
        counts_T2 = np.zeros((self.sheet.num_texts, 2))
        for text, words in self.sheet.questions:
            counts_T2[text] += (float(keep_W[words].all()), 1.0)
        decided, n = map(int, counts_T2.sum(axis=0))
        interval = self.interval(counts_T2, ratio_statistic)
        yield self.row("decision_pct", "all", ratio(decided, n), n, interval)

    def texts(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give each text's exact_pct, keep_rate and, on gold, f1, precision, recall."""
        sheet = self.sheet
        must_T = sheet.by_text(sheet.must_W)
        must_kept_T = sheet.by_text(sheet.must_W & keep_W)
        kept_T, words_T = sheet.by_text(keep_W), sheet.by_text(np.ones_like(keep_W))
        known_T = sheet.by_text(sheet.known_W)
        counts_T3 = self.confusion_by_text(keep_W, sheet.known_W)
        for index, text in enumerate(sheet.suite.texts):
            sha = text.sha256
            exact = ratio(must_kept_T[index], must_T[index])
            yield self.row("exact_pct", "all", exact, int(must_T[index]), text=sha)
            rate = ratio(kept_T[index], words_T[index])
            yield self.row("keep_rate", "all", rate, int(words_T[index]), text=sha)
            if known_T[index]:
                counts = Confusion(*map(int, counts_T3[index]))
                n = int(known_T[index])
                yield self.row("f1", "all", counts.f1, n, text=sha)
                yield from self._precision_recall(counts, "all", text=sha)

    def substring(self, keep_W: BoolArray) -> Score:
        """Give exact_pct by the published definition, for comparison only."""
        counts_T2 = np.zeros((self.sheet.num_texts, 2))
        masks = self.sheet.split(keep_W)
        for index, text in enumerate(self.sheet.suite.texts):
            total, kept = count_must_keep(
                text.text,
                join_kept(text.text, masks[index]),
                rule_set=self.rule_set,
                definition="substring",
            )["all"]
            counts_T2[index] = (kept, total)
        kept, n = map(int, counts_T2.sum(axis=0))
        interval = self.interval(counts_T2, ratio_statistic)
        value = ratio(kept, n)
        return self.row("exact_pct", "all", value, n, interval, definition="substring")

    def confusion_by_text(
        self, keep_W: BoolArray, of_W: BoolArray
    ) -> NDArray[np.float64]:
        """Count (T, 3) TP, FP, FN among the words of a mask."""
        truth_W = self.sheet.truth_W
        masks = (keep_W & truth_W, keep_W & ~truth_W, ~keep_W & truth_W)
        return np.stack([self.sheet.by_text(mask & of_W) for mask in masks], axis=1)

    def interval(self, counts_TK: FloatArray, statistic: Statistic) -> Interval:
        """Resample groups of texts."""
        counts_GK = sum_by_group(counts_TK, self.sheet.group_ids)
        return percentile_interval(counts_GK, self.weights_BG, statistic)

    def row(
        self,
        metric: str,
        stratum: str,
        value: float | None,
        n: int,
        interval: Interval | None = None,
        *,
        text: str = "",
        definition: Definition = "multiset",
    ) -> Score:
        """Make one row; only survival figures name a rule set."""
        of_rules = metric in {"exact_pct", "exact_auc", "override_delta"}
        return Score(
            suite=self.sheet.suite.name,
            stratum=stratum,
            metric=metric,
            value=value,
            n=n,
            rule_set=self.rule_set if of_rules else "",
            definition=definition,
            override=self.override,
            target_keep_rate=self.target_keep_rate,
            text_sha256=text,
            ci_low=None if interval is None else interval.low,
            ci_high=None if interval is None else interval.high,
        )

    def _precision_recall(
        self, counts: Confusion, stratum: str, *, text: str = ""
    ) -> Iterator[Score]:
        chosen, wanted = counts.tp + counts.fp, counts.tp + counts.fn
        yield self.row("precision", stratum, counts.precision, chosen, text=text)
        yield self.row("recall", stratum, counts.recall, wanted, text=text)

    def _interval_row(
        self, metric: str, stratum: str, part_W: BoolArray, whole_W: BoolArray
    ) -> Score:
        sheet = self.sheet
        counts_T2 = np.stack([sheet.by_text(part_W), sheet.by_text(whole_W)], axis=1)
        part, whole = map(int, counts_T2.sum(axis=0))
        interval = self.interval(counts_T2, ratio_statistic)
        return self.row(metric, stratum, ratio(part, whole), whole, interval)

    def _by_kind(
        self, metric: str, part_W: BoolArray, whole_W: BoolArray
    ) -> Iterator[Score]:
        part_T, whole_T = self.sheet.by_text(part_W), self.sheet.by_text(whole_W)
        kinds = [text.kind for text in self.sheet.suite.texts]
        for kind in sorted(set(kinds)):
            of_T = np.array([each == kind for each in kinds])
            part, whole = int(part_T[of_T].sum()), int(whole_T[of_T].sum())
            if whole:
                yield self.row(metric, f"kind={kind}", ratio(part, whole), whole)
