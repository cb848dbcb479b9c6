"""Ask one judge about pairs of references, each pair in both orders.

The pairs of a text are seeded by its hash, so that judges compare the same ones. What
was judged in earlier rounds, or for another loop, is not asked again; pairs that the
last student orders otherwise than the newest fit are added to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db.queries import comparisons, loops, records, selections, texts, voters
from db.queries.jobs import JobRow
from kompress.config import PairwiseConfig, RoundConfig, VoterConfig, parse_config
from kompress.errors import InvalidConfig, VoteFailed
from kompress.labelling.comparisons import plan_comparisons
from kompress.labelling.references import CompetingReferences
from kompress.teachers.request import AskFailed, Request
from kompress.types import ComparisonRow
from kompress.voters.teacher import Judge
from worker.asking import UNASKED, hold_engine, make_ask
from worker.heartbeat import Heartbeat
from worker.references import load_competing
from worker.runtime import Runtime
from worker.stage import Stage
from worker.voters import load_voter


@dataclass(frozen=True, slots=True)
class Question:
    """Two candidates of a text, in the order they are shown."""

    text_id: int
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class CompareInputs:
    """What one judge has to do for one shard."""

    voter_id: int
    judge: VoterConfig
    snapshot_hash: str
    config: PairwiseConfig
    texts: dict[int, str]
    competing: dict[int, CompetingReferences]
    # This judge's, of earlier rounds and other loops.
    known: dict[int, list[ComparisonRow]]
    # Texts about which this judge could say nothing in an earlier round.
    poison: dict[int, str]


@dataclass(frozen=True, slots=True)
class CompareOutputs:
    """New judgments, and what the judge could not do."""

    voter_id: int
    rows: list[ComparisonRow] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)
    transient: dict[int, str] = field(default_factory=dict)


def load(session: Session, job: JobRow) -> CompareInputs:
    """Read the candidates, and what this judge said of them."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    documents = selections.shard_documents(session, job.round_id, 1, job.shard)
    text_ids = sorted(document.text_id for document in documents)
    voter_id = held.decisions.voters[job.voter]
    known = comparisons.load_comparisons(session, text_ids, [voter_id])
    failed = records.failed_texts(
        session, voter_id, "compare", text_ids, before_round=job.round_id
    )
    return CompareInputs(
        voter_id=voter_id,
        judge=next(j for j in config.pairwise.judges if j.name == job.voter),
        snapshot_hash=voters.get_voter(session, voter_id).snapshot_hash,
        config=config.pairwise,
        texts=texts.load_texts(session, text_ids),
        competing=load_competing(session, held, config, text_ids),
        known=known,
        # One bad answer of many says nothing against the text.
        poison={t: error for t, error in failed.items() if t not in known},
    )


def compute(
    runtime: Runtime, inputs: CompareInputs, heartbeat: Heartbeat
) -> CompareOutputs:
    """Plan the pairs and ask."""
    out = CompareOutputs(inputs.voter_id)
    for text_id, error in inputs.poison.items():
        out.failures[text_id] = f"not tried again; in an earlier round: {error}"
    questions = [
        question
        for text_id, content in sorted(inputs.texts.items())
        if text_id in inputs.competing and text_id not in inputs.poison
        for question in _plan(inputs, text_id, content)
    ]
    heartbeat.progress(0, len(questions))
    if not questions:
        return out
    judge = _load_judge(runtime, inputs)
    for done, (question, result) in enumerate(
        _ask(runtime, heartbeat, inputs, judge, questions), 1
    ):
        if isinstance(result, VoteFailed):
            failures = out.transient if result.is_transient else out.failures
            failures.setdefault(question.text_id, str(result))
        else:
            rows = inputs.competing[question.text_id].rows
            a_id, b_id = rows[question.first].id, rows[question.second].id
            out.rows.append(ComparisonRow(a_id, b_id, inputs.voter_id, 0, *result))
        heartbeat.progress(done, len(questions))
    return out


def store(session: Session, job: JobRow, out: CompareOutputs) -> None:
    """Add the judgments, and write down what failed."""
    comparisons.store_comparisons(session, out.rows)
    records.add_failures(
        session,
        [
            (text_id, out.voter_id, stage, job.attempt, job.round_id, error)
            for stage, failed in (
                (job.stage, out.failures),
                (UNASKED, out.transient),
            )
            for text_id, error in sorted(failed.items())
        ],
    )


STAGE = Stage(load=load, compute=compute, store=store)


def _plan(inputs: CompareInputs, text_id: int, content: str) -> Iterator[Question]:
    known = inputs.known.get(text_id, [])
    for pair in plan_comparisons(
        content, inputs.competing[text_id], known, inputs.config
    ):
        yield Question(text_id, *pair)


def _ask(
    runtime: Runtime,
    heartbeat: Heartbeat,
    inputs: CompareInputs,
    judge: Judge,
    questions: Sequence[Question],
) -> Iterator[tuple[Question, tuple[float, float, float] | VoteFailed]]:
    """Ask every question at once; judgments come in any order."""
    shown: dict[int, tuple[str, list[str]]] = {}
    requests: list[tuple[int, Request]] = []
    text_ids = sorted({question.text_id for question in questions})
    place = {text_id: index for index, text_id in enumerate(text_ids)}
    for question in questions:
        text_id = question.text_id
        if text_id not in shown:
            rows = inputs.competing[text_id].rows
            text = inputs.texts[text_id]
            references = [
                judge.shown_reference(text, row.candidate.reference) for row in rows
            ]
            shown[text_id] = (judge.shown(text), references)
        content, references = shown[text_id]
        request = judge.protocol.request(
            content, references[question.first], references[question.second]
        )
        requests.append((place[text_id], request))
    transport = hold_engine(runtime, heartbeat, judge.spec, judge.fingerprint)
    ask = make_ask(runtime, heartbeat, transport, judge.spec, text_ids)
    for number, answer in ask(requests):
        if isinstance(answer, AskFailed):
            error = VoteFailed(answer.error, is_transient=answer.is_transient)
            yield questions[number], error
            continue
        try:
            result = judge.protocol.read(answer)
        except VoteFailed as error:
            yield questions[number], error
        else:
            yield questions[number], result


def _load_judge(runtime: Runtime, inputs: CompareInputs) -> Judge:
    """Make the judge from its config and what was declared for it."""
    found = load_voter(runtime, inputs.judge, inputs.snapshot_hash)
    if not isinstance(found, Judge):
        raise InvalidConfig(
            f"judge {inputs.judge.name!r} is of kind {inputs.judge.kind!r} and does "
            "not compare; expected kind 'teacher' with protocol = 'pairwise'"
        )
    return found
