"""Measure what students get wrong about a shard's documents, and what labels teach.

How far one student's score can be trusted is measured on audit texts: no fold student
saw any of them. Every shard looks at the same ones and finds the same variance; their
labels are not looked at.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.orm import Session

from db.queries import labels, loops, quality, selections, students, texts
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from kompress.labelling.folds import MAIN, fold_of, next_fold
from kompress.labelling.residuals import measure_residuals
from kompress.types import FloatArray, Label, ResidualRow
from worker.checkpoints import load_student, score_texts
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage

# Their words are thousands, which is plenty for a variance by score; and a shard has a
# few hundred documents of its own, so that they cost a fraction of it.
SPREAD_TEXTS = 64


@dataclass(frozen=True, slots=True)
class ResidualsInputs:
    """Labelled documents by the fold that left them out."""

    students: dict[int, str]
    # fold -> (document, text, label)
    documents: dict[int, list[tuple[int, str, Label]]]
    # Audit texts, for the students' variance.
    unseen: list[str] = field(default_factory=list)
    # Documents that the next fold's student learned from: it is not every recipe that
    # takes all labelled documents.
    taught: frozenset[int] = frozenset()


@dataclass(slots=True)
class FoldScores:
    """Scores by document id, and of all words of the audit texts by fold."""

    unseen: dict[int, FloatArray] = field(default_factory=dict)
    seen: dict[int, FloatArray] = field(default_factory=dict)
    audit: list[FloatArray] = field(default_factory=list)


def load(session: Session, job: JobRow) -> ResidualsInputs:
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
    fold_students = {
        student.fold: student
        for student in students.round_students(session, job.round_id)
        if student.fold != MAIN
    }
    learned = {fold: set(s.trained_text_ids) for fold, s in fold_students.items()}
    after = next_fold(sorted(fold_students))
    return ResidualsInputs(
        students={fold: s.artifact_hash for fold, s in fold_students.items()},
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
    runtime: Runtime, inputs: ResidualsInputs, heartbeat: Heartbeat
) -> dict[int, ResidualRow]:
    """Score each document with the student that never saw it, and with one that did."""
    found = _score_all(runtime, inputs, heartbeat)
    return measure_residuals(
        {
            document_id: label
            for _, rows in sorted(inputs.documents.items())
            for document_id, _, label in rows
        },
        found.unseen,
        found.seen,
        found.audit,
    )


def store(session: Session, job: JobRow, out: dict[int, ResidualRow]) -> None:
    """Write what was measured; `conclude` predicts the rest."""
    quality.store_residuals(session, job.round_id, out)


STAGE = Stage(load=load, compute=compute, store=store)


def _score_all(
    runtime: Runtime, inputs: ResidualsInputs, heartbeat: Heartbeat
) -> FoldScores:
    """Score what each fold student left out, what the one before it did, and audit."""
    folds = sorted(inputs.students)
    others = {
        fold: [
            row for row in inputs.documents.get(before, []) if row[0] in inputs.taught
        ]
        for before, fold in next_fold(folds).items()
    }
    num_scored = sum(map(len, [*inputs.documents.values(), *others.values()]))
    total = num_scored + len(folds) * len(inputs.unseen)
    done = itertools.count(1)

    def beat() -> None:
        heartbeat.progress(next(done), total)

    found = FoldScores()
    for fold in folds:
        student = load_student(runtime, inputs.students[fold])
        for rows, by_document in (
            (inputs.documents.get(fold, []), found.unseen),
            (others.get(fold, []), found.seen),
        ):
            scores = score_texts(student, [text for _, text, _ in rows], beat)
            by_document |= {row[0]: s for row, s in zip(rows, scores, strict=True)}
        # Apart, so that batches of audit texts are the same in every shard.
        audit = score_texts(student, inputs.unseen, beat)
        found.audit.append(np.concatenate([np.zeros(0), *audit]))
    return found


def _unseen_texts(
    session: Session, selected: Sequence[selections.SelectionRow]
) -> list[str]:
    """Read the audit texts that every shard measures the students' variance on."""
    audit = sorted(row.text_id for row in selected if row.role == "audit")
    hashes = texts.load_hashes(session, audit)
    chosen = sorted(sorted(audit, key=hashes.__getitem__)[:SPREAD_TEXTS])
    content = texts.load_texts(session, chosen)
    return [content[text_id] for text_id in chosen]
