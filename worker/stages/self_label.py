"""Let the last round's student label a shard; see `labelling.self_labels`.

N = words of one text
"""

import itertools
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.errors import NotFound
from db.queries import labels, loops, selections, students, texts, votes
from db.queries.corpora import DocumentRow
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, SelfLabelConfig, parse_config
from kompress.labelling.counting import LabelCounter
from kompress.labelling.panel import make_panel
from kompress.labelling.self_labels import (
    RAW,
    WITH_TEACHER,
    first_said,
    label_text,
    wanted_sources,
)
from kompress.types import (
    RULE_SETS,
    CodeArray,
    CountKey,
    FloatArray,
    Label,
    LabelCounts,
)
from worker.checkpoints import load_student, score_texts
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class SelfLabelInputs:
    """A shard's train documents and the student that labels them."""

    config: SelfLabelConfig
    # Which sources to make; the first one is what `self_label_raw` speaks of.
    sources: tuple[str, ...]
    student_hash: str
    documents: list[DocumentRow]
    texts: dict[int, str]
    codes: dict[str, dict[int, CodeArray]]
    versions: dict[str, dict[int, str]]
    # Where a source needs it: the round's consensus, or (N,) P(keep) of the teachers
    # that corrected the student's draft.
    teacher: dict[int, Label]
    corrected: dict[int, FloatArray]


@dataclass(frozen=True, slots=True)
class SelfLabelOutputs:
    """Labels of the accepted documents, by source, and their counts."""

    labels: dict[str, dict[int, Label]]
    counts: dict[CountKey, LabelCounts]


def load(session: Session, job: JobRow) -> SelfLabelInputs:
    """Read the shard's train documents and the parent student."""
    held = loops.read_round(session, job.round_id)
    roles = {
        row.document_id: row.role
        for row in selections.load_selections(session, job.round_id)
    }
    documents = [
        document
        for document in selections.shard_documents(session, job.round_id, 1, job.shard)
        if roles[document.id] == "train"
    ]
    earlier = students.main_students(session, job.loop_id, before_round=job.round)
    if not earlier:
        raise NotFound(
            f"round {job.round} self-labels, but no earlier round of loop {job.loop} "
            "trained a student; start with silver, corrected or consensus"
        )
    text_ids = sorted(document.text_id for document in documents)
    config = parse_config(RoundConfig, held.config)
    sources = wanted_sources(config)
    codes = {
        rule_set: texts.load_strata(session, text_ids, rule_set)
        for rule_set in RULE_SETS
    }
    teacher: dict[int, Label] = {}
    corrected: dict[int, FloatArray] = {}
    if WITH_TEACHER in sources and config.correctors():
        panel = make_panel(
            config.correctors(),
            votes.load_round_votes(session, job.round_id, text_ids),
            codes["farm"],
            held.decisions.calibration,
        )
        corrected = panel.split(first_said(panel.p_WM))
    elif WITH_TEACHER in sources:
        teacher = labels.load_labels(session, job.round_id, "consensus", text_ids)
    return SelfLabelInputs(
        config=config.self_label,
        sources=sources,
        student_hash=earlier[-1].artifact_hash,
        documents=documents,
        texts=texts.load_texts(session, text_ids),
        codes=codes,
        versions=texts.load_rule_versions(session, text_ids),
        teacher=teacher,
        corrected=corrected,
    )


def compute(
    runtime: Runtime, inputs: SelfLabelInputs, heartbeat: Heartbeat
) -> SelfLabelOutputs:
    """Score, ask the teacher, override, accept."""
    student = load_student(runtime, inputs.student_hash)
    made: dict[str, dict[int, Label]] = {name: {} for name in (*inputs.sources, RAW)}
    counter = LabelCounter()
    done = itertools.count(1)
    total = len(inputs.documents)
    scores = score_texts(
        student,
        [inputs.texts[document.text_id] for document in inputs.documents],
        lambda: heartbeat.progress(next(done), total),
    )
    for document, score_N in zip(inputs.documents, scores, strict=True):
        text_id = document.text_id
        codes = {name: inputs.codes[name][text_id] for name in RULE_SETS}
        versions = {name: inputs.versions[name][text_id] for name in RULE_SETS}
        found = label_text(
            inputs.texts[text_id],
            score_N,
            inputs.config,
            inputs.sources,
            consensus=inputs.teacher.get(text_id),
            corrected_N=inputs.corrected.get(text_id),
        )
        for source, label in found.items():
            made[source][text_id] = label
            counter.add(source, document.kind, label.keep_N, codes, versions)
    return SelfLabelOutputs(labels=made, counts=counter.rows())


def store(session: Session, job: JobRow, out: SelfLabelOutputs) -> None:
    """Write labels, then add to the round's integers."""
    for source in sorted(out.labels):
        labels.store_labels(session, job.round_id, source, out.labels[source])
    labels.add_label_counts(session, job.round_id, out.counts)


STAGE = Stage(load=load, compute=compute, store=store)
