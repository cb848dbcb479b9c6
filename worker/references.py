"""Read the references that compete for the texts of a round; see `labelling`."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from db.queries import candidates, students, voters, votes
from db.queries.loops import RoundRow
from kompress.config import RoundConfig
from kompress.labelling.fit_data import STUDENT
from kompress.labelling.references import (
    CompetingReferences,
    choose_competing,
    find_winner_quality,
    order_origins,
    origin_of,
)


def load_competing(
    session: Session, held: RoundRow, config: RoundConfig, text_ids: Sequence[int]
) -> dict[int, CompetingReferences]:
    """Read what competes for each text of a round that has any reference."""
    absent = absent_voters(held)
    digests = {
        voter.name: voters.get_voter(
            session, held.decisions.voters[voter.name]
        ).fingerprint
        for voter in config.voters
        if voter.name not in absent
    }
    earlier = students.main_students(session, held.loop_id, before_round=held.number)
    artifacts = [row.artifact_hash for row in reversed(earlier)]
    priority = order_origins(digests, config, artifacts)
    student = origin_of(STUDENT, artifacts[0]) if artifacts else ""
    limit = config.pairwise.max_candidates
    return {
        text_id: choose_competing(rows, priority, limit, student=student)
        for text_id, rows in candidates.list_candidates(session, text_ids).items()
    }


def judge_ids(held: RoundRow, config: RoundConfig) -> dict[int, int]:
    """Give the places in the config of a round's judges, by their voter ids.

    Judges in quarantine are left out: what they said before counts no more.
    """
    known, absent = held.decisions.voters, absent_voters(held)
    return {
        known[judge.name]: place
        for place, judge in enumerate(config.pairwise.judges)
        if judge.name not in absent
    }


def absent_voters(held: RoundRow) -> frozenset[str]:
    """Name the voters that were put into quarantine while the round ran."""
    return frozenset(held.decisions.quarantined)


def winning_qualities(
    session: Session, round_id: int, text_ids: Sequence[int]
) -> dict[int, tuple[float, float]]:
    """Give the quality of each text's winning reference, and its standard error.

    By the newest fit of that reference. Texts without a winner are left out.
    """
    stored = candidates.list_candidates(session, text_ids)
    cast = votes.load_round_votes(session, round_id, text_ids)
    return {
        text_id: found
        for text_id, rows in cast.items()
        if (found := find_winner_quality(stored.get(text_id, ()), rows)) is not None
    }


def last_student(session: Session, held: RoundRow) -> str:
    """Give the artifact of the loop's last student before a round, '' if none."""
    earlier = students.main_students(session, held.loop_id, before_round=held.number)
    return earlier[-1].artifact_hash if earlier else ""
