"""Train the round's main student, or one that leaves out a fold.

Fold students score what they did not see: no student of this farm is their parent, for
it may have seen the fold that they leave out. A killed training resumes from its last
saved step.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from db.ids import parse_id
from db.queries import loops, records, scores, students, texts
from db.queries.jobs import JobRow
from db.queries.loops import RoundRow
from db.queries.students import NewStudent
from kompress.config import RecipeConfig, RoundConfig, parse_config
from kompress.errors import TrainingFailed
from kompress.labelling.drawing import share_of_budget, weigh_documents
from kompress.labelling.folds import MAIN, fold_of
from kompress.labelling.training_examples import (
    TrainingExample,
    describe_sources,
    is_held_out,
    once_each,
)
from kompress.students import Student
from kompress.students.pretrained import load_pretrained
from kompress.training.texts import TrainText
from kompress.training.train import TrainResult, train
from kompress.types import Score
from worker.checkpoints import save_student
from worker.heartbeat import Heartbeat
from worker.references import winning_qualities
from worker.runtime import Runtime
from worker.stage import Stage
from worker.training_examples import choose_examples, load_examples

SCRATCH = "scratch"
PREVIOUS = "previous"
STUDENT = "student/"


@dataclass(frozen=True, slots=True)
class TrainInputs:
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
    # Of groups that no student sees: for the held-out loss.
    held_out: list[TrainText]
    parent_id: int | None
    parent_hash: str
    # A folder or a hub name, where the parent is no student of this farm.
    pretrained: str


@dataclass(frozen=True, slots=True)
class TrainOutputs:
    """The row of the trained student, how it learned, and what that took.

    Attributes:
        student: its row.
        curve: its learning curve.
        costs: (kind, spent, useful) each. Of `train_tokens` all are useful: no padding
            is counted. `flop` is the device's peak for as long as the steps took, and
            what the model needed of it; left out where the peak is not known.
    """

    student: NewStudent
    curve: list[Score]
    costs: list[tuple[str, float, float]]


def load(session: Session, job: JobRow) -> TrainInputs:
    """Read what this student may learn from."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    recipe = config.recipe
    fold = job.shard - 1
    found = load_examples(session, held, config)
    examples = choose_examples(
        session,
        [
            [
                example
                for example in part
                if not is_held_out(example.group_id, recipe.held_out_share)
                and (fold == MAIN or fold_of(example.group_id, config.folds) != fold)
            ]
            for part in found
        ],
        config,
    )
    held_out = [
        example
        for example in once_each(found)
        if is_held_out(example.group_id, recipe.held_out_share)
    ]
    if not examples or (recipe.early_stop_patience is not None and not held_out):
        raise TrainingFailed(_too_few(len(examples), len(held_out), recipe))
    parent_id, parent_hash = _find_parent(session, job, recipe, fold)
    return TrainInputs(
        job_id=job.id,
        round_id=job.round_id,
        recipe=recipe,
        label_source=describe_sources(config),
        fold=fold,
        epochs=recipe.epochs if fold == MAIN else recipe.fold_epochs,
        max_tokens=share_of_budget(recipe, config.folds, is_main=fold == MAIN),
        text_ids=sorted(example.text_id for example in examples),
        train_texts=_train_texts(session, held, examples, recipe),
        held_out=_train_texts(session, held, held_out, recipe),
        parent_id=parent_id,
        parent_hash=parent_hash,
        pretrained="" if is_ours(recipe.parent) else recipe.parent,
    )


def compute(
    runtime: Runtime, inputs: TrainInputs, heartbeat: Heartbeat
) -> TrainOutputs:
    """Train; steps are progress, so a training that hangs loses its lease."""

    def progress(step: int, num_steps: int, figures: Mapping[str, float]) -> None:
        del figures  # the loss is kept in the checkpoint's lineage
        heartbeat.progress(step, num_steps)

    heartbeat.progress(0, 1)
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            inputs.train_texts,
            inputs.recipe,
            tokenizer_json=None,
            init=_load_parent(runtime, inputs),
            epochs=inputs.epochs,
            seed=inputs.recipe.seed + inputs.fold + 1,
            folder=Path(folder) / "student",
            resume=runtime.artifacts.scratch(f"train-{inputs.job_id}"),
            progress=progress,
            max_tokens=inputs.max_tokens,
            held_out=inputs.held_out,
        )
        artifact_hash = save_student(runtime, result.folder)
    runtime.artifacts.drop_scratch(f"train-{inputs.job_id}")
    return TrainOutputs(
        student=_row(inputs, result, artifact_hash),
        curve=learning_curve(result),
        costs=costs_of(result),
    )


def store(session: Session, job: JobRow, out: TrainOutputs) -> None:
    """Write the student's row and its curve; its artifact is there already."""
    student_id = students.store_student(session, out.student)
    scores.store_scores(
        session, job.round_id, "student", str(student_id), student_id, out.curve
    )
    for kind, spent, useful in out.costs:
        records.add_cost(session, job.id, job.attempt, kind, spent, useful)


