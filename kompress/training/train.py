"""Train a student on labelled texts; the same inputs give the same bytes.

T = tokens of a batch, R = rows of its packing, C = chunks
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tokenizers
import torch
from torch import Tensor, nn

from kompress.config import RecipeConfig
from kompress.errors import InvalidCheckpoint, InvalidConfig, TrainingFailed
from kompress.students.checkpoint import LINEAGE, unpack
from kompress.students.dual_head import STUDENTS
from kompress.students.matmul import fast_matmul
from kompress.students.packed import Packing
from kompress.students.student import Student, load
from kompress.students.tokenizer import WordTokenizer, train_tokenizer
from kompress.training.adamw import AdamW
from kompress.training.batches import Batch, plan_batches
from kompress.training.loss import weighted_loss
from kompress.training.state import TrainingState
from kompress.training.texts import Prepared, TrainText, prepare

Progress = Callable[[int, int, Mapping[str, float]], None]

FINAL_RATE_SHARE = 0.0  # of the cosine
MAX_SEED = 2**63


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
    """

    student_id: str
    folder: Path
    num_steps: int
    num_tokens: int
    losses: tuple[float, ...]
    manifest_sha256: str


def train(
    texts: Sequence[TrainText],
    recipe: RecipeConfig,
    *,
    tokenizer_json: bytes | None,
    init: bytes | Path | None,
    epochs: int,
    seed: int,
    folder: Path,
    resume: Path | None,
    progress: Callable[[int, int, Mapping[str, float]], None],
    max_tokens: int | None = None,
) -> TrainResult:
    """Train a student and write its checkpoint.

    Args:
        texts: the labelled texts.
        recipe: architecture, weights, optimiser, schedule.
        tokenizer_json: the tokenizer; None takes the parent's, or trains one on these
            texts if there is no parent.
        init: the parent's folder or its packed blob; None starts from scratch.
        epochs: passes over the texts.
        seed: decides weights, order and dropout.
        folder: where the checkpoint goes; made if missing.
        resume: folder for the state of an unfinished training; None keeps none.
        progress: called after each step with the steps done, all steps, and `loss`,
            `learning_rate`, `epoch` and `num_tokens` so far.
        max_tokens: plan no more tokens than this over all epochs.

    Returns:
        The student's id and its losses.

    Raises:
        InvalidText: labels that do not fit their text.
        InvalidCheckpoint: a parent that is broken, or of other sizes or tokenizer.
        TrainingFailed: a loss that is not a number; names the step and its texts. The
            last saved state stays, no checkpoint is written.

    Source: the published line's recipe (facts of headroom-ai); packing, weights by
    certainty and resuming: ours.
    """
    parent = _parent(init, recipe, tokenizer_json)
    tokenizer = _tokenizer(texts, recipe, tokenizer_json, parent)
    data = prepare(texts, recipe, tokenizer)
    batches = plan_batches(
        data.chunks.num_tokens_C,
        batch_tokens=recipe.batch_tokens,
        epochs=epochs,
        seed=_step_seed(seed, "order"),
        max_tokens=max_tokens,
    )
    lineage = _lineage(
        texts, data, tokenizer, parent, epochs=epochs, seed=seed, batches=batches
    )

    with _deterministic(recipe.num_threads):
        torch.manual_seed(_step_seed(seed, "weights"))
        model = STUDENTS[recipe.student.variant](recipe.student)
        if parent is not None:
            model.load_state_dict(parent.model.state_dict())
        model.train()
        optimizer = AdamW(model.named_parameters(), weight_decay=recipe.weight_decay)

        losses: list[float] = []
        state = None
        if resume is not None:
            state = TrainingState(Path(resume), _fingerprint(recipe, lineage))
            losses = state.load(model, optimizer)
        num_tokens = sum(batch.num_tokens for batch in batches[: len(losses)])

        for step in range(len(losses), len(batches)):
            batch = batches[step]
            rate = recipe.learning_rate * _rate_share(
                step, len(batches), recipe.warmup_share
            )
            # Dropout depends on the step alone, so a resumed training repeats it.
            torch.manual_seed(_step_seed(seed, f"step {step}"))
            packing = Packing(_lengths(data, batch), recipe.student)
            ids_R, target_R, weight_R = _tensors(data, batch, packing)

            keep_R, span_R, _ = model(ids_R, packing)
            loss = weighted_loss(keep_R, span_R, target_R, weight_R, recipe.span_weight)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            value = float(loss.detach())
            if not (math.isfinite(value) and math.isfinite(float(norm))):
                raise TrainingFailed(_explain(step, batches, data, value, float(norm)))
            optimizer.step(rate)

            losses.append(value)
            num_tokens += batch.num_tokens
            if state is not None and len(losses) % recipe.checkpoint_every == 0:
                state.save(model, optimizer, losses)
            progress(
                len(losses),
                len(batches),
                {
                    "loss": value,
                    "learning_rate": rate,
                    "epoch": batch.epoch + 1,
                    "num_tokens": num_tokens,
                },
            )

    student = Student.from_model(
        model, tokenizer, recipe=recipe.model_dump(mode="json"), lineage=lineage
    )
    student_id = student.save(Path(folder))
    if state is not None:
        state.clear()
    manifest = hashlib.sha256((Path(folder) / LINEAGE).read_bytes()).hexdigest()
    return TrainResult(
        student_id, Path(folder), len(losses), num_tokens, tuple(losses), manifest
    )


