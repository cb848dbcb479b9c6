"""Choose a round's documents, fit its voters, freeze its first shards.

Documents of `train` by π (design §9) and a random slice of them; all of `audit`. A few
of the train documents are the pilot's, where teachers are asked.
"""

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from db.queries import (
    candidates,
    corpora,
    loops,
    quality,
    selections,
    students,
    texts,
    voters,
)
from db.queries.corpora import DocumentRow
from db.queries.jobs import JobRow
from kompress.config import LoopConfig, RoundConfig, VoterConfig, parse_config
from kompress.decisions import SelectionCounts
from kompress.errors import InvalidConfig
from kompress.labelling.drawing import cut_shards, draw_documents
from kompress.teachers.endpoints import find_endpoint
from kompress.teachers.protocol import ModelSpec
from kompress.types import Candidate, Fingerprint
from kompress.voters import VOTERS, make_voter
from kompress.voters.teacher import declare
from worker.evidence import pin_evidence
from worker.heartbeat import Heartbeat
from worker.pipeline import PILOT_WAVE
from worker.runtime import Runtime
from worker.stage import Stage

# Statistics of a corpus settle long before this many documents; memory stays bounded.
MAX_FIT_DOCUMENTS = 20_000


@dataclass(frozen=True, slots=True)
class OriginReferences:
    """One origin's references: the hash of all, and (text, reference) to fit to."""

    digest: str
    pairs: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SelectInputs:
    """What selection depends on."""

    number: int
    seed: int
    config: RoundConfig
    train: list[DocumentRow]
    audit: list[DocumentRow]
    residuals: dict[int, float]
    influences: dict[int, float]
    fit_texts: list[str]
    references: dict[str, OriginReferences]
    # May texts leave the farm for a hosted model?
    external_ok: bool = False
    # Content hash of the student that drafts, '' before there is one.
    draft: str = ""


@dataclass(frozen=True, slots=True)
class FittedVoter:
    """A voter that this round will ask."""

    config: VoterConfig
    fingerprint: Fingerprint
    snapshot_hash: str


@dataclass(frozen=True, slots=True)
class SelectOutputs:
    """The round's plan."""

    rows: list[tuple[int, str, bool, float]]
    shards: list[list[int]]
    voters: list[FittedVoter]
    selection: SelectionCounts
    # Train documents that every voter sees first, at most; 0 for no pilot.
    num_pilot: int = 0


def load(session: Session, job: JobRow) -> SelectInputs:
    """Read the pinned corpus and the last round's residuals."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    train = corpora.documents(session, held.corpus_id, held.corpus_seq, split="train")
    audit = corpora.documents(session, held.corpus_id, held.corpus_seq, split="audit")
    if not train:
        raise InvalidConfig(
            f"the corpus has no train documents among its first {held.corpus_seq}; "
            "add more documents (groups are split by hash) and start another loop"
        )
    _check_quarantine(config, voters.quarantined_names(session), job.round)
    before = loops.previous_round(session, job.loop_id, job.round)
    earlier = students.main_students(session, job.loop_id, before_round=job.round)
    residuals = quality.load_residuals(session, before) if before else {}
    to_fit = sorted(document.text_id for document in train[:MAX_FIT_DOCUMENTS])
    content = texts.load_texts(session, to_fit)
    return SelectInputs(
        number=job.round,
        seed=parse_config(LoopConfig, held.loop_config).seed,
        config=config,
        train=train,
        audit=audit,
        residuals={
            document_id: row.residual
            for document_id, row in residuals.items()
            if row.residual is not None
        },
        influences={
            document_id: row.known_influence
            for document_id, row in residuals.items()
            if row.known_influence is not None
        },
        # By content, so that the order of uploads does not change a fit.
        fit_texts=sorted(content.values()),
        references={
            origin: OriginReferences(
                candidates.summarize_origin(
                    session, held.corpus_id, held.corpus_seq, origin
                ).digest,
                _pair(content, candidates.load_candidates(session, to_fit, origin)),
            )
            for origin in sorted(filter(None, map(_origin_of, config.voters)))
        },
        external_ok=corpora.allows_external(session, held.corpus_id),
        draft=earlier[-1].artifact_hash if earlier else "",
    )


def compute(
    runtime: Runtime, inputs: SelectInputs, heartbeat: Heartbeat
) -> SelectOutputs:
    """Fit voters and draw the sample."""
    config = inputs.config
    # Judges vote on no word, but they answer under a fingerprint all the same.
    judges = () if config.protocol == "words" else config.pairwise.judges
    asked = (*config.voters, *judges)
    num_steps = len(asked) + 1
    fitted = []
    for done, voter in enumerate(asked):
        heartbeat.progress(done, num_steps)
        fitted.append(_fit(runtime, voter, inputs))
    heartbeat.progress(num_steps - 1, num_steps)
    draw = draw_documents(
        [document.id for document in inputs.train],
        inputs.residuals,
        inputs.influences,
        config.selection,
        (inputs.seed, inputs.number),
    )
    rows = [(row.id, "train", row.in_slice, row.probability) for row in draw.documents]
    rows += [(document.id, "audit", False, 1.0) for document in inputs.audit]
    return SelectOutputs(
        rows=rows,
        shards=cut_shards([row[0] for row in rows], config.shard_documents),
        voters=fitted,
        selection=SelectionCounts(
            num_population=len(inputs.train),
            num_expected=draw.num_expected,
            num_selected=len(draw.documents),
            num_random_slice=draw.num_random_slice,
            residuals_known=len(inputs.residuals),
            influences_known=len(inputs.influences),
        ),
        num_pilot=count_pilot(config),
    )


def store(session: Session, job: JobRow, out: SelectOutputs) -> None:
    """Register voters, write the selection, freeze the first wave's shards."""
    ids = {
        voter.config.name: voters.register_voter(
            session,
            voter.fingerprint,
            voter.config.kind,
            voter.config.params,
            voter.snapshot_hash,
        )
        for voter in out.voters
    }
    # Before it is read who is in quarantine: whoever puts a voter there after this
    # waits for the round's row.
    loops.decide(session, job.round_id, lambda made: replace(made, voters=ids))
    absent = tuple(sorted(voters.quarantined_names(session) & ids.keys()))
    selections.store_selections(session, job.round_id, out.rows)
    evidence = pin_evidence(session, job.round_id)
    loops.decide(
        session,
        job.round_id,
        lambda made: replace(
            made, quarantined=absent, selection=out.selection, evidence=evidence
        ),
    )
    selections.freeze_shards(session, job.round_id, 1, out.shards)
    if out.num_pilot:
        pilot = selections.pilot_documents(session, job.round_id, out.num_pilot)
        size = max(map(len, out.shards), default=1)
        shards = cut_shards(pilot, size)
        selections.freeze_shards(session, job.round_id, PILOT_WAVE, shards)


