"""Measure what students get wrong about a shard's documents, and what labels teach.

How far one student's score can be trusted is measured on audit texts: no fold student
saw any of them, so there all of them are out of fold. Every shard looks at the same
ones and finds the same variance; their labels are not looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.orm import Session

from db.queries import labels, loops, quality, selections, students, texts
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from kompress.labelling.folds import fold_of
from kompress.selection.residuals import influence, measured_residual
from kompress.selection.student_spread import StudentSpread
from kompress.students import Student
from kompress.types import FloatArray, Label, ResidualRow
from worker.checkpoints import load_student
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage
from worker.stages.train import MAIN

BATCH_TEXTS = 32
# Their words are thousands, which is plenty for a variance by score; and a shard has a
# few hundred documents of its own, so that they cost a fraction of it.
SPREAD_TEXTS = 64


@dataclass(frozen=True, slots=True)
class Inputs:
    """Labelled documents by the fold that left them out."""

    students: dict[int, str]
    # fold -> (document, text, label)
    documents: dict[int, list[tuple[int, str, Label]]]
    # Audit texts, for the students' variance.
    unseen: list[str] = field(default_factory=list)
    # Documents that the next fold's student learned from: it is not every recipe that
    # takes all labelled documents.
    taught: frozenset[int] = frozenset()


def load(session: Session, job: JobRow) -> Inputs:
    """Read the shard's labels and the fold students."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    selected = selections.load_selections(session, job.round_id)
    roles = {row.document_id: row.role for row in selected}
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
    witnesses = {
        student.fold: student
        for student in students.round_students(session, job.round_id)
        if student.fold != MAIN
    }
    learned = {fold: set(s.trained_text_ids) for fold, s in witnesses.items()}
    after = _next_fold(sorted(witnesses))
    return Inputs(
        students={fold: s.artifact_hash for fold, s in witnesses.items()},
        documents=by_fold,
        unseen=_unseen_texts(session, selected),
        taught=frozenset(
            row.id
            for row in rows
            if row.text_id
            in learned.get(after.get(fold_of(row.group_id, config.folds), MAIN), ())
        ),
    )


def compute(
    runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat
) -> dict[int, ResidualRow]:
    """Score each document with the student that never saw it, and with one that did."""
    folds = sorted(inputs.students)
    others = {
        fold: [
            row for row in inputs.documents.get(before, []) if row[0] in inputs.taught
        ]
        for before, fold in _next_fold(folds).items()
    }
    num_scored = sum(map(len, [*inputs.documents.values(), *others.values()]))
    total = num_scored + len(folds) * len(inputs.unseen)
    done = 0
    unseen_by: dict[int, FloatArray] = {}
    seen_by: dict[int, FloatArray] = {}
    audit: list[FloatArray] = []
    for fold in folds:
        student = load_student(runtime, inputs.students[fold])
        own = inputs.documents.get(fold, [])
        other = others.get(fold, [])
        found: list[list[FloatArray]] = []
        # Apart, so that batches of audit texts are the same in every shard.
        for contents in (
            [text for _, text, _ in own],
            [text for _, text, _ in other],
            inputs.unseen,
        ):
            found.append([])
            for part in _score(student, contents):
                found[-1].extend(part)
                done += len(part)
                heartbeat.progress(done, total)
        unseen_by |= {row[0]: found[0][n] for n, row in enumerate(own)}
        seen_by |= {row[0]: found[1][n] for n, row in enumerate(other)}
        audit.append(np.concatenate([np.zeros(0), *found[2]]))
    spread = StudentSpread.fit(np.stack(audit)) if audit else None
    return {
        document_id: ResidualRow(
            measured=measured_residual(
                label.mean_N.astype(np.float64),
                label.sd_N.astype(np.float64),
                unseen_by[document_id],
                None if spread is None else spread.variance(unseen_by[document_id]),
            ),
            predicted=None,
            influence=influence(seen_by[document_id], unseen_by[document_id])
            if document_id in seen_by
            else None,
        )
        for _, rows in sorted(inputs.documents.items())
        for document_id, _, label in rows
    }


def store(session: Session, job: JobRow, out: dict[int, ResidualRow]) -> None:
    """Write what was measured; `conclude` predicts the rest."""
    quality.store_residuals(session, job.round_id, out)


STAGE = Stage(load=load, compute=compute, store=store)


def _next_fold(folds: Sequence[int]) -> dict[int, int]:
    """Name for each fold the one whose student tells what its labels teach.

    Args:
        folds: ascending; one alone left out what it could tell of.
    """
    if len(folds) < 2:
        return {}
    return dict(zip(folds, [*folds[1:], folds[0]], strict=True))


def _unseen_texts(
    session: Session, selected: Sequence[selections.SelectionRow]
) -> list[str]:
    """Read the audit texts that every shard measures the students' variance on."""
    audit = sorted(row.text_id for row in selected if row.role == "audit")
    hashes = texts.load_hashes(session, audit)
    chosen = sorted(sorted(audit, key=hashes.__getitem__)[:SPREAD_TEXTS])
    content = texts.load_texts(session, chosen)
    return [content[text_id] for text_id in chosen]


def _score(student: Student, contents: list[str]) -> Iterator[list[FloatArray]]:
    """Score texts, a batch at a time."""
    for start in range(0, len(contents), BATCH_TEXTS):
        batch = student.score(contents[start : start + BATCH_TEXTS])
        yield [np.asarray(score_N, dtype=np.float64) for score_N in batch]
