"""Train a student on labelled texts; on a CPU the same inputs give the same bytes."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kompress.config import RecipeConfig
from kompress.students.checkpoint import LINEAGE
from kompress.students.model import StudentModel
from kompress.students.student import Student
from kompress.training.fine_tuning import merge_adapters, moving, prepare, put_weights
from kompress.training.flops import (
    count_flops,
    count_training_flops,
    find_peak_flops,
)
from kompress.training.inputs import TrunkCache, lay_rows
from kompress.training.loss import batch_loss, measure
from kompress.training.optimizer import make_optimizer, rate_share, set_rate
from kompress.training.plan import Plan, make_plan, step_seed
from kompress.training.precision import repeatable
from kompress.training.state import CurvePoint, Record, TrainingState
from kompress.training.texts import Prepared, TrainText

# Steps between two looks at the losses. A look makes the host wait for the device: free
# on a CPU; on a GPU the next steps are being queued meanwhile.
READ_EVERY = {"cpu": 1}
READ_EVERY_GPU = 20


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training gave.

    Attributes:
        student_id: the checkpoint's id.
        folder: where it lies.
        num_steps: optimiser steps, those before a resume included.
        num_tokens: tokens seen in them.
        losses: the loss of each step.
        manifest_sha256: hash of what was trained on: parent, texts, labels, seed.
        curve: train and held-out loss every `evaluate_every` steps and at the end.
        stopped_early: the held-out loss had not fallen for the recipe's patience.
        seconds: of this call's steps, held-out losses and cached activations.
        num_new_tokens: tokens of this call's steps, those before a resume left out.
        num_flops: arithmetic of these steps and of the cache, real tokens only.
        peak_flops: what the device can do a second in the precision used, 0 if that
            is not known; num_flops / (seconds · peak_flops) is the MFU.
    """

    student_id: str
    folder: Path
    num_steps: int
    num_tokens: int
    losses: tuple[float, ...]
    manifest_sha256: str
    curve: tuple[CurvePoint, ...] = ()
    stopped_early: bool = False
    seconds: float = 0.0
    num_new_tokens: int = 0
    num_flops: float = 0.0
    peak_flops: float = 0.0


def train(  # noqa: PLR0915  # a loop reads best whole
    texts: Sequence[TrainText],
    recipe: RecipeConfig,
    *,
    tokenizer_json: bytes | None,
    init: Student | bytes | Path | None,
    epochs: int,
    seed: int,
    folder: Path,
    resume: Path | None,
    progress: Callable[[int, int, Mapping[str, float]], None],
    max_tokens: int | None = None,
    held_out: Sequence[TrainText] = (),
    read_every: int | None = None,
) -> TrainResult:
    """Train a student and write its checkpoint.

    Args:
        texts: the labelled texts.
        recipe: architecture, weights, which of them move, optimiser, schedule.
        tokenizer_json: the tokenizer; None takes the parent's, or trains one on these
            texts if there is no parent.
        init: the parent, its folder or its packed blob; None starts from scratch.
        epochs: passes over the texts.
        seed: decides weights, order and dropout.
        folder: where the checkpoint goes; made if missing.
        resume: folder for the state of an unfinished training; None keeps none.
        progress: called whenever losses were read with the steps done, all steps, and
            `loss`, `learning_rate`, `epoch` and `num_tokens` so far.
        max_tokens: plan no more tokens than this over all epochs.
        held_out: texts whose loss is measured every `evaluate_every` steps. With
            `early_stop_patience` the training ends after so many measures without a
            gain, and the student gets the weights of the best, early stop or not.
        read_every: steps between two looks at the losses; None: 1 on a CPU, 20 on a
            GPU. They are read before each saved state and held-out loss besides.

    Returns:
        The student's id, its losses, its learning curve and what it cost.

    Raises:
        InvalidText: labels that do not fit their text, or nothing held out where early
            stopping needs it.
        InvalidConfig: fine-tuning, quality head or vocabulary that do not fit.
        InvalidCheckpoint: a parent that is broken, or of other sizes or tokenizer.
        TrainingFailed: a loss that is not a number; names the step and its texts. The
            last saved state stays, and no checkpoint is written.

    Source: docs/references.md, "The published line"; packing, weights by certainty and
    resuming: ours.
    """
    plan = make_plan(
        texts,
        recipe,
        tokenizer_json=tokenizer_json,
        init=init,
        epochs=epochs,
        seed=seed,
        max_tokens=max_tokens,
        held_out=held_out,
    )
    num_steps = len(plan.batches)
    look = read_every or READ_EVERY.get(plan.device.type, READ_EVERY_GPU)

    with repeatable(plan.device, recipe.num_threads):
        model, num_frozen = _start(plan, recipe)
        weights = [weight for _, weight in moving(model)]
        optimizer = make_optimizer(
            model.named_parameters(), weight_decay=recipe.weight_decay
        )

        record, state = Record(), None
        if resume is not None:
            state = TrainingState(Path(resume), plan.fingerprint(recipe))
            record = state.load(model, optimizer)
        num_before = len(record.losses)
        peak_flops = find_peak_flops(plan.device, plan.dtype, recipe.num_threads)
        started = time.perf_counter()
        cache = _cache(model, plan.data, num_frozen, plan.dtype)
        held_out_cache = _cache(model, plan.held_out, num_frozen, plan.dtype)

        unread: list[Tensor] = []
        for step in range(num_before, num_steps):
            if _is_patience_over(record, recipe):
                break
            batch = plan.batches[step]
            rate = recipe.learning_rate * rate_share(step, num_steps, recipe)
            # Dropout depends on the step alone, so a resumed training repeats it.
            torch.manual_seed(step_seed(seed, f"step {step}"))

            rows = lay_rows(model, plan.data, batch.chunks, cache)
            loss = batch_loss(model, rows, recipe, plan.dtype)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            norm = nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
            set_rate(optimizer, rate)
            optimizer.step()
            unread.append(torch.stack([loss.detach(), norm]))

            done = step + 1
            is_last = done == num_steps
            saves = state is not None and done % recipe.checkpoint_every == 0
            measures = is_last or done % recipe.evaluate_every == 0
            if not (saves or measures or len(unread) >= look):
                continue
            record.losses += plan.check(unread, len(record.losses))
            unread = []
            if measures:
                held = measure(model, plan.held_out, held_out_cache, recipe, plan.dtype)
                _note(record, held, model, plan, recipe)
            if saves or is_last:
                plan.check_weights(weights, step)
            if state is not None and saves:
                state.save(model, optimizer, record)
            report = {
                "loss": record.losses[-1],
                "learning_rate": rate,
                "epoch": batch.epoch + 1,
                "num_tokens": plan.count_tokens(0, done),
            }
            progress(done, num_steps, report)

        seconds = time.perf_counter() - started
        put_weights(model, record.best_weights)
        merge_adapters(model, recipe.fine_tuning)

    kept = {"kept_step": record.best_step} if record.best_weights else {}
    student = Student.from_model(
        model.cpu(),
        plan.tokenizer,
        recipe=recipe.record(),
        lineage=plan.lineage | kept,
    )
    student_id = student.save(Path(folder))
    if state is not None:
        state.clear()
    num_done = len(record.losses)
    return TrainResult(
        student_id=student_id,
        folder=Path(folder),
        num_steps=num_done,
        num_tokens=plan.count_tokens(0, num_done),
        losses=tuple(record.losses),
        manifest_sha256=_digest(Path(folder) / LINEAGE),
        curve=tuple(record.curve),
        stopped_early=num_done < num_steps,
        seconds=seconds,
        num_new_tokens=plan.count_tokens(num_before, num_done),
        num_flops=_flops(recipe, plan, num_before, num_done, num_frozen),
        peak_flops=peak_flops,
    )


