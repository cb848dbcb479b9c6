"""Collect the references that could stand for each document of a shard.

One for each voter (its mask at 1/2, replicates pooled), one of the teachers' consensus,
one for each usable sample of a teacher that rewrites, one of the loop's last student;
what people uploaded is there already. Rows are immutable: a pool of r replicates is the
origin's replicate r - 1, a consensus has a number made of who voted.

N = words of one text
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.orm import Session

from db.queries import candidates, loops, selections, texts, voters, votes
from db.queries.answers import AnswerKey
from db.queries.jobs import JobRow
from kompress.aggregation.replicates import pool_replicates
from kompress.config import PAIRWISE, RoundConfig, VoterConfig, parse_config
from kompress.errors import VoteFailed
from kompress.labelling.evidence import STUDENT
from kompress.labelling.panel import Panel, make_labels, make_panel
from kompress.labelling.pooling import pool_unlearned
from kompress.types import BoolArray, Candidate, VoteRow
from kompress.voters.teacher import Teacher
from worker.asking import read_answers
from worker.checkpoints import load_student
from worker.heartbeat import Heartbeat
from worker.references import (
    SAMPLES,
    absent_voters,
    as_candidate,
    consensus_origin,
    last_student,
    origin_of,
)
from worker.runtime import Runtime
from worker.stage import Stage
from worker.voters import load_voter, teachers

BATCH_TEXTS = 32
# Nominating waits on a worker of the queue `cpu`, which shall not load torch.
STUDENT_ENGINE = "onnx"
# Of one vote: the numbers of a replicate's samples start at a multiple of it.
MAX_SAMPLES = 64
# Two agree on what either keeps: ties keep.
MIN_TEACHERS = 3
Rows = list[tuple[int, Candidate]]


@dataclass(frozen=True, slots=True)
class Sampler:
    """A teacher whose samples are references of their own."""

    config: VoterConfig
    digest: str
    snapshot_hash: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """A shard's texts and votes, and who else may nominate."""

    texts: dict[int, str]
    votes: dict[int, list[VoteRow]]
    # Fingerprints by voter id.
    digests: dict[int, str]
    config: RoundConfig
    # The teachers' votes, and the origin of their consensus.
    panel: Panel
    consensus: str
    samplers: list[Sampler] = field(default_factory=list)
    student_hash: str = ""


