"""Collect the references that could stand for each document of a shard.

One for each voter (its mask at 1/2, replicates pooled), one of the teachers' consensus,
one for each usable sample of a teacher that rewrites, one of the loop's last student;
what people uploaded is there already. Rows are immutable: a pool of r replicates is the
origin's replicate r - 1, a consensus has a number made of who voted.

N = words of one text
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.queries import candidates, loops, selections, texts, voters, votes
from db.queries.answers import AnswerKey
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, VoterConfig, parse_config
from kompress.errors import VoteFailed
from kompress.labelling.fit_data import STUDENT
from kompress.labelling.panel import Panel, make_panel, teachers
from kompress.labelling.references import (
    SAMPLES,
    as_candidate,
    consensus_origin,
    count_replicates,
    nominate_consensus,
    nominate_samples,
    nominate_votes,
    origin_of,
)
from kompress.teachers.request import Answer
from kompress.types import Candidate, VoteRow
from kompress.voters.teacher import Teacher
from worker.asking import read_answers
from worker.checkpoints import load_student, score_texts
from worker.heartbeat import Heartbeat
from worker.references import absent_voters, last_student
from worker.runtime import Runtime
from worker.stage import Stream, StreamStage
from worker.voters import load_voter

# Nominating waits on a worker of the queue `cpu`, which shall not load torch.
STUDENT_ENGINE = "onnx"
Rows = list[tuple[int, Candidate]]


@dataclass(frozen=True, slots=True)
class Sampler:
    """A teacher whose samples are references of their own."""

    config: VoterConfig
    digest: str
    snapshot_hash: str


@dataclass(frozen=True, slots=True)
class NominateInputs:
    """A shard's texts and votes, and who else may nominate."""

    texts: dict[int, str]
    votes: dict[int, list[VoteRow]]
    # Fingerprints by voter id.
    digests: dict[int, str]
    config: RoundConfig
    # The teachers' votes, and the origin of their consensus.
    panel: Panel
    consensus: str
    student_hash: str


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """A teacher's stored answers by (text id, replicate), to be read sample by sample.

    What failed, or comes from another wave, is left out: nothing was sampled.
    """

    voter: Teacher
    origin: str
    answers: dict[tuple[int, int], list[Answer]]


def load(session: Session, job: JobRow) -> Stream[NominateInputs, Sampler, Rows]:
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
    samplers = [
        Sampler(voter, rows[voter.name].fingerprint, rows[voter.name].snapshot_hash)
        for voter in config.voters
        if voter.name in rows
        and voter.kind == "teacher"
        and voter.params.get("protocol") == "rewrite"
    ]
    inputs = NominateInputs(
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
        student_hash=last_student(session, held),
    )
    return Stream(inputs, samplers, [])


def read(
    session: Session, runtime: Runtime, inputs: NominateInputs, sampler: Sampler
) -> StoredSamples | None:
    """Read a teacher's stored answers once more; None of a voter that is no teacher."""
    voter = load_voter(runtime, sampler.config, sampler.snapshot_hash)
    if not isinstance(voter, Teacher):
        return None
    keys = {
        (text_id, replicate): asked
        for text_id, content in inputs.texts.items()
        for replicate in range(
            count_replicates(inputs.votes.get(text_id, ()), sampler.config)
        )
        if (asked := _keys(voter, text_id, content, replicate))
    }
    known = read_answers(session, {key for asked in keys.values() for key in asked})
    return StoredSamples(
        voter,
        origin_of(sampler.config.name, sampler.digest, SAMPLES),
        {
            place: [known[key] for key in asked]
            for place, asked in keys.items()
            if all(key in known for key in asked)
        },
    )


def add(
    inputs: NominateInputs,
    made: Rows,
    found: StoredSamples | None,
    heartbeat: Heartbeat,
) -> None:
    """Turn each sample of a teacher into a reference."""
    heartbeat.progress(0, 2)
    if found is None:
        return
    for (text_id, replicate), answers in found.answers.items():
        content = inputs.texts[text_id]
        keeps = found.voter.protocol.references(found.voter.shown(content), answers)
        own = nominate_samples(content, keeps, found.origin, replicate)
        made += [(text_id, candidate) for candidate in own]


def finish(
    runtime: Runtime, inputs: NominateInputs, samples: Rows, heartbeat: Heartbeat
) -> Rows:
    """Turn votes and scores into references, too."""
    heartbeat.progress(0, 2)
    made = [
        (text_id, candidate)
        for text_id, content in inputs.texts.items()
        for candidate in nominate_votes(
            content, inputs.votes.get(text_id, []), inputs.digests
        )
    ]
    made += nominate_consensus(
        inputs.panel,
        inputs.config,
        inputs.votes,
        inputs.texts,
        inputs.digests,
        inputs.consensus,
    )
    made += samples
    heartbeat.progress(1, 2)
    if inputs.student_hash:
        made += _ask_student(runtime, inputs, heartbeat)
    return made


def store(session: Session, job: JobRow, out: Rows) -> None:
    """Write what is new."""
    candidates.store_candidates(session, out)


STAGE = StreamStage(load=load, read=read, add=add, finish=finish, store=store)


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
    runtime: Runtime, inputs: NominateInputs, heartbeat: Heartbeat
) -> Rows:
    """Let the last student compress the texts, at its own threshold, unforced."""
    student = load_student(runtime, inputs.student_hash, engine=STUDENT_ENGINE)
    origin = origin_of(STUDENT, inputs.student_hash)
    scores = score_texts(student, list(inputs.texts.values()), heartbeat.tick)
    found = (
        (text_id, as_candidate(content, score_N > 0.5, origin))
        for (text_id, content), score_N in zip(
            inputs.texts.items(), scores, strict=True
        )
    )
    return [(text_id, made) for text_id, made in found if made is not None]
