"""The references that compete for a text in a round, and those that a round adds.

Voters nominate their masks, teachers their samples and their consensus, the last
student its mask. An origin names who made a reference and by what:
`salience@1f2e3d4c5b6a`, the voter and the first digits of its fingerprint, so that
another voter of the same name is another origin. A round compares its own voters' and
its loop's students', and all uploads.

N = words of one text
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kompress.aggregation.replicates import pool_replicates
from kompress.config import PAIRWISE, RoundConfig, VoterConfig
from kompress.labelling.consensus import pool_unlearned
from kompress.labelling.fit_data import STUDENT
from kompress.labelling.panel import Panel, make_labels, teachers
from kompress.types import KEEPS_FROM, BoolArray, Candidate, CandidateRow, VoteRow
from kompress.words import join_kept

# What the teachers' words say by the round's rule. Simulated, it raises the winners' F1
# where teachers err apart (bench_references); that of all voters lowers it.
CONSENSUS = "consensus"
# What a teacher's single samples add to its name.
SAMPLES = "/samples"
# Of one vote: the numbers of a replicate's samples start at a multiple of it.
MAX_SAMPLES = 64
# Two agree on what either keeps: ties keep.
MIN_TEACHERS = 3
_DIGITS = 12
_OURS = re.compile(rf"@[0-9a-f]{{{_DIGITS}}}$")


@dataclass(frozen=True, slots=True)
class CompetingReferences:
    """The references that compete for one text, equal ones once.

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


def order_origins(
    digests: Mapping[str, str], config: RoundConfig, students: Sequence[str]
) -> list[str]:
    """Order a round's origins by priority.

    Voters, the teachers' consensus, the last student, samples, older students.

    Args:
        digests: fingerprints of the round's voters, by name, in the config's order.
        config: the round's.
        students: artifacts of the loop's earlier main students, the last one first.
    """
    own = [origin_of(STUDENT, artifact) for artifact in students]
    return [
        *(origin_of(name, digest) for name, digest in digests.items()),
        consensus_origin(digests, config),
        *own[:1],
        *(origin_of(name, digest, SAMPLES) for name, digest in digests.items()),
        *own[1:],
    ]


def choose_competing(
    rows: Sequence[CandidateRow],
    priority: Sequence[str],
    limit: int,
    *,
    student: str = "",
) -> CompetingReferences:
    """Choose and order the references that compete for a text.

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
    return CompetingReferences(tuple(chosen), place_of, mine[0] if mine else None)


def as_candidate(
    text: str, keep_N: BoolArray, origin: str, replicate: int = 0
) -> Candidate | None:
    """Make a reference of a mask; None if it keeps nothing or everything."""
    if keep_N.all() or not keep_N.any():
        return None
    return Candidate(origin, join_kept(text, keep_N), keep_N, replicate)


def nominate_votes(
    text: str, rows: list[VoteRow], digests: Mapping[int, str]
) -> list[Candidate]:
    """Make a reference of each voter's mask at 1/2; an abstained word is not kept.

    Args:
        text: the text.
        rows: all votes on it.
        digests: fingerprints by voter id; votes of others nominate nothing.
    """
    by_voter: dict[int, list[VoteRow]] = {}
    for row in rows:
        if row.voter_id in digests and row.voter != PAIRWISE:
            by_voter.setdefault(row.voter_id, []).append(row)
    found = []
    for voter_id, own in by_voter.items():
        p_N, _ = pool_replicates(
            np.stack([row.codes_N for row in own]),
            np.array([row.num_samples for row in own]),
        )
        keep_N: BoolArray = np.nan_to_num(p_N) >= 0.5
        origin = origin_of(own[0].voter, digests[voter_id])
        found.append(as_candidate(text, keep_N, origin, len(own) - 1))
    return [candidate for candidate in found if candidate is not None]


def count_replicates(rows: Sequence[VoteRow], voter: VoterConfig) -> int:
    """Say how many answers of a voter a text may have: a budget may have bought some.

    Args:
        rows: all votes on the text.
        voter: who gives `replicates` of them without a budget.
    """
    last = max((row.replicate for row in rows if row.voter == voter.name), default=0)
    return max(voter.replicates, last + 1)


def nominate_samples(
    text: str, keeps: Iterable[BoolArray], origin: str, replicate: int
) -> list[Candidate]:
    """Make a reference of each sample behind one of a teacher's answers.

    Args:
        text: the text.
        keeps: (N,) masks, one a sample.
        origin: the teacher's, of `SAMPLES`.
        replicate: which of the teacher's answers it is.
    """
    found = [
        as_candidate(text, keep_N, origin, number)
        for number, keep_N in enumerate(keeps, MAX_SAMPLES * replicate)
    ]
    return [candidate for candidate in found if candidate is not None]


def nominate_consensus(
    panel: Panel,
    config: RoundConfig,
    votes: Mapping[int, Sequence[VoteRow]],
    texts: Mapping[int, str],
    digests: Mapping[int, str],
    origin: str,
) -> list[tuple[int, Candidate]]:
    """Make a reference of what the round's rule makes of the teachers' words.

    Args:
        panel: the teachers' votes.
        config: the round's.
        votes: all votes, by text.
        texts: contents, by id.
        digests: fingerprints by voter id.
        origin: of `consensus_origin`.

    Returns:
        (text id, reference) for each text that enough teachers voted on.
    """
    made = []
    for text_id, label in make_labels(panel, pool_unlearned(panel, config)).items():
        own = [row for row in votes[text_id] if row.voter in panel.voters]
        if len({row.voter for row in own}) < MIN_TEACHERS:
            continue
        cast = sorted(f"{digests[row.voter_id]}/{row.replicate}" for row in own)
        # Another round may have other votes on the text, of the same voters.
        digest = hashlib.sha256("\n".join(cast).encode()).digest()
        number = int.from_bytes(digest[:4], "big") >> 1
        found = as_candidate(texts[text_id], label.keep_N, origin, number)
        if found is not None:
            made.append((text_id, found))
    return made


def find_winner_quality(
    rows: Iterable[CandidateRow], votes: Iterable[VoteRow]
) -> tuple[float, float] | None:
    """Give the quality of a text's winning reference, and its standard error.

    Args:
        rows: the text's references, as the newest fit judged them.
        votes: the round's votes on it, the winner's among them.

    Returns:
        None for a text without a winner, or whose winner has no quality.
    """
    won = [row.codes_N >= KEEPS_FROM for row in votes if row.voter == PAIRWISE]
    found = None
    for row in rows if won else ():
        keep_N = row.candidate.keep_N
        is_winner = keep_N is not None and np.array_equal(keep_N, won[0])
        if is_winner and row.quality is not None and row.quality_se is not None:
            found = row.quality, row.quality_se
    return found
