"""The references that compete for a text in a round, in the order of their priority.

`candidates` holds what every loop nominated and what people uploaded. An origin of the
farm's own names who made it and by what: `salience@1f2e3d4c5b6a`, the voter and the
first digits of its fingerprint, so that another voter of the same name is another
origin. A round compares its own voters' and its loop's students', and all uploads.

N = words of one text
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.queries import candidates, students, voters, votes
from db.queries.candidates import CandidateRow
from db.queries.loops import RoundRow
from kompress.config import PAIRWISE, RoundConfig
from kompress.labelling.evidence import STUDENT
from kompress.types import KEEPS_FROM, BoolArray, Candidate
from kompress.words import join_kept
from worker.voters import teachers

# What the teachers' words say by the round's rule. Simulated, it raises the winners' F1
# where teachers err apart (bench_references); that of all voters lowers it.
CONSENSUS = "consensus"
# What a teacher's single samples add to its name.
SAMPLES = "/samples"
_DIGITS = 12
_OURS = re.compile(rf"@[0-9a-f]{{{_DIGITS}}}$")


@dataclass(frozen=True, slots=True)
class Field:
    """The candidates of one text, equal ones once.

    Attributes:
        rows: those that are compared, in the order of their priority.
        place_of: by candidate id: its place in `rows`, or that of its equal.
        student: the last student's place, None where it has none.
    """

    rows: tuple[CandidateRow, ...]
    place_of: dict[int, int]
    student: int | None = None


def origin_of(name: str, digest: str, what: str = "") -> str:
    """Name the origin of what a voter or student makes.

    Args:
        name: the voter's name, `STUDENT` or `CONSENSUS`.
        digest: hex: the voter's fingerprint, or the student's artifact.
        what: '' for its own mask, `SAMPLES` for a teacher's samples.
    """
    return f"{name}{what}@{digest[:_DIGITS]}"


def consensus_origin(digests: Mapping[str, str], config: RoundConfig) -> str:
    """Name the origin of the consensus of a round's teachers.

    Args:
        digests: fingerprints by the voters' names; only teachers count.
        config: who is a teacher, and the rule.
    """
    mine = set(teachers(config))
    parts = {
        "voters": {name: digests[name] for name in digests if name in mine},
        "rule": config.aggregation.rule,
        "params": config.aggregation.params,
    }
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return origin_of(CONSENSUS, hashlib.sha256(canonical.encode()).hexdigest())


def as_candidate(
    text: str, keep_N: BoolArray, origin: str, replicate: int = 0
) -> Candidate | None:
    """Make a reference of a mask; None if it keeps nothing or everything."""
    if keep_N.all() or not keep_N.any():
        return None
    return Candidate(origin, join_kept(text, keep_N), keep_N, replicate)


def load_fields(
    session: Session, held: RoundRow, config: RoundConfig, text_ids: Sequence[int]
) -> dict[int, Field]:
    """Read what competes for each text of a round that has any candidate."""
    priority = _priority(session, held, config)
    newest = last_student(session, held)
    student = origin_of(STUDENT, newest) if newest else ""
    limit = config.pairwise.max_candidates
    return {
        text_id: make_field(rows, priority, limit, student=student)
        for text_id, rows in candidates.list_candidates(session, text_ids).items()
    }


def make_field(
    rows: Sequence[CandidateRow],
    priority: Sequence[str],
    limit: int,
    *,
    student: str = "",
) -> Field:
    """Choose and order a text's candidates.

    Args:
        rows: all that are stored, in the order of origins and replicates.
        priority: the round's own origins, the first first; uploads follow them, other
            loops' are left out.
        limit: at most so many different ones.
        student: the origin of the last student, '' for none.
    """
    rank = {origin: place for place, origin in enumerate(priority)}
    able = [
        row
        for row in rows
        if row.candidate.origin in rank or not _OURS.search(row.candidate.origin)
    ]
    chosen: list[CandidateRow] = []
    place_of: dict[int, int] = {}
    places: dict[Any, int] = {}
    for row in sorted(
        able, key=lambda row: rank.get(row.candidate.origin, len(priority))
    ):
        keep_N = row.candidate.keep_N
        if keep_N is not None and (keep_N.all() or not keep_N.any()):
            continue
        key = row.candidate.reference if keep_N is None else keep_N.tobytes()
        if key not in places:
            if len(chosen) == limit:
                continue
            places[key] = len(chosen)
            chosen.append(row)
        place_of[row.id] = places[key]
    mine = [place_of.get(row.id) for row in able if row.candidate.origin == student]
    return Field(tuple(chosen), place_of, mine[0] if mine else None)


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
    found = {}
    stored = candidates.list_candidates(session, text_ids)
    for text_id, rows in votes.load_round_votes(session, round_id, text_ids).items():
        won = [row.codes_N >= KEEPS_FROM for row in rows if row.voter == PAIRWISE]
        for row in stored.get(text_id, ()) if won else ():
            is_winner = (keep_N := row.candidate.keep_N) is not None and np.array_equal(
                keep_N, won[0]
            )
            if is_winner and row.quality is not None and row.quality_se is not None:
                found[text_id] = (row.quality, row.quality_se)
    return found


def last_student(session: Session, held: RoundRow) -> str:
    """Give the artifact of the loop's last student before a round, '' if none."""
    earlier = students.main_students(session, held.loop_id, before_round=held.number)
    return earlier[-1].artifact_hash if earlier else ""


def _priority(session: Session, held: RoundRow, config: RoundConfig) -> list[str]:
    """Order a round's origins.

    Voters, the teachers' consensus, the last student, samples, older students.
    """
    absent = absent_voters(held)
    digests = {
        voter.name: voters.get_voter(
            session, held.decisions.voters[voter.name]
        ).fingerprint
        for voter in config.voters
        if voter.name not in absent
    }
    earlier = students.main_students(session, held.loop_id, before_round=held.number)
    own = [origin_of(STUDENT, row.artifact_hash) for row in reversed(earlier)]
    return [
        *(origin_of(name, digest) for name, digest in digests.items()),
        consensus_origin(digests, config),
        *own[:1],
        *(origin_of(name, digest, SAMPLES) for name, digest in digests.items()),
        *own[1:],
    ]
