"""Let the last round's student label a shard, under the hard must-keep override.

Accepted per document only if the compression is sound: it shortens, it leaves enough,
its lines are lines of the text. `self_label_raw` is the mask before the override, over
the same documents, so that both figures speak of the same words.

N = words of one text
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.errors import NotFound
from db.queries import labels, loops, selections, students, texts
from db.queries.corpora import DocumentRow
from db.queries.jobs import JobRow
from db.queries.labels import CountKey, Counts
from kompress.config import RoundConfig, SelfLabelConfig, parse_config
from kompress.must_keep import classify_words
from kompress.types import RULE_SETS, BoolArray, CodeArray, FloatArray, Label
from kompress.words import join_kept, line_numbers, word_list
from worker.checkpoints import load_student
from worker.counting import LabelCounter
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage

BATCH_TEXTS = 32
# The least float16 above, and the greatest below, the threshold of a stored label.
KEEP_MEAN = np.float16(0.5)
DROP_MEAN = np.nextafter(np.float16(0.5), np.float16(0))


@dataclass(frozen=True, slots=True)
class Inputs:
    """A shard's train documents and the student that labels them."""

    config: SelfLabelConfig
    student_hash: str
    documents: list[DocumentRow]
    texts: dict[int, str]
    codes: dict[str, dict[int, CodeArray]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Labels of the accepted documents, by source, and their counts."""

    labels: dict[str, dict[int, Label]]
    counts: dict[CountKey, Counts]


def load(session: Session, job: JobRow) -> Inputs:
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
    return Inputs(
        config=parse_config(RoundConfig, held.config).self_label,
        student_hash=earlier[-1].artifact_hash,
        documents=documents,
        texts=texts.load_texts(session, text_ids),
        codes={
            rule_set: texts.load_strata(session, text_ids, rule_set)
            for rule_set in RULE_SETS
        },
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Score, override, accept."""
    student = load_student(runtime, inputs.student_hash)
    raw: dict[int, Label] = {}
    overridden: dict[int, Label] = {}
    counter = LabelCounter()
    total = len(inputs.documents)
    for start in range(0, total, BATCH_TEXTS):
        heartbeat.progress(start, total)
        batch = inputs.documents[start : start + BATCH_TEXTS]
        scores = student.score([inputs.texts[d.text_id] for d in batch])
        for document, score_N in zip(batch, scores, strict=True):
            text_id = document.text_id
            text = inputs.texts[text_id]
            caught_N = classify_words(word_list(text), inputs.config.override) > 0
            own_N = score_N > 0.5
            if not is_sound(text, own_N | caught_N, inputs.config):
                continue
            raw[text_id] = as_label(score_N, own_N)
            overridden[text_id] = as_label(
                np.where(caught_N, 1.0, score_N), own_N | caught_N
            )
            codes = {name: inputs.codes[name][text_id] for name in RULE_SETS}
            for source, label in (
                ("self_label_raw", raw[text_id]),
                ("self_label", overridden[text_id]),
            ):
                counter.add(source, document.kind, label.keep_N, codes)
    return Outputs(
        labels={"self_label": overridden, "self_label_raw": raw},
        counts=counter.rows(),
    )


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Write labels, then add to the round's integers."""
    for source in sorted(out.labels):
        labels.store_labels(session, job.round_id, source, out.labels[source])
    labels.add_label_counts(session, job.round_id, out.counts)


STAGE = Stage(load=load, compute=compute, store=store)


def is_sound(text: str, keep_N: BoolArray, config: SelfLabelConfig) -> bool:
    """Check that a compression may teach: it shortens, says enough, keeps lines.

    Args:
        text: the document.
        keep_N: (N,) its mask, override included.
        config: least ratio of words and least number of characters.

    Source: the published self-labeling (ratio >= 1.2, >= 30 characters); lines: ours.
    """
    num_kept = int(keep_N.sum())
    if num_kept == 0 or keep_N.size / num_kept < config.min_ratio:
        return False
    compressed = join_kept(text, keep_N)
    if len(compressed) < config.min_chars:
        return False
    words = word_list(text)
    kept = [word for word, keep in zip(words, keep_N.tolist(), strict=True) if keep]
    num_lines = len(set(line_numbers(text)[keep_N].tolist()))
    intact = len(compressed.split("\n")) == num_lines
    return intact and word_list(compressed) == kept


def as_label(score_N: FloatArray, keep_N: BoolArray) -> Label:
    """Store a student's scores so that the stored mask is the decided one.

    A score just beside 0.5 would round across the threshold in float16. The deviation
    is a coin's at that mean: one student says nothing of its own uncertainty.
    """
    mean_N = np.clip(score_N, 0, 1).astype(np.float16)
    mean_N = np.where(
        keep_N, np.maximum(mean_N, KEEP_MEAN), np.minimum(mean_N, DROP_MEAN)
    ).astype(np.float16)
    wide_N = mean_N.astype(np.float64)
    return Label(mean_N, np.sqrt(wide_N * (1 - wide_N)).astype(np.float16))
