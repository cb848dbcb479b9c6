"""End a round: predict the residuals that were not measured, go on or stop.

On stopping, the best student by a paired test on the validation half of evaluation gold
is promoted, not the last one, and reported on the other half (design §9).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.queries import corpora, gold, loops, quality, records, scores, students, texts
from db.queries.jobs import JobRow
from db.queries.views import round_summary
from kompress.config import GOLD_SUITE, LoopConfig, parse_config
from kompress.decisions import PredictionSummary, PromotionReport
from kompress.labelling.conclusion import (
    STOP_FIGURES,
    find_stop_reason,
    promote_student,
)
from kompress.labelling.residuals import (
    Population,
    describe_documents,
    predict_residuals,
)
from kompress.stop_reason import StopReason
from kompress.types import ResidualRow, Score
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class ConcludeInputs:
    """The loop so far."""

    config: LoopConfig
    number: int
    # Rows of `round_summary`, and what the stop rule reads of the main students.
    rounds: list[tuple[Mapping[str, Any], list[Score]]]
    # Train documents, and the measured residuals by their ids.
    population: Population
    measured: dict[int, ResidualRow]
    # Main students in the order of their rounds, with their rows per text.
    students: dict[int, list[Score]]
    groups: dict[str, str]


@dataclass(frozen=True, slots=True)
class ConcludeOutputs:
    """What follows."""

    residuals: dict[int, ResidualRow]
    # What the next round's documents are chosen by, and how far it can be trusted.
    residual_model: PredictionSummary
    influence_model: PredictionSummary
    stop: StopReason | None
    # The next round's config, {} where there is none.
    next_round: dict[str, Any]
    promotion: PromotionReport | None


def load(session: Session, job: JobRow) -> ConcludeInputs:
    """Read every round's facts, and the documents whose residual is to be predicted."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(LoopConfig, held.loop_config)
    found = quality.load_residuals(session, job.round_id)
    measured = {
        document_id: row
        for document_id, row in found.items()
        if row.measured is not None
    }
    documents = (
        corpora.documents(session, held.corpus_id, held.corpus_seq, split="train")
        if measured
        else []
    )
    mains = students.main_students(session, job.loop_id)
    return ConcludeInputs(
        config=config,
        number=job.round,
        rounds=_rounds(session, job),
        population=_population(session, documents),
        measured=measured,
        students={
            student.id: [
                row.score
                for row in scores.load_scores(
                    session,
                    student.round_id,
                    "student",
                    str(student.id),
                    suite=GOLD_SUITE,
                    per_text=True,
                )
            ]
            for student in mains
            if student.round_id is not None
        },
        groups=_groups(session, held.corpus_id, held.corpus_seq),
    )


def compute(
    runtime: Runtime, inputs: ConcludeInputs, heartbeat: Heartbeat
) -> ConcludeOutputs:
    """Predict, decide, promote."""
    heartbeat.progress(0, 2)
    residuals, residual, influence = predict_residuals(
        inputs.population, inputs.measured
    )
    heartbeat.progress(1, 2)
    rule = inputs.config.stop
    stop = find_stop_reason(inputs.rounds, rule, num_planned=len(inputs.config.rounds))
    following: dict[str, Any] = {}
    promotion = None
    if stop is None:
        resolved = inputs.config.resolve(inputs.number + 1)
        following = resolved.model_dump(mode="json")
    else:
        rng = np.random.default_rng([inputs.config.seed, inputs.number])
        promotion = promote_student(
            inputs.students,
            inputs.groups,
            rng,
            target_keep_rate=rule.target_keep_rate,
        )
    return ConcludeOutputs(
        residuals=residuals,
        residual_model=residual.summary(),
        influence_model=influence.summary(),
        stop=stop,
        next_round=following,
        promotion=promotion,
    )


def store(session: Session, job: JobRow, out: ConcludeOutputs) -> None:
    """End the round; open the next one or end the loop."""
    quality.store_residuals(session, job.round_id, out.residuals)
    loops.decide(
        session,
        job.round_id,
        lambda made: replace(
            made,
            residual_model=out.residual_model,
            influence_model=out.influence_model,
            promotion=out.promotion,
        ),
    )
    loops.finish_round(session, job.round_id, out.stop)
    if out.stop is None:
        loops.create_round(session, job.loop_id, job.round + 1, out.next_round)
        return
    report = out.promotion
    loops.stop_loop(session, job.loop_id, out.stop, report.promoted if report else None)
    records.add_event(
        session,
        "farm",
        "loop_stopped",
        loop_id=job.loop_id,
        round_id=job.round_id,
    )


STAGE = Stage(load=load, compute=compute, store=store)


def _rounds(
    session: Session, job: JobRow
) -> list[tuple[Mapping[str, Any], list[Score]]]:
    """Read what people see of every round up to this one, and its main figures."""
    round_of = {r.number: r.id for r in loops.rounds_of(session, job.loop_id)}
    return [
        (
            row,
            [
                found.score
                for suite, metric in STOP_FIGURES
                for found in scores.load_scores(
                    session,
                    round_of[row["round"]],
                    "student",
                    suite=suite,
                    metric=metric,
                )
            ],
        )
        for row in round_summary(session, job.loop)
        if row["round"] <= job.round
    ]


def _population(
    session: Session, documents: Sequence[corpora.DocumentRow]
) -> Population:
    """Describe each train document."""
    text_ids = sorted(document.text_id for document in documents)
    content = texts.load_texts(session, text_ids)
    strata = texts.load_strata(session, text_ids, "farm")
    return Population(
        ids=tuple(document.id for document in documents),
        group_ids=tuple(document.group_id for document in documents),
        features_NF=describe_documents(
            [(content[d.text_id], strata[d.text_id], d.kind) for d in documents]
        ),
    )


def _groups(session: Session, corpus_id: int, corpus_seq: int) -> dict[str, str]:
    """Give the document group of each text of the planted suite, by hash."""
    documents = corpora.documents(session, corpus_id, corpus_seq, split="held_out")
    text_ids = sorted(document.text_id for document in documents)
    known = gold.load_gold(session, text_ids, use="evaluate")
    hashes = texts.load_hashes(session, sorted(known))
    return {
        hashes[document.text_id].hex(): document.group_id
        for document in documents
        if document.text_id in known
    }
