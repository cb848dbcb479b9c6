"""Diagnose silver labels: the must-keep words that references lost, by category."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from kompress.must_keep.bulk import classify_texts
from kompress.must_keep.classify import RULE_VERSIONS
from kompress.types import STRATA, CodeArray
from kompress.words import word_list

# N = words of a text

ALL = "all"
BATCH_PAIRS = 200  # classified at once; bounds memory


@dataclass(frozen=True, slots=True)
class LossRow:
    """How many must-keep words of one category the references of one kind lost.

    Attributes:
        rule_set: whose must-keep words.
        kind: the documents' kind, or `all`.
        category: farm's category, `other`, or `all`.
        num_must_keep: must-keep words of the texts, at least 1.
        num_kept: those that the references have, matched as a multiset.
        num_lost: the others.
        share_of_all: num_lost / must-keep words of every category, as published.
        share_of_category: num_lost / num_must_keep.
    """

    rule_set: str
    kind: str
    category: str
    num_must_keep: int
    num_kept: int
    num_lost: int
    share_of_all: float
    share_of_category: float


def tabulate_losses(
    pairs: Iterable[tuple[str, str, str]],
    *,
    rule_sets: Sequence[str] = tuple(RULE_VERSIONS),
) -> list[LossRow]:
    """Count the must-keep words that references lost.

    The published figures (304 of 1,094 numbers lost, "27.8 %") are shares of the
    must-keep words of every category; both shares are given, so that neither is taken
    for the other.

    Args:
        pairs: (kind, text, reference); read once, as a stream.
        rule_sets: whose must-keep words to count.

    Returns:
        Rows in order of the rule sets, kinds (`all` first) and categories (`all`
        first); categories without a word are left out.

    Raises:
        InvalidConfig: unknown rule set.

    Source: the two counts ours; `share_of_all` the kompress line's diagnosis.
    """
    totals: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(
        lambda: defaultdict(lambda: [0, 0])
    )
    stream = iter(pairs)
    while batch := list(islice(stream, BATCH_PAIRS)):
        texts = [text for _, text, _ in batch]
        for rule_set in rule_sets:
            codes = classify_texts(texts, rule_set)
            for (kind, text, reference), codes_N in zip(batch, codes, strict=True):
                for category, is_kept in _match(text, reference, codes_N):
                    for group in {ALL, kind}:
                        for name in (ALL, category):
                            cell = totals[rule_set, group][name]
                            cell[0] += 1
                            cell[1] += is_kept
    return [
        _make_row(rule_set, kind, category, cells)
        for rule_set in rule_sets
        for kind in _all_first(kind for name, kind in totals if name == rule_set)
        if (cells := totals[rule_set, kind])
        for category in (ALL, *STRATA)
        if category in cells
    ]


def _match(text: str, reference: str, codes_N: CodeArray) -> Iterator[tuple[str, bool]]:
    """Give each must-keep word's category, and whether the reference has it."""
    words, left = word_list(text), Counter(word_list(reference))
    for place in np.flatnonzero(codes_N).tolist():
        is_kept = left[words[place]] > 0
        left[words[place]] -= is_kept
        yield STRATA[codes_N[place]], is_kept


def _make_row(
    rule_set: str, kind: str, category: str, cells: dict[str, list[int]]
) -> LossRow:
    total, kept = cells[category]
    return LossRow(
        rule_set=rule_set,
        kind=kind,
        category=category,
        num_must_keep=total,
        num_kept=kept,
        num_lost=total - kept,
        share_of_all=(total - kept) / cells[ALL][0],
        share_of_category=(total - kept) / total,
    )


def _all_first(kinds: Iterable[str]) -> list[str]:
    return sorted(set(kinds), key=lambda kind: (kind != ALL, kind))
