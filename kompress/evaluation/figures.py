"""The figures of one keep mask, as counts a text, and the rows of `scores` they give.

Rows and paired tests share the counts. W = words of the suite, T = texts, S = strata,
B = bootstraps, K = counts of one statistic
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kompress.evaluation.prepared_suite import PreparedSuite
from kompress.metrics.bootstrap import (
    Interval,
    Statistic,
    f1_statistic,
    percentile_interval,
    ratio_statistic,
    sum_by_group,
)
from kompress.metrics.ratios import Confusion, ratio
from kompress.must_keep.classify import PUBLISHED
from kompress.types import PLAIN, STRATA, BoolArray, Definition, FloatArray, Score
from kompress.words import join_kept, word_list

# Only figures of survival depend on a rule set; their rows name it.
_OF_RULES = {"exact_pct", "exact_auc", "override_delta", "exact_pct_drop"}


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


def headline(suite: PreparedSuite, keep_W: BoolArray) -> list[Figure]:
    """Count every headline figure that the suite allows.

    Args:
        suite: the suite.
        keep_W: (W,) which words are kept.

    Returns:
        The figures of `survival`, `savings`, `gold` and `decisions`, in this order.

    Source: design §1 "Exactly".
    """
    return [
        *survival(suite, keep_W),
        *savings(suite, keep_W),
        *gold(suite, keep_W),
        *decisions(suite, keep_W),
    ]


def survival(suite: PreparedSuite, keep_W: BoolArray) -> list[Figure]:
    """Count exact_pct and keep_rate.

    Returns:
        exact_pct: kept must-keep words / must-keep words; keep_rate: kept words /
        words.

    Source: design §1 "Exactly".
    """
    kept_T, words_T = suite.by_text(keep_W), suite.by_text(np.ones_like(keep_W))
    must_kept_T = suite.by_text(keep_W & suite.must_W)
    return [
        share("exact_pct", must_kept_T, suite.by_text(suite.must_W)),
        share("keep_rate", kept_T, words_T),
    ]


def savings(suite: PreparedSuite, keep_W: BoolArray) -> list[Figure]:
    """Count token_savings = 1 - tokens kept / tokens, where a tokenizer was given.

    Source: ours; tokens of words alone, see `suite.CountTokens`.
    """
    if suite.tokens_W is None:
        return []
    saved_T = suite.tokens_by_text(~keep_W)
    whole_T = suite.tokens_by_text(np.ones_like(keep_W))
    return [share("token_savings", saved_T, whole_T)]


def gold(suite: PreparedSuite, keep_W: BoolArray) -> list[Figure]:
    """Count f1 on known gold, of all and of plain words; nothing without gold.

    Source: design §1 "Exactly" (micro, keep is positive).
    """
    if not suite.known_W.any():
        return []
    plain_W = suite.known_W & (suite.stratum_W == PLAIN)
    return [
        Figure("f1", stratum, counts_T3, f1_statistic, int(np.count_nonzero(of_W)))
        for stratum, of_W in (("all", suite.known_W), ("plain", plain_W))
        for counts_T3 in [confusion_by_text(suite, keep_W, of_W)]
    ]


def decisions(suite: PreparedSuite, keep_W: BoolArray) -> list[Figure]:
    """Count what a reader can still decide; nothing without questions or facts.

    Returns:
        decision_pct: questions all of whose facts survive / questions; fact_pct:
        planted facts all of whose words survive / planted facts.
    """
    found = []
    for metric, parts in (
        ("decision_pct", suite.questions),
        ("fact_pct", suite.facts),
    ):
        if parts:
            found.append(share(metric, *_all_kept(suite, keep_W, parts)))
    return found


def confusion_by_text(
    suite: PreparedSuite, keep_W: BoolArray, of_W: BoolArray
) -> NDArray[np.float64]:
    """Count (T, 3) TP, FP, FN among the words of a mask."""
    truth_W = suite.truth_W
    masks = (keep_W & truth_W, keep_W & ~truth_W, ~keep_W & truth_W)
    return np.stack([suite.by_text(mask & of_W) for mask in masks], axis=1)


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes rows of one suite under one condition.

    Attributes:
        suite: the suite.
        weights_BG: resamples, shared by all figures so that they are paired.
        rule_set: names the must-keep words.
        override: rule set of the override, '' for none.
        target_keep_rate: None for the own threshold.
    """

    suite: PreparedSuite
    weights_BG: FloatArray
    rule_set: str
    override: str = ""
    target_keep_rate: float | None = None

    def survival(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give exact_pct and keep_rate: for all, by stratum and by kind."""
        suite = self.suite
        found = survival(suite, keep_W)
        yield from map(self.figure, found)
        kept_S = suite.by_stratum(keep_W & suite.must_W)
        must_S = suite.by_stratum(suite.must_W)
        for code in np.flatnonzero(must_S):
            value = ratio(int(kept_S[code]), int(must_S[code]))
            yield self.row("exact_pct", STRATA[code], value, int(must_S[code]))
        yield from self.by_kind(found)

    def savings(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give token_savings, for all and by kind, where a tokenizer was given."""
        found = savings(self.suite, keep_W)
        yield from map(self.figure, found)
        yield from self.by_kind(found)

    def gold(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give f1, precision and recall on known gold; recall by stratum too."""
        suite = self.suite
        found = gold(suite, keep_W)
        for figure in found:
            yield self.figure(figure)
            counts = Confusion(*map(int, figure.counts_TK.sum(axis=0)))
            yield from self._precision_recall(counts, figure.stratum)
        truth_S = suite.by_stratum(suite.truth_W)
        kept_S = suite.by_stratum(suite.truth_W & keep_W)
        for code in np.flatnonzero(truth_S):
            if code != PLAIN:
                value = ratio(int(kept_S[code]), int(truth_S[code]))
                yield self.row("recall", STRATA[code], value, int(truth_S[code]))

    def decisions(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give decision_pct and fact_pct where the suite has questions or facts."""
        yield from map(self.figure, decisions(self.suite, keep_W))

    def texts(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give each text's figures; those on gold, questions and tokens if any."""
        suite = self.suite
        for figure in (*survival(suite, keep_W), *savings(suite, keep_W)):
            yield from self.each_text(figure, empty=True)
        yield from self.text_decisions(keep_W)
        known_T = suite.by_text(suite.known_W)
        counts_T3 = confusion_by_text(suite, keep_W, suite.known_W)
        for index in np.flatnonzero(known_T):
            sha = suite.texts[index].sha256
            counts = Confusion(*map(int, counts_T3[index]))
            yield self.row("f1", "all", counts.f1, int(known_T[index]), text=sha)
            yield from self._precision_recall(counts, "all", text=sha)

    def text_decisions(self, keep_W: BoolArray) -> Iterator[Score]:
        """Give each text's decision_pct and fact_pct, where it has any."""
        for figure in decisions(self.suite, keep_W):
            yield from self.each_text(figure, empty=False)

    def each_text(self, figure: Figure, *, empty: bool) -> Iterator[Score]:
        """Give a ratio's row for each text, those without a denominator if asked."""
        for text, (part, whole) in zip(
            self.suite.texts, figure.counts_TK.tolist(), strict=True
        ):
            if whole or empty:
                value, sha = ratio(part, whole), text.sha256
                yield self.row(figure.metric, "all", value, int(whole), text=sha)

    def substring(self, keep_W: BoolArray) -> Score:
        """Give exact_pct by the published definition, for comparison only.

        Equal to `kompress.labels.count_must_keep`, whose words are found here already.
        """
        suite = self.suite
        counts_T2 = np.zeros((suite.num_texts, 2))
        parts: dict[str, list[str]] = {}
        for index, (text, keep_N, must_N) in enumerate(
            zip(
                suite.texts,
                suite.split(keep_W),
                suite.split(suite.must_W),
                strict=True,
            )
        ):
            reference = join_kept(text.text, keep_N)
            for word, must in zip(word_list(text.text), must_N.tolist(), strict=True):
                if not must:
                    continue
                if word not in parts:
                    parts[word] = _occurrences(word, self.rule_set)
                found = parts[word]
                kept = sum(part in reference for part in found)
                counts_T2[index] += (kept, len(found))
        figure = share("exact_pct", counts_T2[:, 0], counts_T2[:, 1])
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
        kinds = np.array([text.kind for text in self.suite.texts], dtype=np.str_)
        for figure in found:
            for kind in sorted(set(kinds.tolist())):
                of = figure.of_texts(kinds == kind, f"kind={kind}")
                if of.n:
                    yield self.row(of.metric, of.stratum, of.value, of.n)

    def interval(self, counts_TK: FloatArray, statistic: Statistic) -> Interval:
        """Resample groups of texts."""
        counts_GK = sum_by_group(counts_TK, self.suite.group_ids)
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
            suite=self.suite.name,
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


def _all_kept(
    suite: PreparedSuite,
    keep_W: BoolArray,
    parts: Sequence[tuple[int, NDArray[np.int64]]],
) -> tuple[FloatArray, FloatArray]:
    """Count by text the parts all of whose words are kept, and the parts."""
    text_P = np.array([text for text, _ in parts])
    sizes_P = np.array([len(words) for _, words in parts])
    kept = keep_W[np.concatenate([words for _, words in parts])]
    starts_P = np.cumsum(sizes_P) - sizes_P
    whole_P = np.add.reduceat(kept.astype(np.int64), starts_P) == sizes_P
    num = suite.num_texts
    return (
        np.bincount(text_P[whole_P], minlength=num).astype(np.float64),
        np.bincount(text_P, minlength=num).astype(np.float64),
    )


def _occurrences(word: str, rule_set: str) -> list[str]:
    """List what a rule set's expression finds in one of its words; `farm` the word."""
    if rule_set == "farm":
        return [word]
    return [match.group() for match in PUBLISHED[rule_set].finditer(word)]