def _parent(
    init: bytes | Path | None, recipe: RecipeConfig, tokenizer_json: bytes | None
) -> Student | None:
    """Load the parent, whose sizes and tokenizer the child must share."""
    if init is None:
        return None
    if isinstance(init, bytes):
        with TemporaryDirectory() as folder:
            unpack(init, Path(folder))
            parent = load(folder)
    else:
        parent = load(init)
    if parent.config != recipe.student:
        raise InvalidCheckpoint(
            f"the parent {parent.id[:12]} is {parent.config!r}; the recipe wants "
            f"{recipe.student!r}; expected equal sizes; start from scratch or change "
            "the recipe"
        )
    if tokenizer_json not in {None, parent.tokenizer.json}:
        raise InvalidCheckpoint(
            f"the parent {parent.id[:12]} has another tokenizer than the one given; "
            "expected the parent's own; leave tokenizer_json out"
        )
    return parent


def _tokenizer(
    texts: Sequence[TrainText],
    recipe: RecipeConfig,
    tokenizer_json: bytes | None,
    parent: Student | None,
) -> WordTokenizer:
    if parent is not None:
        return parent.tokenizer
    if tokenizer_json is None:
        sources = (text.text for text in texts)
        tokenizer_json = train_tokenizer(sources, recipe.student.vocab_size)
    tokenizer = WordTokenizer(tokenizer_json)
    if tokenizer.vocab_size > recipe.student.vocab_size:
        raise InvalidConfig(
            f"the tokenizer holds {tokenizer.vocab_size} tokens, recipe.student."
            f"vocab_size is {recipe.student.vocab_size}; expected no more; raise it"
        )
    return tokenizer


def _rate_share(step: int, num_steps: int, warmup_share: float) -> float:
    """Rise linearly over the warm-up, then fall as a cosine to nearly nothing."""
    warmup = round(warmup_share * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, num_steps - warmup)
    return FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * 0.5 * (
        1 + math.cos(math.pi * done)
    )


def _lengths(data: Prepared, batch: Batch) -> list[int]:
    return [int(data.chunks.num_tokens_C[chunk]) for chunk in batch.chunks]


def _tensors(
    data: Prepared, batch: Batch, packing: Packing
) -> tuple[Tensor, Tensor, Tensor]:
    """Lay a batch's ids, targets and weights on the packing's rows, each (R,)."""
    last_C = data.chunks.end_C[list(batch.chunks)]
    first_C = last_C - data.chunks.num_tokens_C[list(batch.chunks)]
    token_T = np.concatenate(
        [np.arange(*ends) for ends in zip(first_C, last_C, strict=True)]
    )
    return (
        packing.spread(data.chunks.ids_T[token_T].astype(np.int64)),
        packing.spread(data.target_T[token_T]),
        packing.spread(data.weight_T[token_T]),
    )


def _lineage(
    texts: Sequence[TrainText],
    data: Prepared,
    tokenizer: WordTokenizer,
    parent: Student | None,
    *,
    epochs: int,
    seed: int,
    batches: Sequence[Batch],
) -> dict[str, Any]:
    """What the student was made from; its hash is the training-manifest hash."""
    return {
        "parent": parent.id if parent else None,
        "seed": seed,
        "epochs": epochs,
        "num_steps": len(batches),
        "num_tokens": sum(batch.num_tokens for batch in batches),
        "tokenizer": hashlib.sha256(tokenizer.json).hexdigest(),
        "data": data.digest,
        "texts": [_text_hash(text.text) for text in texts],
        "versions": {"torch": torch.__version__, "tokenizers": tokenizers.__version__},
    }


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _fingerprint(recipe: RecipeConfig, lineage: dict[str, Any]) -> str:
    content = [recipe.model_dump(mode="json"), lineage]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _explain(
    step: int, batches: Sequence[Batch], data: Prepared, loss: float, norm: float
) -> str:
    batch = batches[step]
    numbers = sorted({int(data.chunks.text_C[chunk]) for chunk in batch.chunks})
    return (
        f"step {step + 1} of {len(batches)} (epoch {batch.epoch + 1}) gave loss {loss} "
        f"and gradient norm {norm} on texts {', '.join(map(str, numbers))}; expected "
        "finite numbers; look at these texts' labels or lower recipe.learning_rate; "
        "the last saved state is kept"
    )


def _step_seed(seed: int, purpose: str) -> int:
    """Give each purpose its own stream, the same in every process."""
    digest = hashlib.sha256(f"{seed} {purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_SEED


@contextmanager
def _deterministic(num_threads: int) -> Iterator[None]:
    """Fix threads and algorithms, and give the process its own back afterwards."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(mode=True)
    # Every buffer here is written before it is read; filling them first costs time.
    memory.fill_uninitialized_memory = False
    try:
        with torch.random.fork_rng(devices=[]), fast_matmul():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(mode=deterministic)
        memory.fill_uninitialized_memory = fill
