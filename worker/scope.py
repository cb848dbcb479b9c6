"""What of a round may be learned from, fixed when its documents are chosen.

Gold that arrives later, or goes with a text that is forgotten, changes nothing about a
round: its shards are counted at different times, its students are trained at different
times, any job may run twice, and all must see the same. The next round knows of it.
Evaluation gold is not fixed: nothing is learned from it, it is what reports are made
against.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.queries import gold, loops, patterns
from db.queries.loops import RoundRow
from db.queries.patterns import EvidenceRow
from kompress.config import RoundConfig, parse_config
from kompress.decisions import (
    EvidenceTotals,
    GoldRun,
    PinnedEvidence,
    SelectionCounts,
)
from kompress.types import CodeArray

# A rate behind 2**18 words has a standard error of .001 at most, in a stratum with a
# hundredth of them .01: more words would teach nothing that a label could show.
MAX_WORDS = 2**18
# Made documents have gold on every word. Rounds of several waves have a limit of their
# own, `escalation.gold_words`.
MAX_GOLD_WORDS = 2**18


@dataclass(frozen=True, slots=True)
class Scope:
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
        return patterns.origin_in(self.gold_runs, text_id)


def look_at_evidence(session: Session, round_id: int) -> PinnedEvidence:
    """Say what of a round could be learned from now, its gold above all.

    The stage `select` keeps it in `rounds.decisions` once its documents are stored.
    """
    held = loops.read_round(session, round_id)
    mix = parse_config(RoundConfig, held.config).recipe.mix
    in_corpus = None
    if any(part.source == "gold" for part in mix):
        in_corpus = tuple(
            patterns.list_corpus_gold_runs(session, held.corpus_id, held.corpus_seq)
        )
    return PinnedEvidence(
        totals=patterns.count_evidence(session, round_id),
        gold_runs=tuple(patterns.list_gold_runs(session, round_id)),
        corpus_gold_runs=in_corpus,
    )


def find_scope(held: RoundRow, *, num_waves: int) -> Scope:
    """Find out what of a round may be learned from.

    Args:
        held: the round.
        num_waves: waves of voters that are asked about: after the first one, documents
            were chosen by their posterior, so only what every voter sees says how they
            do: the random slice, and gold within the config's `escalation.gold_words`.
    """
    pinned = pinned_evidence(held)
    totals = pinned.totals
    limit = MAX_GOLD_WORDS
    if num_waves > 1:
        own = parse_config(RoundConfig, held.config).escalation.gold_words
        limit = min(limit, own)
    takes_all = num_waves == 1 and took_all(totals, held.decisions.selection)
    num_words = totals.all_words if takes_all else totals.slice_words
    return Scope(
        takes_all=takes_all,
        share=share_of(MAX_WORDS, num_words),
        gold_share=share_of(limit, totals.gold_words),
        num_words=num_words,
        num_gold_words=totals.gold_words,
        gold_runs=pinned.gold_runs,
    )


def pinned_evidence(held: RoundRow) -> PinnedEvidence:
    """Give what a round wrote down when it selected its documents."""
    found = held.decisions.evidence
    assert found is not None  # noqa: S101  # `select` ran before whoever asks
    return found


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


def may_count(row: EvidenceRow, scope: Scope) -> tuple[bool, bool]:
    """Say whether a document counts for its gold, and whether without it.

    Which documents a share leaves out depends on their text alone.
    """
    chosen = scope.takes_all or row.random_slice
    return (
        counts_gold(row.text_id, row.sha256, scope),
        chosen and _place(row.sha256) < scope.share,
    )


def counts_gold(text_id: int, sha256: bytes, scope: Scope) -> bool:
    """Say whether one of the round's train texts counts for its gold."""
    return scope.origin_of(text_id) is not None and _place(sha256) < scope.gold_share


def load_truth(
    session: Session, text_ids: Sequence[int], scope: Scope
) -> dict[int, CodeArray]:
    """Load the calibration gold of train texts that the round may look at.

    Returns:
        Codes by text, 254 keep, 0 drop, 255 unknown; texts without any are left out.
    """
    return load_known(session, text_ids, scope.gold_runs)


def load_known(
    session: Session, text_ids: Sequence[int], runs: Sequence[GoldRun]
) -> dict[int, CodeArray]:
    """Load the calibration gold that was there when a round selected its documents.

    Args:
        session: the session.
        text_ids: the texts.
        runs: of `pinned_evidence`: of the round's train texts, or of its corpus'.

    Returns:
        As `load_truth`.
    """
    return {
        text_id: item.codes_N
        for text_id, known in gold.load_gold(session, text_ids, "calibrate").items()
        for item in known
        if item.origin == patterns.origin_in(runs, text_id)
    }


def _place(sha256: bytes) -> float:
    """Lay a text between 0 and 1, by its content."""
    digest = hashlib.sha256(b"fit" + sha256).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
