"""Count labels and votes by kind, category and rule set: what `label_quality` reads.

S = strata, N = words of one text
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kompress.labels import count_mask
from kompress.types import (
    RULE_SETS,
    STRATA,
    BoolArray,
    CodeArray,
    CountKey,
    LabelCounts,
)

ALL = "all"


@dataclass(slots=True)
class Tally:
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
        self._tallies: dict[tuple[str, str, str], Tally] = {}

    def add(
        self,
        source: str,
        kind: str,
        keep_N: BoolArray,
        codes: Mapping[str, CodeArray],
        *,
        known_N: BoolArray | None = None,
    ) -> None:
        """Add one document's mask.

        Args:
            source: a voter's name or a label source.
            kind: the document's kind.
            keep_N: (N,) the mask.
            codes: (N,) must-keep codes by rule set.
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
                key = (source, group, rule_set)
                self._tallies.setdefault(key, Tally()).add(words_S, kept_S)

    def rows(self) -> dict[CountKey, LabelCounts]:
        """Give one row a category that occurs, and `all`, in key order."""
        rows: dict[CountKey, LabelCounts] = {}
        for (source, kind, rule_set), tally in sorted(self._tallies.items()):
            words, kept = tally.words_S, tally.kept_S
            rows[CountKey(source, kind, ALL, rule_set)] = LabelCounts(
                num_documents=tally.documents,
                num_words=int(words.sum()),
                num_kept=int(kept.sum()),
                num_must_keep=int(words[1:].sum()),
                num_must_keep_kept=int(kept[1:].sum()),
            )
            for code, name in enumerate(STRATA):
                if words[code]:
                    rows[CountKey(source, kind, name, rule_set)] = LabelCounts(
                        num_documents=int(tally.documents_S[code]),
                        num_words=int(words[code]),
                        num_kept=int(kept[code]),
                        num_must_keep=int(words[code]) if code else 0,
                        num_must_keep_kept=int(kept[code]) if code else 0,
                    )
        return rows