STAGE = Stage(load=load, compute=compute, store=store)


def count_pilot(config: RoundConfig) -> int:
    """Give how many documents a round's pilot may look at, 0 if it has none.

    Where nothing costs money or an engine, the round itself tells as much.
    """
    is_free = not any(VOTERS[voter.kind].needs_engine for voter in config.voters)
    return 0 if is_free else config.pilot_size()


def _origin_of(voter: VoterConfig) -> str:
    """Name the origin whose references a voter reads, '' for none."""
    kind = VOTERS.get(voter.kind)
    return kind.origin_of(voter.params) if kind and kind.origin_of else ""


def _pair(
    content: dict[int, str], found: dict[tuple[int, int], Candidate]
) -> list[tuple[str, str]]:
    """Put texts and references together."""
    return [(content[text_id], item.reference) for (text_id, _), item in found.items()]


def _fit(runtime: Runtime, voter: VoterConfig, inputs: SelectInputs) -> FittedVoter:
    """Fit a voter to the pinned corpus; equal fits share their stored votes."""
    if voter.kind not in VOTERS:
        make_voter(voter.name, voter.kind, voter.params, None)  # says what is known
    kind = VOTERS[voter.kind]
    kind.check(voter.params)
    snapshot = None
    if kind.fit_references:
        known = inputs.references[_origin_of(voter)]
        snapshot = kind.fit_references(voter.params, known.digest, known.pairs)
    elif kind.fit:
        snapshot = kind.fit(voter.params, inputs.fit_texts)
    elif kind.needs_engine:
        snapshot = _declare(runtime, voter, kind.needs_engine(voter.params), inputs)
    made = make_voter(voter.name, voter.kind, voter.params, snapshot)
    return FittedVoter(
        config=voter,
        fingerprint=made.fingerprint,
        snapshot_hash="" if snapshot is None else runtime.artifacts.put(snapshot),
    )


def _declare(
    runtime: Runtime, voter: VoterConfig, spec: ModelSpec, inputs: SelectInputs
) -> bytes:
    """Write down what a teacher's endpoint can do, once it may see these texts."""
    endpoints = runtime.endpoints()
    if spec.endpoint:
        endpoint = find_endpoint(endpoints, spec.endpoint, spec.model)
        if endpoint.external and not inputs.external_ok:
            raise InvalidConfig(
                f"voter {voter.name!r} asks the endpoint {spec.endpoint!r}, which is "
                "external, but the corpus is not marked external_ok; its texts stay in "
                "the farm: take a local model, or add a corpus whose texts may leave"
            )
    return declare(voter.params, endpoints, draft=inputs.draft)


def _check_quarantine(config: RoundConfig, absent: set[str], number: int) -> None:
    """Refuse a voter in quarantine at a loop's start, later only a wave without any."""
    names = [voter.name for voter in config.voters]
    names += [judge.name for judge in config.pairwise.judges]
    found = sorted(absent & set(names))
    first = {voter.name for voter in config.voters if voter.wave == 1}
    if found and (number == 1 or first <= absent):
        raise InvalidConfig(
            f"in quarantine: {', '.join(found)}; release a voter and retry the "
            "failed job, or start a loop without it"
        )