def _start(plan: Plan, recipe: RecipeConfig) -> tuple[StudentModel, int]:
    """Build the model and freeze what shall not move; give it and `prepare`'s count."""
    torch.manual_seed(step_seed(plan.seed, "weights"))
    model = StudentModel(recipe.student)
    if plan.parent is not None:
        model.load_state_dict(plan.parent.model.state_dict())
    num_frozen = prepare(model, recipe.fine_tuning)
    model.to(plan.device).train()
    return model, num_frozen


def _cache(
    model: StudentModel,
    data: Prepared | None,
    num_frozen: int,
    dtype: torch.dtype,
) -> TrunkCache | None:
    """Run what never changes once, if anything does not."""
    if not num_frozen or data is None:
        return None
    return TrunkCache(model, data, num_layers=num_frozen, dtype=dtype)


def _note(
    record: Record,
    held_out_loss: float | None,
    model: nn.Module,
    plan: Plan,
    recipe: RecipeConfig,
) -> None:
    """Add a point to the curve; remember the best held-out loss, and its weights.

    Weights are kept only if the recipe stops early.
    """
    done = len(record.losses)
    since = record.curve[-1].step if record.curve else 0
    train_loss = float(np.mean(record.losses[since:]))
    tokens = plan.count_tokens(0, done)
    record.curve.append(CurvePoint(done, tokens, train_loss, held_out_loss))
    if held_out_loss is None:
        return
    if held_out_loss >= record.best_loss:
        record.since_best += 1
        return
    record.best_loss, record.best_step, record.since_best = held_out_loss, done, 0
    if recipe.early_stop_patience is not None:
        record.best_weights = {
            name: weight.detach().clone() for name, weight in moving(model)
        }


def _is_patience_over(record: Record, recipe: RecipeConfig) -> bool:
    patience = recipe.early_stop_patience
    return patience is not None and record.since_best >= patience


def _flops(
    recipe: RecipeConfig, plan: Plan, first: int, last: int, num_frozen: int
) -> float:
    """Count these steps' arithmetic, and the cached trunk's once."""
    lengths_C = plan.data.chunks.num_tokens_C
    chunks = [chunk for batch in plan.batches[first:last] for chunk in batch.chunks]
    if not chunks:
        return 0.0
    total = count_training_flops(
        recipe.student, recipe.fine_tuning, lengths_C[chunks], num_frozen=num_frozen
    )
    if num_frozen:
        total += count_flops(
            recipe.student, lengths_C, num_layers=num_frozen, heads=False
        )
    return total


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