STAGE = Stage(load=load, compute=compute, store=store)


def learning_curve(result: TrainResult) -> list[Score]:
    """Give the losses by step, on what was trained on and on what was held out.

    n is the number of tokens seen by then.
    """
    return [
        Score(suite, "all", "loss", loss, point.num_tokens, step=point.step)
        for point in result.curve
        for suite, loss in (
            ("train", point.train_loss),
            ("held_out", point.held_out_loss),
        )
        if loss is not None
    ]


def costs_of(result: TrainResult) -> list[tuple[str, float, float]]:
    """Give what a training spent and how much of it was of use, see `TrainOutputs`."""
    tokens = float(result.num_new_tokens)
    peak = result.peak_flops * result.seconds
    found = [("train_tokens", tokens, tokens), ("flop", peak, result.num_flops)]
    return [row for row in found if row[1] > 0]


def is_ours(parent: str) -> bool:
    """Tell a parent of this farm, or none, from weights that come from elsewhere."""
    return parent in (SCRATCH, PREVIOUS) or parent.startswith(STUDENT)


def _find_parent(
    session: Session, job: JobRow, recipe: RecipeConfig, fold: int
) -> tuple[int | None, str]:
    """Find the stored student to go on from: its id and its artifact, or neither."""
    if fold != MAIN:
        return None, ""
    if recipe.parent == PREVIOUS:
        earlier = students.main_students(session, job.loop_id, before_round=job.round)
        return (earlier[-1].id, earlier[-1].artifact_hash) if earlier else (None, "")
    if recipe.parent.startswith(STUDENT):
        number = recipe.parent.removeprefix(STUDENT)
        student_id = parse_id(number)
        if student_id is None:
            raise TrainingFailed(
                f"recipe.parent is {recipe.parent[:120]!r}; expected {STUDENT}ID with "
                "the id of a stored student"
            )
        row = students.get_student(session, student_id)
        return row.id, row.artifact_hash
    return None, ""


def _load_parent(runtime: Runtime, inputs: TrainInputs) -> bytes | Student | None:
    """Fetch what the training starts from; None for scratch.

    Weights from elsewhere have seen no fold, so fold students start from them too.
    """
    if inputs.parent_hash:
        return runtime.artifacts.get(inputs.parent_hash)
    if not inputs.pretrained:
        return None
    size = inputs.recipe.student
    return load_pretrained(
        inputs.pretrained,
        variant=size.variant,
        seed=inputs.recipe.seed,
        span_channels=size.span_channels,
        quality_head=size.quality_head,
    )


def _train_texts(
    session: Session,
    held: RoundRow,
    examples: Sequence[TrainingExample],
    recipe: RecipeConfig,
) -> list[TrainText]:
    """Weigh documents by n/(N·π); gold weighs 1, for no sampling decided on it.

    A quality head learns the quality of the reference that won the comparisons.
    """
    drawn = held.decisions.selection
    assert drawn is not None  # noqa: S101  # select ran before
    text_ids = sorted(example.text_id for example in examples)
    content = texts.load_texts(session, text_ids)
    qualities = (
        winning_qualities(session, held.id, text_ids)
        if recipe.student.quality_head
        else {}
    )
    weights = weigh_documents(
        [example.probability for example in examples],
        drawn.num_expected,
        drawn.num_population,
        recipe.max_document_weight,
    )
    return [
        TrainText(
            text=content[example.text_id],
            target_N=example.target_N,
            weight_N=example.weight_N,
            document_weight=float(weight),
            quality=known[0],
            quality_se=known[1],
        )
        for example, weight in zip(examples, weights, strict=True)
        for known in (qualities.get(example.text_id, (None, None)),)
    ]


def _too_few(num_examples: int, num_held_out: int, recipe: RecipeConfig) -> str:
    return (
        f"{num_examples} documents to train on and {num_held_out} to hold out "
        f"(held_out_share {recipe.held_out_share:g}, by document group); expected at "
        "least one of each; add documents or change the share"
    )


def _row(inputs: TrainInputs, result: TrainResult, artifact_hash: str) -> NewStudent:
    """Lay out the student's row."""
    return NewStudent(
        round_id=inputs.round_id,
        recipe=inputs.recipe.name,
        seed=inputs.recipe.seed,
        fold=inputs.fold,
        parent_id=inputs.parent_id,
        recipe_config=inputs.recipe.record(),
        label_source=inputs.label_source,
        artifact_hash=artifact_hash,
        checkpoint_id=result.student_id,
        manifest_hash=result.manifest_sha256,
        trained_text_ids=inputs.text_ids,
        num_steps=result.num_steps,
        num_tokens=result.num_tokens,
    )
