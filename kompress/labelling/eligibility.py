"""Which documents of a round its rules may learn from.

Documents with calibration gold, and those that nobody chose: the random slice, or all
train documents where the round took every one of them and all voters see them. What is
eligible is fixed when the round chooses its documents: gold that arrives later, or goes
with a text that is forgotten, changes nothing. A round's shards are counted at
different times, any job may run twice, and all must see the same.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kompress.config import RoundConfig
from kompress.decisions import (
    EvidenceTotals,
    GoldRun,
    PinnedEvidence,
    SelectionCounts,
)
from kompress.types import TrainDocument

# A rate behind 2**18 words has a standard error of .001 at most, in a stratum with a
# hundredth of them .01: more words would teach nothing that a label could show.
MAX_WORDS = 2**18
# Made documents have gold on every word. Rounds of several waves have a limit of their
# own, `escalation.gold_words`.
MAX_GOLD_WORDS = 2**18


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What of a round may be learned from, the same for every shard.

    Attributes:
        takes_all: every train document counts, not only the random slice.
        share: of the documents that count without gold, by a hash of their text.
        gold_share: of the documents with gold, by the same hash.
        num_words: words of train documents that count without gold, before `share`.
        num_gold_words: words of train documents with gold, before `gold_share`.
        gold_runs: whose gold is believed, by text id, in order.
    """

    takes_all: bool
    share: float
    gold_share: float
    num_words: int
    num_gold_words: int
    gold_runs: tuple[GoldRun, ...] = ()

    def origin_of(self, text_id: int) -> str | None:
        """Name whose gold of one of the round's train texts counts; None for none."""
        return origin_in(self.gold_runs, text_id)

    def counts_gold(self, text_id: int, sha256: bytes) -> bool:
        """Say whether one of the round's train texts counts for its gold."""
        return self.origin_of(text_id) is not None and _place(sha256) < self.gold_share

    def counts_without_gold(self, row: TrainDocument) -> bool:
        """Say whether a document's words count, gold or not.

        Which documents a share leaves out depends on their text alone.
        """
        chosen = self.takes_all or row.random_slice
        return chosen and _place(row.sha256) < self.share


def find_eligibility(
    config: RoundConfig,
    pinned: PinnedEvidence,
    selected: SelectionCounts | None,
    *,
    num_waves: int,
) -> Eligibility:
    """Find out what of a round may be learned from.

    Args:
        config: the round's.
        pinned: what there was when its documents were chosen.
        selected: how they were chosen.
        num_waves: waves of voters that are asked about: after the first one, documents
            were chosen by their posterior, so only what every voter sees says how they
            do: the random slice, and gold within the config's `escalation.gold_words`.
    """
    totals = pinned.totals
    limit = MAX_GOLD_WORDS
    if num_waves > 1:
        limit = min(limit, config.escalation.gold_words)
    takes_all = num_waves == 1 and took_all(totals, selected)
    num_words = totals.all_words if takes_all else totals.slice_words
    return Eligibility(
        takes_all=takes_all,
        share=share_of(MAX_WORDS, num_words),
        gold_share=share_of(limit, totals.gold_words),
        num_words=num_words,
        num_gold_words=totals.gold_words,
        gold_runs=pinned.gold_runs,
    )


def took_all(totals: EvidenceTotals, selected: SelectionCounts | None) -> bool:
    """Say whether a round took every train document, and was sure to.

    Args:
        totals: of the round.
        selected: what it decided when it selected documents.
    """
    # Forgotten since or not: what counts is that nobody chose among the others.
    return (
        totals.is_certain
        and selected is not None
        and selected.num_selected == selected.num_population
    )


def share_of(limit: int, num_words: int) -> float:
    """Give the share of documents that holds about so many of the words."""
    return min(1.0, limit / num_words) if num_words else 1.0


def origin_in(runs: Sequence[GoldRun], text_id: int) -> str | None:
    """Name whose gold of a text runs name; None for none.

    Args:
        runs: in the order of text ids.
        text_id: one of the train texts that the runs are about.
    """
    after = bisect_right(runs, text_id, key=lambda run: run.first)
    if not after or text_id > runs[after - 1].last:
        return None
    return runs[after - 1].origin


def _place(sha256: bytes) -> float:
    """Lay a text between 0 and 1, by its content."""
    digest = hashlib.sha256(b"fit" + sha256).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
