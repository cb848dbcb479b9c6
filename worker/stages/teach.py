"""Ask one voter about one shard; votes are stored in slices as they come.

A voter is asked only for votes that nobody has stored: a repeated job, a later round
and another loop all find the earlier ones. What it cannot vote on is a failure. A
teacher's answers are stored apart, see `worker.asking`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db.queries import (
    candidates,
    loops,
    records,
    selections,
    texts,
    voters,
    votes,
)
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, VoterConfig, parse_config
from kompress.errors import VoteFailed
from kompress.must_keep import classify_words
from kompress.types import BoolArray, Vote
from kompress.voters import VOTERS
from kompress.voters.teacher import Teacher
from kompress.voters.voter import Asker, ReferenceReader, Voter
from kompress.words import word_list
from worker.asking import UNASKED, hold_engine, make_ask
from worker.checkpoints import load_student, score_texts
from worker.errors import Incomplete
from worker.heartbeat import Heartbeat
from worker.patience import patiently
from worker.pipeline import PILOT_WAVE, REPLICATES
from worker.runtime import Runtime
from worker.stage import Stage
from worker.voters import load_voter

# A slice is stored when it is this large or this old: what a kill can cost.
SLICE_TEXTS = 256
SLICE_S = 5.0
DRAFT_OVERRIDE = "headroom-0.42"  # as `Student.compress` has it
DRAFT_ENGINE = "onnx"  # without torch, on the processor: the device is the teacher's


@dataclass(frozen=True, slots=True)
class TeachInputs:
    """What one voter has to do for one shard."""

    round_id: int
    voter_id: int
    voter: VoterConfig
    snapshot_hash: str
    texts: dict[int, str]
    # Answers that a text shall have; those with a lower number are asked for.
    num_replicates: int
    # (text, replicate) that are stored already; another loop may have asked for more.
    known: set[tuple[int, int]]
    # Texts that this voter failed on in an earlier round: not tried again.
    poison: dict[int, str]
    # By (text, replicate), for a voter that votes by them.
    references: dict[tuple[int, int], str] = field(default_factory=dict)

    def missing(self, replicate: int) -> list[int]:
        """List the texts that are still to be asked about."""
        return [
            text_id
            for text_id in self.texts
            if (text_id, replicate) not in self.known and text_id not in self.poison
        ]


@dataclass(frozen=True, slots=True)
class TeachOutputs:
    """The last slice, what was there before, and what the voter could not do."""

    voter_id: int
    last_slice: list[tuple[int, int, Vote]]
    known_texts: list[int]
    num_replicates: int
    failures: dict[int, str] = field(default_factory=dict)
    # Not asked, or not answered, for reasons that are not the text's.
    unasked: dict[int, str] = field(default_factory=dict)


def load(session: Session, job: JobRow) -> TeachInputs:
    """Read the shard's texts, and which votes exist."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    voter_id = held.decisions.voters[job.voter]
    row = voters.get_voter(session, voter_id)
    documents = selections.shard_documents(session, job.round_id, job.wave, job.shard)
    text_ids = sorted(document.text_id for document in documents)
    voter = next(v for v in config.voters if v.name == job.voter)
    return TeachInputs(
        round_id=job.round_id,
        voter_id=voter_id,
        voter=voter,
        snapshot_hash=row.snapshot_hash,
        texts=texts.load_texts(session, text_ids),
        num_replicates=int(job.args[REPLICATES]),
        known=votes.known_votes(session, voter_id, text_ids),
        # What it failed on in this round's pilot counts as earlier, too.
        poison=records.failed_texts(
            session,
            voter_id,
            "teach",
            text_ids,
            before_round=job.round_id + (job.wave > PILOT_WAVE),
        ),
        references=_load_references(session, voter, text_ids),
    )


def compute(
    runtime: Runtime, inputs: TeachInputs, heartbeat: Heartbeat
) -> TeachOutputs:
    """Vote, slice by slice."""
    failures = {
        text_id: f"not tried again; in an earlier round: {error}"
        for text_id, error in inputs.poison.items()
    }
    unasked: dict[int, str] = {}
    replicates = range(inputs.num_replicates)
    total = len(inputs.texts) * inputs.num_replicates
    done = total - sum(len(inputs.missing(replicate)) for replicate in replicates)
    heartbeat.progress(done, total)
    pending: list[tuple[int, int, Vote]] = []
    stored_at = time.monotonic()
    for text_id, replicate, result in _vote(runtime, inputs, heartbeat):
        done += 1
        if isinstance(result, VoteFailed):
            (unasked if result.is_transient else failures)[text_id] = str(result)
        else:
            pending.append((text_id, replicate, result))
        is_old = time.monotonic() - stored_at > SLICE_S
        if len(pending) >= SLICE_TEXTS or (pending and is_old):
            _store_slice(heartbeat, inputs, pending)
            pending = []
            stored_at = time.monotonic()
        heartbeat.progress(done, total)
    return TeachOutputs(
        voter_id=inputs.voter_id,
        last_slice=pending,
        # Failed ones too: what replicates they have count wherever the text is used.
        known_texts=sorted({text_id for text_id, _ in inputs.known}),
        num_replicates=inputs.num_replicates,
        failures=failures,
        unasked=unasked,
    )


