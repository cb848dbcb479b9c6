"""Measure what out-of-fold students get wrong about a shard's documents."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.queries import labels, loops, quality, selections, students, texts
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from kompress.selection.residuals import measured_residual
from kompress.types import Label
from worker.checkpoints import load_student
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage
from worker.stages.train import fold_of

BATCH_TEXTS = 32


@dataclass(frozen=True, slots=True)
class Inputs:
    """Labelled documents by the fold that left them out."""

    students: dict[int, str]
    # fold -> (document, text, label)
    documents: dict[int, list[tuple[int, str, Label]]]


def load(session: Session, job: JobRow) -> Inputs:
    """Read the shard's labels and the fold students."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    roles = {
        row.document_id: row.role
        for row in selections.load_selections(session, job.round_id)
    }
    rows = [
        row
        for row in selections.shard_documents(session, job.round_id, 1, job.shard)
        if roles[row.id] == "train"
    ]
    text_ids = sorted(row.text_id for row in rows)
    found = labels.load_labels(session, job.round_id, config.label_source, text_ids)
    content = texts.load_texts(session, sorted(found))
    by_fold: dict[int, list[tuple[int, str, Label]]] = {}
    for row in rows:
        if row.text_id in found:
            fold = fold_of(row.group_id, config.folds)
            by_fold.setdefault(fold, []).append(
                (row.id, content[row.text_id], found[row.text_id])
            )
    return Inputs(
        students={
            student.fold: student.artifact_hash
            for student in students.round_students(session, job.round_id)
        },
        documents=by_fold,
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> dict[int, float]:
    """Score each document with the student that never saw it."""
    total = sum(len(rows) for rows in inputs.documents.values())
    found: dict[int, float] = {}
    for fold, rows in sorted(inputs.documents.items()):
        student = load_student(runtime, inputs.students[fold])
        for start in range(0, len(rows), BATCH_TEXTS):
            heartbeat.progress(len(found), total)
            batch = rows[start : start + BATCH_TEXTS]
            scores = student.score([text for _, text, _ in batch])
            for (document_id, _, label), score_N in zip(batch, scores, strict=True):
                found[document_id] = measured_residual(
                    label.mean_N.astype(np.float64),
                    label.sd_N.astype(np.float64),
                    score_N,
                )
    return found


def store(session: Session, job: JobRow, out: dict[int, float]) -> None:
    """Write what was measured; `conclude` predicts the rest."""
    rows = {document_id: (value, None) for document_id, value in out.items()}
    quality.store_residuals(session, job.round_id, rows)


STAGE = Stage(load=load, compute=compute, store=store)
