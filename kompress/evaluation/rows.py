"""Turn one keep mask of a suite into rows of `scores`.

W = words of the suite, T = texts, S = strata, K = counts of one statistic
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from kompress.evaluation import figures
from kompress.evaluation.figures import Figure
from kompress.evaluation.sheet import Sheet
from kompress.metrics.bootstrap import (
    Interval,
    Statistic,
    percentile_interval,
    sum_by_group,
)
from kompress.metrics.ratios import Confusion, ratio
from kompress.must_keep import PUBLISHED
from kompress.types import PLAIN, STRATA, BoolArray, Definition, FloatArray, Score
from kompress.words import join_kept, word_list

# Only figures of survival depend on a rule set; their rows name it.
_OF_RULES = {"exact_pct", "exact_auc", "override_delta", "exact_pct_drop"}


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
        found = figures.survival(sheet, keep_W)
        yield from map(self.figure, found)
        kept_S = sheet.by_stratum(keep_W & sheet.must_W)
        must_S = sheet.by_stratum(sheet.must_W)
        for code in np.flatnonzero(must_S):
            value = ratio(int(kept_S[code]), int(must_S[code]))
            yield self.row("exact_pct", STRATA[code], value, int(must_S[code]))
        yield from self.by_kind(found)

    def savings(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give token_savings, for all and by kind, where a tokenizer was given."""
        found = figures.savings(self.sheet, keep_W)
        yield from map(self.figure, found)
        yield from self.by_kind(found)

    def gold(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give f1, precision and recall on known gold; recall by stratum too."""
        sheet = self.sheet
        found = figures.gold(sheet, keep_W)
        for figure in found:
            yield self.figure(figure)
            counts = Confusion(*map(int, figure.counts_TK.sum(axis=0)))
            yield from self._precision_recall(counts, figure.stratum)
        truth_S = sheet.by_stratum(sheet.truth_W)
        kept_S = sheet.by_stratum(sheet.truth_W & keep_W)
        for code in np.flatnonzero(truth_S):
            if code != PLAIN:
                value = ratio(int(kept_S[code]), int(truth_S[code]))
                yield self.row("recall", STRATA[code], value, int(truth_S[code]))

    def decisions(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give decision_pct and fact_pct where the suite has questions or facts."""
        yield from map(self.figure, figures.decisions(self.sheet, keep_W))

    def texts(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give each text's figures; those on gold, questions and tokens if any."""
        sheet = self.sheet
        for figure in (
            *figures.survival(sheet, keep_W),
            *figures.savings(sheet, keep_W),
            *figures.decisions(sheet, keep_W),
        ):
            of_facts = figure.metric in {"decision_pct", "fact_pct"}
            yield from self.each_text(figure, empty=not of_facts)
        known_T = sheet.by_text(sheet.known_W)
        counts_T3 = figures.confusion_by_text(sheet, keep_W, sheet.known_W)
        for index in np.flatnonzero(known_T):
            sha = sheet.suite.texts[index].sha256
            counts = Confusion(*map(int, counts_T3[index]))
            yield self.row("f1", "all", counts.f1, int(known_T[index]), text=sha)
            yield from self._precision_recall(counts, "all", text=sha)

    def each_text(self, figure: Figure, *, empty: bool) -> Iterator[Score]:
        """Give a ratio's row for each text, those without a denominator if asked."""
        for text, (part, whole) in zip(
            self.sheet.suite.texts, figure.counts_TK.tolist(), strict=True
        ):
            if whole or empty:
                value, sha = ratio(part, whole), text.sha256
                yield self.row(figure.metric, "all", value, int(whole), text=sha)

    def substring(self, keep_W: BoolArray) -> Score:
        """Give exact_pct by the published definition, for comparison only.

        Equal to `kompress.labels.count_must_keep`, whose words are found here already.
        """
        sheet = self.sheet
        counts_T2 = np.zeros((sheet.num_texts, 2))
        parts: dict[str, list[str]] = {}
        for index, (text, keep_N, must_N) in enumerate(
            zip(
                sheet.suite.texts,
                sheet.split(keep_W),
                sheet.split(sheet.must_W),
                strict=True,
            )
        ):
            reference = join_kept(text.text, keep_N)
            for word, must in zip(word_list(text.text), must_N.tolist(), strict=True):
                if not must:
                    continue
                if word not in parts:
                    parts[word] = occurrences(word, self.rule_set)
                found = parts[word]
                kept = sum(part in reference for part in found)
                counts_T2[index] += (kept, len(found))
        figure = figures.share("exact_pct", counts_T2[:, 0], counts_T2[:, 1])
        return self.figure(figure, definition="substring")

    def figure(self, figure: Figure, *, definition: Definition = "multiset") -> Score:
        """Make a figure's row, with its interval."""
        interval = self.interval(figure.counts_TK, figure.statistic)
        return self.row(
            figure.metric,
            figure.stratum,
            figure.value,
            figure.n,
            interval,
            definition=definition,
        )

    def by_kind(self, found: Iterable[Figure]) -> Iterator[Score]:
        """Make the rows of ratios for each kind that has a denominator."""
        kinds = np.array([text.kind for text in self.sheet.suite.texts], dtype=np.str_)
        for figure in found:
            for kind in sorted(set(kinds.tolist())):
                of = figure.of_texts(kinds == kind, f"kind={kind}")
                if of.n:
                    yield self.row(of.metric, of.stratum, of.value, of.n)

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
        return Score(
            suite=self.sheet.suite.name,
            stratum=stratum,
            metric=metric,
            value=value,
            n=n,
            rule_set=self.rule_set if metric in _OF_RULES else "",
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


def occurrences(word: str, rule_set: str) -> list[str]:
    """List what a rule set's expression finds in one of its words; `farm` the word."""
    if rule_set == "farm":
        return [word]
    return [match.group() for match in PUBLISHED[rule_set].finditer(word)]