def store(session: Session, job: JobRow, out: TeachOutputs) -> None:
    """Store the last slice, link what was there, and write down what failed.

    Raises:
        Incomplete: a document of the shard has neither a vote nor a failure.
    """
    if out.last_slice:
        votes.store_votes(session, job.round_id, out.voter_id, out.last_slice)
    if out.known_texts:
        votes.link_votes(
            session, job.round_id, out.voter_id, out.known_texts, out.num_replicates
        )
    records.add_failures(
        session,
        [
            (text_id, out.voter_id, stage, job.attempt, job.round_id, error)
            for stage, found in ((UNASKED, out.unasked), (job.stage, out.failures))
            for text_id, error in sorted(found.items())
        ],
    )
    _refuse_gaps(session, job, out.voter_id)


STAGE = Stage(load=load, compute=compute, store=store)


def _refuse_gaps(session: Session, job: JobRow, voter_id: int) -> None:
    """Refuse to end a job that would leave a document without vote and failure."""
    documents = selections.shard_documents(session, job.round_id, job.wave, job.shard)
    missing = votes.unheard_texts(
        session,
        job.round_id,
        voter_id,
        sorted({document.text_id for document in documents}),
        stages=(job.stage, UNASKED),
    )
    if missing:
        raise Incomplete(
            f"{len(missing)} of {len(documents)} documents have neither a vote of "
            f"{job.voter!r} nor a failure, the first is text {missing[0]}; expected "
            "one for each; nothing was stored"
        )


def _load_references(
    session: Session, voter: VoterConfig, text_ids: list[int]
) -> dict[tuple[int, int], str]:
    """Read the references that a voter votes by, if it does."""
    kind = VOTERS[voter.kind]
    if kind.origin_of is None:
        return {}
    found = candidates.load_candidates(session, text_ids, kind.origin_of(voter.params))
    return {key: candidate.reference for key, candidate in found.items()}


def _vote(
    runtime: Runtime, inputs: TeachInputs, heartbeat: Heartbeat
) -> Iterator[tuple[int, int, Vote | VoteFailed]]:
    """Ask for the votes that are missing, as (text, replicate, result)."""
    voter = _load_voter(runtime, inputs)
    drafts: dict[str, BoolArray] = {}
    for replicate in range(inputs.num_replicates):
        asked = inputs.missing(replicate)
        if not asked:
            continue
        contents = [inputs.texts[text_id] for text_id in asked]
        asker = voter
        if isinstance(voter, ReferenceReader):
            asker = voter.with_references(
                {
                    inputs.texts[text_id]: inputs.references[text_id, replicate]
                    for text_id in asked
                    if (text_id, replicate) in inputs.references
                }
            )
        if isinstance(voter, Asker):
            transport = hold_engine(runtime, heartbeat, voter.spec, voter.fingerprint)
            drafts |= _draft(runtime, heartbeat, voter, set(contents) - drafts.keys())
            ask = make_ask(
                runtime, heartbeat, transport, voter.spec, asked, replicate=replicate
            )
            asker = voter.with_engine(ask, drafts)
        for index, result in asker.vote(contents, replicate=replicate):
            yield asked[index], replicate, _checked(result, contents[index])


def _draft(
    runtime: Runtime, heartbeat: Heartbeat, voter: Voter, contents: set[str]
) -> dict[str, BoolArray]:
    """Compress texts with the student that a `correct` teacher corrects, as deployed.

    The student alone decides: its hash is in the voter's fingerprint.
    """
    if not isinstance(voter, Teacher) or not voter.draft:
        return {}
    student = load_student(runtime, voter.draft, engine=DRAFT_ENGINE)
    drafts = {}
    ordered = sorted(contents)
    scores = score_texts(student, ordered, heartbeat.tick)
    for text, score_N in zip(ordered, scores, strict=True):
        caught_N = classify_words(word_list(text), DRAFT_OVERRIDE) > 0
        drafts[text] = (score_N > 0.5) | caught_N
    return drafts


def _checked(result: Vote | VoteFailed, text: str) -> Vote | VoteFailed:
    """Refuse a vote that does not have one code a word."""
    if isinstance(result, VoteFailed):
        return result
    num_words = len(word_list(text))
    if result.codes_N.shape != (num_words,) or result.num_samples < 1:
        return VoteFailed(
            f"the vote has {result.codes_N.shape} codes of {result.num_samples} "
            f"samples; expected {num_words}, one a word, of at least one sample"
        )
    return result


def _load_voter(runtime: Runtime, inputs: TeachInputs) -> Voter:
    """Load the voter once per process."""
    return runtime.resident(
        f"voter {inputs.voter_id}",
        lambda: load_voter(runtime, inputs.voter, inputs.snapshot_hash),
    )


def _store_slice(
    heartbeat: Heartbeat, inputs: TeachInputs, pending: list[tuple[int, int, Vote]]
) -> None:
    """Store votes now; a later attempt finds them."""

    def write(session: Session) -> None:
        votes.store_votes(session, inputs.round_id, inputs.voter_id, pending)

    patiently(heartbeat.job.title, lambda: heartbeat.store_slice(write))
