"""Read what of a round may be learned from; which documents: `labelling.eligibility`.

Evaluation gold is not pinned: nothing is learned from it, it is what reports are made
against.
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from db.queries import evidence, gold, loops, texts, votes
from db.queries.loops import RoundRow
from kompress.boundaries import boundaries_of
from kompress.config import RoundConfig, parse_config
from kompress.decisions import GoldRun, PinnedEvidence
from kompress.labelling.eligibility import Eligibility, find_eligibility, origin_in
from kompress.labelling.fit_data import EligibleVotes
from kompress.types import CodeArray


def pin_evidence(session: Session, round_id: int) -> PinnedEvidence:
    """Say what of a round could be learned from now, its gold above all.

    The stage `select` keeps it in `rounds.decisions` once its documents are stored.
    """
    held = loops.read_round(session, round_id)
    mix = parse_config(RoundConfig, held.config).recipe.mix
    in_corpus = None
    if any(part.source == "gold" for part in mix):
        in_corpus = tuple(
            evidence.list_corpus_gold_runs(session, held.corpus_id, held.corpus_seq)
        )
    return PinnedEvidence(
        totals=evidence.count_evidence(session, round_id),
        gold_runs=tuple(evidence.list_gold_runs(session, round_id)),
        corpus_gold_runs=in_corpus,
    )


def pinned_evidence(held: RoundRow) -> PinnedEvidence:
    """Give what a round wrote down when it selected its documents."""
    found = held.decisions.evidence
    assert found is not None  # noqa: S101  # `select` ran before whoever asks
    return found


def eligibility_of(held: RoundRow, *, num_waves: int) -> Eligibility:
    """Find out what of a round may be learned from; see `find_eligibility`."""
    return find_eligibility(
        parse_config(RoundConfig, held.config),
        pinned_evidence(held),
        held.decisions.selection,
        num_waves=num_waves,
    )


def load_known(
    session: Session, text_ids: Sequence[int], runs: Sequence[GoldRun], round_id: int
) -> dict[int, CodeArray]:
    """Load the calibration gold that was there when a round selected its documents.

    Args:
        session: the session.
        text_ids: the texts.
        runs: of `pinned_evidence`: of the round's train texts, or of its corpus'.
        round_id: the round.

    Returns:
        `KEEP`, `DROP` or `UNKNOWN` by text; texts without any are left out.
    """
    found = gold.load_gold(session, text_ids, "calibrate", round_id)
    return {
        text_id: item.codes_N
        for text_id, known in found.items()
        for item in known
        if item.origin == origin_in(runs, text_id)
    }


def load_eligible_votes(
    session: Session, round_id: int, shard: int, eligibility: Eligibility
) -> EligibleVotes:
    """Read one shard's documents that may be learned from.

    Args:
        session: the session.
        round_id: the round.
        shard: of the first wave, which holds all documents of the round.
        eligibility: of the round.
    """
    rows = evidence.list_train_documents(session, round_id, shard)
    with_gold = {
        r.text_id for r in rows if eligibility.counts_gold(r.text_id, r.sha256)
    }
    without = {r.text_id for r in rows if eligibility.counts_without_gold(r)}
    text_ids = sorted(with_gold | without)
    return EligibleVotes(
        # Forgotten texts have no row; texts without votes leave the panel.
        votes=votes.load_round_votes(session, round_id, text_ids),
        strata=texts.load_strata(session, text_ids, "farm"),
        gold_codes=load_known(
            session, sorted(with_gold), eligibility.gold_runs, round_id
        ),
        without_gold=frozenset(without),
        group_of={row.text_id: row.group_id for row in rows},
        boundaries=load_boundaries(session, text_ids),
    )


def load_boundaries(session: Session, text_ids: Sequence[int]) -> dict[int, CodeArray]:
    """Say what stands before each word of some texts, from the texts themselves.

    Args:
        session: the session.
        text_ids: the texts.

    Returns:
        (N,) codes of `kompress.boundaries` by text id.
    """
    return {
        text_id: boundaries_of(content)
        for text_id, content in texts.load_texts(session, text_ids).items()
    }
