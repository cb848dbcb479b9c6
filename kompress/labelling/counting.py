"""Count labels and votes by kind, category and rule set: what `label_quality` reads.

S = strata, N = words of one text
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kompress.labelling.panel import Panel
from kompress.labels import count_mask
from kompress.types import (
    RULE_SETS,
    STRATA,
    BoolArray,
    CodeArray,
    CountKey,
    Label,
    LabelCounts,
)

ALL = "all"


@dataclass(slots=True)
class MaskSums:
    """Sums of one source, kind and rule set, by stratum."""

    documents: int = 0
    documents_S: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(STRATA), dtype=np.int64)
    )
    words_S: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(STRATA), dtype=np.int64)
    )
    kept_S: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(STRATA), dtype=np.int64)
    )

    def add(self, words_S: NDArray[np.int64], kept_S: NDArray[np.int64]) -> None:
        """Add one document."""
        self.documents += 1
        self.documents_S += words_S > 0
        self.words_S += words_S
        self.kept_S += kept_S


class LabelCounter:
    """Collects documents, then gives the rows of `label_counts`."""

    def __init__(self) -> None:
        """Start empty."""
        self._sums: dict[tuple[str, str, str, str], MaskSums] = {}

    def add(
        self,
        source: str,
        kind: str,
        keep_N: BoolArray,
        codes: Mapping[str, CodeArray],
        versions: Mapping[str, str],
        *,
        known_N: BoolArray | None = None,
    ) -> None:
        """Add one document's mask.

        Args:
            source: a voter's name or a label source.
            kind: the document's kind.
            keep_N: (N,) the mask.
            codes: (N,) must-keep codes by rule set.
            versions: of the rules that gave them, by rule set.
            known_N: (N,) False for words that the voter abstained from; they leave
                its denominators. None counts all.
        """
        if known_N is not None and not known_N.any() and known_N.size:
            return
        for rule_set in RULE_SETS:
            codes_N = codes[rule_set]
            if known_N is None:
                words_S, kept_S = count_mask(codes_N, keep_N)
            else:
                words_S, kept_S = count_mask(codes_N[known_N], keep_N[known_N])
            for group in (kind, ALL):
                key = (source, group, rule_set, versions[rule_set])
                self._sums.setdefault(key, MaskSums()).add(words_S, kept_S)

    def rows(self) -> dict[CountKey, LabelCounts]:
        """Give one row a category that occurs, and `all`, in key order."""
        rows: dict[CountKey, LabelCounts] = {}
        for (source, kind, *rules), sums in sorted(self._sums.items()):
            words, kept = sums.words_S, sums.kept_S
            rows[CountKey(source, kind, ALL, *rules)] = LabelCounts(
                num_documents=sums.documents,
                num_words=int(words.sum()),
                num_kept=int(kept.sum()),
                num_must_keep=int(words[1:].sum()),
                num_must_keep_kept=int(kept[1:].sum()),
            )
            for code, name in enumerate(STRATA):
                if words[code]:
                    rows[CountKey(source, kind, name, *rules)] = LabelCounts(
                        num_documents=int(sums.documents_S[code]),
                        num_words=int(words[code]),
                        num_kept=int(kept[code]),
                        num_must_keep=int(words[code]) if code else 0,
                        num_must_keep_kept=int(kept[code]) if code else 0,
                    )
        return rows


def count_labels(
    panel: Panel,
    labels: Mapping[str, Mapping[int, Label]],
    kind_of: Mapping[int, str],
    codes: Mapping[str, Mapping[int, CodeArray]],
    versions: Mapping[str, Mapping[int, str]],
) -> dict[CountKey, LabelCounts]:
    """Count every voter's masks and every source's labels over a shard's documents.

    Args:
        panel: the votes as calibrated; texts without votes are not counted.
        labels: by source and text.
        kind_of: the document's kind by text id.
        codes: must-keep codes by rule set and text.
        versions: of the rules that gave them, likewise.
    """
    counter = LabelCounter()
    p_by_text = panel.split(panel.p_WM)
    for text_id, kind in kind_of.items():
        if text_id not in p_by_text:
            continue
        own = {rule_set: codes[rule_set][text_id] for rule_set in RULE_SETS}
        rules = {rule_set: versions[rule_set][text_id] for rule_set in RULE_SETS}
        for column, voter in enumerate(panel.voters):
            p_N = p_by_text[text_id][:, column]
            keep_N = np.nan_to_num(p_N) >= 0.5
            counter.add(voter, kind, keep_N, own, rules, known_N=~np.isnan(p_N))
        for source, by_text in labels.items():
            if text_id in by_text:
                counter.add(source, kind, by_text[text_id].keep_N, own, rules)
    return counter.rows()


def count_caught(label: Label, codes_N: CodeArray) -> tuple[int, int]:
    """Count a text's must-keep words, those whose code is not 0, and the kept ones."""
    caught_N = codes_N > 0
    return int(caught_N.sum()), int((caught_N & label.keep_N).sum())
