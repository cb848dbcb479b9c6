"""End a round: predict the residuals that were not measured, go on or stop.

On stopping, the best student by a paired test on the validation half of evaluation gold
is promoted, not the last one, and reported on the other half (design §9).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.queries import corpora, gold, loops, quality, records, scores, students, texts
from db.queries.jobs import JobRow
from db.queries.quality_views import round_summary
from kompress.config import LoopConfig, parse_config
from kompress.labelling.folds import fold_of
from kompress.metrics.ratios import Confusion
from kompress.selection.promotion import (
    StudentCounts,
    confusions_by_text,
    in_validation_half,
    promote,
    worse_texts,
)
from kompress.selection.residuals import (
    PredictionQuality,
    ResidualModel,
    document_features,
    validate_prediction,
)
from kompress.selection.stopping import RoundFacts, decide
from kompress.types import FloatArray, ResidualRow, Score
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage

SUITE = "planted"
# Residuals' prediction is validated over so many parts, by document group.
VALIDATION_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Inputs:
    """The loop so far."""

    config: LoopConfig
    number: int
    history: list[RoundFacts]
    # Train documents: id, features and measured residual.
    document_ids: list[int]
    group_ids: list[str]
    features_NF: FloatArray
    measured: dict[int, ResidualRow]
    # Main students in the order of their rounds, with their rows per text.
    students: dict[int, list[Score]]
    groups: dict[str, str]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What follows."""

    residuals: dict[int, ResidualRow]
    # What the next round's documents are chosen by, and how far it can be trusted.
    residual_model: dict[str, Any]
    influence_model: dict[str, Any]
    reason: str | None
    next_round: dict[str, Any] | None
    promoted_student_id: int | None
    report: dict[str, Any]


