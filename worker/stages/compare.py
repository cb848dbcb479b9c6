"""Ask one judge about pairs of references, each pair in both orders.

The pairs of a text are seeded by its hash, so that judges compare the same ones. What
was judged in earlier rounds, or for another loop, is not asked again; pairs that the
last student orders otherwise than the newest fit are added to it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.orm import Session

from db.queries import comparisons, loops, records, selections, texts, voters
from db.queries.comparisons import ComparisonRow
from db.queries.jobs import JobRow
from kompress.config import PairwiseConfig, RoundConfig, VoterConfig, parse_config
from kompress.errors import InvalidConfig, VoteFailed
from kompress.pairwise.pairs import (
    Pair,
    find_misordered,
    plan_pairs,
    student_preference,
)
from kompress.teachers.request import AskFailed, Request
from kompress.voters.teacher import Judge
from worker.asking import UNASKED, hold_engine, make_ask
from worker.heartbeat import Heartbeat
from worker.references import Field, load_fields
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
class Inputs:
    """What one judge has to do for one shard."""

    voter_id: int
    judge: VoterConfig
    snapshot_hash: str
    config: PairwiseConfig
    texts: dict[int, str]
    fields: dict[int, Field]
    # This judge's, of earlier rounds and other loops.
    known: dict[int, list[ComparisonRow]]
    # Texts about which this judge could say nothing in an earlier round.
    poison: dict[int, str]


@dataclass(frozen=True, slots=True)
class Outputs:
    """New judgments, and what the judge could not do."""

    voter_id: int
    rows: list[ComparisonRow] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)
    transient: dict[int, str] = field(default_factory=dict)


def load(session: Session, job: JobRow) -> Inputs:
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
    return Inputs(
        voter_id=voter_id,
        judge=next(j for j in config.pairwise.judges if j.name == job.voter),
        snapshot_hash=voters.get_voter(session, voter_id).snapshot_hash,
        config=config.pairwise,
        texts=texts.load_texts(session, text_ids),
        fields=load_fields(session, held, config, text_ids),
        known=known,
        # One bad answer of many says nothing against the text.
        poison={t: error for t, error in failed.items() if t not in known},
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Plan the pairs and ask."""
    out = Outputs(inputs.voter_id)
    for text_id, error in inputs.poison.items():
        out.failures[text_id] = f"not tried again; in an earlier round: {error}"
    questions = [
        question
        for text_id, content in sorted(inputs.texts.items())
        if text_id in inputs.fields and text_id not in inputs.poison
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
            rows = inputs.fields[question.text_id].rows
            a_id, b_id = rows[question.first].id, rows[question.second].id
            out.rows.append(ComparisonRow(a_id, b_id, inputs.voter_id, 0, *result))
        heartbeat.progress(done, len(questions))
    return out


def store(session: Session, job: JobRow, out: Outputs) -> None:
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


def plan_text(
    text: str, field_: Field, known: Sequence[ComparisonRow], config: PairwiseConfig
) -> list[Pair]:
    """Name the ordered pairs of a text's candidates that are still to be judged.

    Args:
        text: the text; its hash seeds the graph.
        field_: its candidates.
        known: what the judge said of them before.
        config: how many cycles.

    Returns:
        (place of the first, place of the second), both orders of a pair together.
    """
    asked = {
        (field_.place_of[row.candidate_a_id], field_.place_of[row.candidate_b_id])
        for row in known
        if row.candidate_a_id in field_.place_of
        and row.candidate_b_id in field_.place_of
    }
    # Two that were compared as different texts may keep the same words.
    asked = {pair for pair in asked if pair[0] != pair[1]}
    if len(field_.rows) < 2:
        return []
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    pairs = plan_pairs(
        len(field_.rows),
        {(min(pair), max(pair)) for pair in asked},
        cycles=config.cycles,
        rng=np.random.default_rng(int.from_bytes(digest[:8], "big")),
        misordered=_misordered(field_) if asked else (),
    )
    both = [order for i, j in pairs for order in ((i, j), (j, i))]
    return [order for order in both if order not in asked]


def _misordered(field_: Field) -> list[Pair]:
    """Find what the last student would order otherwise than the newest fit."""
    keeps = [row.candidate.keep_N for row in field_.rows]
    student_N = None if field_.student is None else keeps[field_.student]
    if student_N is None:
        return []
    quality_I = np.array(
        [
            np.nan if row.quality is None or keep_N is None else row.quality
            for row, keep_N in zip(field_.rows, keeps, strict=True)
        ]
    )
    keep_IN = np.stack([student_N if k is None else k for k in keeps])
    preference_I = student_preference(keep_IN, student_N)
    return find_misordered(quality_I, preference_I, limit=len(keeps))


def _plan(inputs: Inputs, text_id: int, content: str) -> Iterator[Question]:
    known = inputs.known.get(text_id, [])
    for pair in plan_text(content, inputs.fields[text_id], known, inputs.config):
        yield Question(text_id, *pair)


def _ask(
    runtime: Runtime,
    heartbeat: Heartbeat,
    inputs: Inputs,
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
            rows = inputs.fields[text_id].rows
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


def _load_judge(runtime: Runtime, inputs: Inputs) -> Judge:
    """Make the judge from its config and what was declared for it."""
    found = load_voter(runtime, inputs.judge, inputs.snapshot_hash)
    if not isinstance(found, Judge):
        raise InvalidConfig(
            f"judge {inputs.judge.name!r} is of kind {inputs.judge.kind!r} and does "
            "not compare; expected kind 'teacher' with protocol = 'pairwise'"
        )
    return found