def load(session: Session, job: JobRow) -> Inputs:
    """Read the shard's votes."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    documents = selections.shard_documents(session, job.round_id, 1, job.shard)
    text_ids = sorted(document.text_id for document in documents)
    rows = {
        voter.name: voters.get_voter(session, held.decisions.voters[voter.name])
        for voter in config.voters
        if voter.name not in absent_voters(held)
    }
    cast = votes.load_round_votes(session, job.round_id, text_ids)
    by_name = {name: row.fingerprint for name, row in rows.items()}
    return Inputs(
        texts=texts.load_texts(session, text_ids),
        votes=cast,
        digests={row.id: row.fingerprint for row in rows.values()},
        config=config,
        panel=make_panel(
            [name for name in teachers(config) if name in rows],
            cast,
            texts.load_strata(session, text_ids, "farm"),
        ),
        consensus=consensus_origin(by_name, config),
        samplers=[
            Sampler(voter, rows[voter.name].fingerprint, rows[voter.name].snapshot_hash)
            for voter in config.voters
            if voter.name in rows
            and voter.kind == "teacher"
            and voter.params.get("protocol") == "rewrite"
        ],
        student_hash=last_student(session, held),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Rows:
    """Turn votes, samples and scores into references."""
    num_steps = len(inputs.samplers) + 2
    heartbeat.progress(0, num_steps)
    made: Rows = []
    for text_id, content in inputs.texts.items():
        for candidate in nominate_votes(
            content, inputs.votes.get(text_id, []), inputs.digests
        ):
            made.append((text_id, candidate))
    made += _agree(inputs)
    for done, sampler in enumerate(inputs.samplers, 1):
        heartbeat.progress(done, num_steps)
        made += _read_samples(runtime, inputs, sampler)
    heartbeat.progress(num_steps - 1, num_steps)
    if inputs.student_hash:
        made += _ask_student(runtime, inputs, heartbeat, num_steps)
    return made


def store(session: Session, job: JobRow, out: Rows) -> None:
    """Write what is new."""
    candidates.store_candidates(session, out)


STAGE = Stage(load=load, compute=compute, store=store)


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


def _agree(inputs: Inputs) -> Rows:
    """Make a reference of what the round's rule makes of the teachers' words."""
    panel = inputs.panel
    made: Rows = []
    for text_id, label in make_labels(
        panel, pool_unlearned(panel, inputs.config)
    ).items():
        own = [row for row in inputs.votes[text_id] if row.voter in panel.voters]
        if len({row.voter for row in own}) < MIN_TEACHERS:
            continue
        cast = sorted(f"{inputs.digests[row.voter_id]}/{row.replicate}" for row in own)
        # Another round may have other votes on the text, of the same voters.
        digest = hashlib.sha256("\n".join(cast).encode()).digest()
        number = int.from_bytes(digest[:4], "big") >> 1
        content = inputs.texts[text_id]
        candidate = as_candidate(content, label.keep_N, inputs.consensus, number)
        if candidate is not None:
            made.append((text_id, candidate))
    return made


def _read_samples(runtime: Runtime, inputs: Inputs, sampler: Sampler) -> Rows:
    """Read a teacher's stored answers once more, each sample by itself."""
    voter = load_voter(runtime, sampler.config, sampler.snapshot_hash)
    if not isinstance(voter, Teacher):
        return []
    keys = {
        (text_id, replicate): asked
        for text_id, content in inputs.texts.items()
        for replicate in range(
            count_replicates(inputs.votes.get(text_id, ()), sampler.config)
        )
        if (asked := _keys(voter, text_id, content, replicate))
    }
    with runtime.sessions() as session:
        known = read_answers(session, {key for asked in keys.values() for key in asked})
    origin = origin_of(sampler.config.name, sampler.digest, SAMPLES)
    made: Rows = []
    for (text_id, replicate), asked in keys.items():
        if not all(key in known for key in asked):
            continue  # it failed, or came from another wave: nothing was sampled
        content = inputs.texts[text_id]
        found = voter.protocol.references(
            voter.shown(content), [known[key] for key in asked]
        )
        for number, keep_N in enumerate(found, MAX_SAMPLES * replicate):
            candidate = as_candidate(content, keep_N, origin, number)
            if candidate is not None:
                made.append((text_id, candidate))
    return made


def _keys(
    voter: Teacher, text_id: int, content: str, replicate: int
) -> list[AnswerKey]:
    """Name the answers behind one vote; none where the text cannot be asked about."""
    try:
        requests = voter.requests(content, replicate=replicate)
    except VoteFailed:
        return []
    model = voter.spec.identity()
    return [
        AnswerKey(text_id, request.fingerprint(model), replicate)
        for request in requests
    ]


def _ask_student(
    runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat, num_steps: int
) -> Rows:
    """Let the last student compress the texts, at its own threshold, unforced."""
    student = load_student(runtime, inputs.student_hash, engine=STUDENT_ENGINE)
    origin = origin_of(STUDENT, inputs.student_hash)
    made: Rows = []
    ids = list(inputs.texts)
    for start in range(0, len(ids), BATCH_TEXTS):
        heartbeat.progress(num_steps - 1, num_steps)
        batch = ids[start : start + BATCH_TEXTS]
        scores = student.score([inputs.texts[text_id] for text_id in batch])
        for text_id, score_N in zip(batch, scores, strict=True):
            candidate = as_candidate(inputs.texts[text_id], score_N > 0.5, origin)
            if candidate is not None:
                made.append((text_id, candidate))
    return made
