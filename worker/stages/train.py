"""Train the round's main student, or one that leaves out a fold.

Fold students are out-of-fold witnesses: from scratch, so that no parent has seen the
fold they leave out. A killed training resumes from its last saved step.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from db.queries import labels, loops, selections, students, texts
from db.queries.jobs import JobRow
from db.queries.students import NewStudent
from kompress.config import RecipeConfig, RoundConfig, parse_config
from kompress.errors import TrainingFailed
from kompress.selection.probabilities import training_weights
from kompress.training.texts import TrainText
from kompress.training.train import TrainResult, train
from worker.checkpoints import save_student
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage

MAIN = -1


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one student learns from."""

    job_id: int
    round_id: int
    recipe: RecipeConfig
    label_source: str
    fold: int
    epochs: int
    max_tokens: int | None
    text_ids: list[int]
    train_texts: list[TrainText]
    parent_id: int | None
    parent_hash: str


@dataclass(frozen=True, slots=True)
class Outputs:
    """The row of the trained student."""

    student: NewStudent


def load(session: Session, job: JobRow) -> Inputs:
    """Read the labels that this student may see."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    recipe = config.recipe
    fold = job.shard - 1
    found = labels.load_labels(session, job.round_id, config.label_source)
    rows = [
        row
        for row in selections.load_selections(session, job.round_id)
        if row.role == "train"
        and row.text_id in found
        and (fold == MAIN or fold_of(row.group_id, config.folds) != fold)
    ]
    rows.sort(key=lambda row: row.document_id)
    if not rows:
        raise TrainingFailed(
            f"no label of source {config.label_source!r} to train on; see `farm "
            "quality` for what was labelled and `farm job list` for what failed"
        )
    parent = None
    if fold == MAIN and recipe.parent == "previous":
        earlier = students.main_students(session, job.loop_id, before_round=job.round)
        parent = earlier[-1] if earlier else None
    content = texts.load_texts(session, [row.text_id for row in rows])
    decided = held.decisions["selection"]
    weights = training_weights(
        np.array([row.probability for row in rows]),
        decided["num_expected"],
        recipe.max_document_weight,
        num_population=decided["num_population"],
    )
    return Inputs(
        job_id=job.id,
        round_id=job.round_id,
        recipe=recipe,
        label_source=config.label_source,
        fold=fold,
        epochs=recipe.epochs if fold == MAIN else recipe.fold_epochs,
        max_tokens=share_of_budget(recipe, config.folds, is_main=fold == MAIN),
        text_ids=sorted(row.text_id for row in rows),
        train_texts=[
            TrainText(
                text=content[row.text_id],
                target_N=found[row.text_id].keep_N.astype(np.float64),
                document_weight=float(weight),
            )
            for row, weight in zip(rows, weights, strict=True)
        ],
        parent_id=parent.id if parent else None,
        parent_hash=parent.artifact_hash if parent else "",
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Train; steps are progress, so a training that hangs loses its lease."""

    def progress(step: int, num_steps: int, figures: Mapping[str, float]) -> None:
        del figures  # the loss is kept in the checkpoint's lineage
        heartbeat.progress(step, num_steps)

    with tempfile.TemporaryDirectory() as folder:
        result = train(
            inputs.train_texts,
            inputs.recipe,
            tokenizer_json=None,
            init=runtime.artifacts.get(inputs.parent_hash)
            if inputs.parent_hash
            else None,
            epochs=inputs.epochs,
            seed=inputs.recipe.seed + inputs.fold + 1,
            folder=Path(folder) / "student",
            resume=runtime.artifacts.scratch(f"train-{inputs.job_id}"),
            progress=progress,
            max_tokens=inputs.max_tokens,
        )
        artifact_hash = save_student(runtime, result.folder)
    runtime.artifacts.drop_scratch(f"train-{inputs.job_id}")
    return Outputs(_row(inputs, result, artifact_hash))


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Write the student's row; its artifact is there already."""
    students.store_student(session, out.student)


STAGE = Stage(load=load, compute=compute, store=store)


def fold_of(group_id: str, folds: int) -> int:
    """Give the fold of a document group, 0 .. folds - 1, by hash."""
    digest = hashlib.sha256(f"fold:{group_id}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "big") % folds


def share_of_budget(recipe: RecipeConfig, folds: int, *, is_main: bool) -> int | None:
    """Split the round's token budget by how much each student would see.

    A fold student sees (folds - 1) / folds of the texts in each of its epochs.
    """
    if recipe.max_train_tokens is None:
        return None
    one_fold = recipe.fold_epochs * (folds - 1) / folds if folds else 0.0
    whole = recipe.epochs + folds * one_fold
    own = recipe.epochs if is_main else one_fold
    return int(recipe.max_train_tokens * own / whole)


def _row(inputs: Inputs, result: TrainResult, artifact_hash: str) -> NewStudent:
    """Lay out the student's row."""
    return NewStudent(
        round_id=inputs.round_id,
        recipe=inputs.recipe.name,
        seed=inputs.recipe.seed,
        fold=inputs.fold,
        parent_id=inputs.parent_id,
        recipe_config=inputs.recipe.model_dump(mode="json"),
        label_source=inputs.label_source,
        artifact_hash=artifact_hash,
        checkpoint_id=result.student_id,
        manifest_hash=result.manifest_sha256,
        trained_text_ids=inputs.text_ids,
        num_steps=result.num_steps,
        num_tokens=result.num_tokens,
    )