def load(session: Session, job: JobRow) -> Inputs:
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
    return Inputs(
        config=config,
        number=job.round,
        history=_history(session, job, config),
        document_ids=[document.id for document in documents],
        group_ids=[document.group_id for document in documents],
        features_NF=_features(session, documents),
        measured=measured,
        students={
            student.id: [
                row.score
                for row in scores.load_scores(
                    session,
                    student.round_id,
                    "student",
                    str(student.id),
                    suite=SUITE,
                    per_text=True,
                )
            ]
            for student in mains
            if student.round_id is not None
        },
        groups=_groups(session, held.corpus_id, held.corpus_seq),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Predict, decide, promote."""
    heartbeat.progress(0, 2)
    residuals, residual_model, influence_model = _predict_all(inputs)
    heartbeat.progress(1, 2)
    reason = decide(inputs.history, inputs.config.stop)
    if reason is None:
        following = inputs.config.resolve(inputs.number + 1)
        return Outputs(
            residuals=residuals,
            residual_model=residual_model,
            influence_model=influence_model,
            reason=None,
            next_round=following.model_dump(mode="json"),
            promoted_student_id=None,
            report={},
        )
    promoted, report = _promote(inputs)
    return Outputs(
        residuals, residual_model, influence_model, reason, None, promoted, report
    )


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """End the round; open the next one or end the loop."""
    quality.store_residuals(session, job.round_id, out.residuals)
    loops.record_decision(session, job.round_id, "residual_model", out.residual_model)
    loops.record_decision(session, job.round_id, "influence_model", out.influence_model)
    loops.finish_round(session, job.round_id, out.reason or "")
    if out.next_round is not None:
        loops.create_round(session, job.loop_id, job.round + 1, out.next_round)
        return
    loops.record_decision(session, job.round_id, "promotion", out.report)
    loops.stop_loop(session, job.loop_id, out.reason or "", out.promoted_student_id)
    records.add_event(
        session,
        "farm",
        "loop_stopped",
        loop_id=job.loop_id,
        round_id=job.round_id,
        detail={"reason": out.reason, **out.report},
    )


STAGE = Stage(load=load, compute=compute, store=store)


def _history(session: Session, job: JobRow, config: LoopConfig) -> list[RoundFacts]:
    """Read the facts of every round up to this one from what people see."""
    rows = round_summary(session, job.loop)
    target = config.stop.target_keep_rate
    round_of = {r.number: r.id for r in loops.rounds_of(session, job.loop_id)}
    return [
        RoundFacts(
            number=row["round"],
            f1_gold=row["f1_gold"],
            exact_at_target=_exact_at(session, round_of[row["round"]], target),
            mk_in_ref_raw=row["mk_in_ref"],
            override_delta=row["override_delta"],
            keep_rate=row["exact_keep_rate"],
            usd=row["usd"],
            seconds=row["seconds"],
        )
        for row in rows
        if row["round"] <= job.round
    ]


def _exact_at(session: Session, round_id: int, keep_rate: float) -> float | None:
    """Give the main student's exact_pct on `agent` at a fixed keep_rate."""
    for row in scores.load_scores(
        session, round_id, "student", suite="agent", metric="exact_pct"
    ):
        score = row.score
        if (
            score.stratum == "all"
            and not score.override
            and score.target_keep_rate is not None
            and abs(score.target_keep_rate - keep_rate) < 1e-9
        ):
            return score.value
    return None


def _features(session: Session, documents: list[corpora.DocumentRow]) -> FloatArray:
    """Describe each train document."""
    if not documents:
        return np.zeros((0, 0))
    text_ids = sorted(document.text_id for document in documents)
    content = texts.load_texts(session, text_ids)
    strata = texts.load_strata(session, text_ids, "farm")
    return np.stack(
        [
            document_features(content[d.text_id], strata[d.text_id], d.kind)
            for d in documents
        ]
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


def _predict_all(
    inputs: Inputs,
) -> tuple[dict[int, ResidualRow], dict[str, Any], dict[str, Any]]:
    """Predict residuals and influences of every train document; say how well."""
    measured = {
        document: row.measured
        for document, row in inputs.measured.items()
        if row.measured is not None
    }
    taught = {
        document: row.influence
        for document, row in inputs.measured.items()
        if row.influence is not None
    }
    residual_of, residual_model = _predict(inputs, measured)
    # Against their mean: a squared change of scores is a few thousandths.
    mean = float(np.mean(list(taught.values()))) if taught else 0.0
    scale = mean or 1.0
    influence_of, influence_model = _predict(
        inputs, {document: value / scale for document, value in taught.items()}
    )
    rows = {
        document: ResidualRow(
            measured=measured.get(document),
            predicted=predicted,
            influence=taught.get(document),
            predicted_influence=scale * influence_of[document]
            if document in influence_of
            else None,
        )
        for document, predicted in residual_of.items()
    }
    return rows, residual_model, influence_model


def _predict(
    inputs: Inputs, measured: dict[int, float]
) -> tuple[dict[int, float], dict[str, Any]]:
    """Predict every train document from those that were measured.

    Where features predict worse out of sample than the mean does, the mean is taken:
    documents without a measurement are then all alike.
    """
    place = {document: n for n, document in enumerate(inputs.document_ids)}
    ids = sorted(document for document in measured if document in place)
    if not ids:
        return {}, _describe(PredictionQuality(0, None, None), by="nothing")
    rows = [place[document] for document in ids]
    features_NF = inputs.features_NF[rows]
    value_N = np.array([measured[document] for document in ids])
    quality = validate_prediction(
        features_NF,
        value_N,
        np.array([fold_of(inputs.group_ids[row], VALIDATION_FOLDS) for row in rows]),
    )
    by = "features" if quality.r2 is not None and quality.r2 > 0 else "mean"
    model = (
        ResidualModel.fit(features_NF, value_N)
        if by == "features"
        else ResidualModel.of_mean(value_N, features_NF.shape[1])
    )
    values = model.predict(inputs.features_NF)
    predicted = dict(zip(inputs.document_ids, values.tolist(), strict=True))
    return predicted, _describe(quality, by=by)


def _describe(quality: PredictionQuality, *, by: str) -> dict[str, Any]:
    """Lay out what is recorded of a prediction."""
    return {
        "num_measured": quality.num_documents,
        "predicted_by": by,
        "r2": quality.r2,
        "rank_correlation": quality.rank_correlation,
    }


def _promote(inputs: Inputs) -> tuple[int | None, dict[str, Any]]:
    """Choose the best student on one half of the gold, report it on the other."""
    counts = {
        student: confusions_by_text(rows) for student, rows in inputs.students.items()
    }
    if not counts:
        return None, {"reason": "no student was trained"}
    shared = set.intersection(*(set(by_text) for by_text in counts.values()))
    texts_seen = sorted(shared & set(inputs.groups))
    validation = [t for t in texts_seen if in_validation_half(inputs.groups[t])]
    report = [t for t in texts_seen if t not in set(validation)]
    outcome = promote(
        [
            StudentCounts(
                student_id=str(student),
                counts_T3=np.array(
                    [(by_text[t].tp, by_text[t].fp, by_text[t].fn) for t in validation],
                    dtype=np.int64,
                ).reshape(-1, 3),
                group_ids=tuple(inputs.groups[t] for t in validation),
            )
            for student, by_text in counts.items()
        ],
        np.random.default_rng([inputs.config.seed, inputs.number]),
    )
    best = int(outcome.best_student_id)
    f1_by_text = {
        student: {t: by_text[t].f1 for t in texts_seen}
        for student, by_text in counts.items()
    }
    order = list(counts)
    before = order[order.index(best) - 1] if order.index(best) else None
    worse = worse_texts(f1_by_text[before], f1_by_text[best]) if before else []
    total = sum((counts[best][t] for t in report), Confusion(0, 0, 0))
    return best, {
        "promoted": best,
        "reason": outcome.reason,
        "f1_validation": dict(outcome.f1),
        "f1_report": total.f1,
        "num_validation": len(validation),
        "num_report": len(report),
        "worse_texts": [
            {"text": w.text_sha256, "before": w.before, "after": w.after} for w in worse
        ],
    }
