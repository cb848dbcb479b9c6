"""All that is decided before a training's first step.

C = chunks
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from torch import Tensor

from kompress.config import RecipeConfig
from kompress.errors import (
    InvalidCheckpoint,
    InvalidConfig,
    InvalidText,
    TrainingFailed,
)
from kompress.students.checkpoint import unpack
from kompress.students.student import Student, load
from kompress.students.tokenizer import WordTokenizer, train_tokenizer
from kompress.training.precision import choose_precision, find_device
from kompress.training.texts import Prepared, TrainText, prepare, prepare_held_out

MAX_SEED = 2**63


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's chunks.

    Attributes:
        epoch: which pass over the data, from 0.
        chunks: numbers of the chunks, in the order they are packed.
        num_tokens: tokens of all of them.
    """

    epoch: int
    chunks: tuple[int, ...]
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training will do.

    Attributes:
        parent: what it starts from, None for random weights.
        tokenizer: the student's.
        data: tokens, labels and weights to train on.
        held_out: the same of the texts that are only measured, None without any.
        batches: the chunks of each step.
        device: where the model computes.
        dtype: the precision of its products.
        seed: what all random streams follow from.
        lineage: what decides the student's weights beside its recipe.
    """

    parent: Student | None
    tokenizer: WordTokenizer
    data: Prepared
    held_out: Prepared | None
    batches: list[Batch]
    device: torch.device
    dtype: torch.dtype
    seed: int
    lineage: dict[str, Any]

    def fingerprint(self, recipe: RecipeConfig) -> str:
        """Name the training: equal inputs, equal name."""
        content = [recipe.record(), self.lineage]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def count_tokens(self, first: int, last: int) -> int:
        """Count the tokens of the steps from `first` to before `last`."""
        return sum(batch.num_tokens for batch in self.batches[first:last])

    def check(self, figures: Sequence[Tensor], first: int) -> list[float]:
        """Wait for some steps and give their losses.

        Args:
            figures: (2,) loss and gradient norm of each, on the device.
            first: the first one's number.

        Raises:
            TrainingFailed: one of them is no number; names the step and its texts.
        """
        pairs = torch.stack(list(figures)).tolist()
        for step, (loss, norm) in enumerate(pairs, first):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrainingFailed(
                    f"{self._name(step)} gave loss {loss} and gradient norm {norm}"
                    f"{self._advice(step)}"
                )
        return [loss for loss, _ in pairs]

    def check_weights(self, weights: Sequence[Tensor], step: int) -> None:
        """Refuse weights that overflowed although every loss was a number.

        Raises:
            TrainingFailed: names the step after which they were found, and its texts.
        """
        largest = torch.stack([weight.detach().abs().max() for weight in weights])
        if not bool(largest.isfinite().all()):
            raise TrainingFailed(
                f"{self._name(step)} left weights that are no numbers"
                f"{self._advice(step)}"
            )

    def _name(self, step: int) -> str:
        epoch = self.batches[step].epoch + 1
        return f"step {step + 1} of {len(self.batches)} (epoch {epoch})"

    def _advice(self, step: int) -> str:
        chunks = list(self.batches[step].chunks)
        numbers = sorted(set(self.data.chunks.text_C[chunks].tolist()))
        return (
            f" on texts {', '.join(map(str, numbers))}; expected finite numbers; look "
            "at these texts' labels or lower recipe.learning_rate; the last saved "
            "state is kept"
        )


def make_plan(
    texts: Sequence[TrainText],
    recipe: RecipeConfig,
    *,
    tokenizer_json: bytes | None,
    init: Student | bytes | Path | None,
    epochs: int,
    seed: int,
    max_tokens: int | None,
    held_out: Sequence[TrainText],
) -> Plan:
    """Load, tokenise and check everything; see `train` for arguments and errors."""
    parent = _find_parent(init, recipe, tokenizer_json)
    tokenizer = _find_tokenizer(texts, recipe, tokenizer_json, parent)
    data = prepare(texts, recipe, tokenizer)
    aside = prepare_held_out(held_out, recipe, tokenizer)
    _check_quality(recipe, data)
    device = find_device()
    dtype = choose_precision(recipe.precision, device)
    batches = plan_batches(
        data.chunks.num_tokens_C,
        batch_tokens=recipe.batch_tokens,
        epochs=epochs,
        seed=step_seed(seed, "order"),
        max_tokens=max_tokens,
    )
    lineage = {
        "parent": parent.id or None if parent else None,
        # A parent from elsewhere has no id: its own lineage says where it came from.
        "pretrained": parent.lineage if parent and not parent.id else None,
        "seed": seed,
        "epochs": epochs,
        "num_steps": len(batches),
        "num_tokens": sum(batch.num_tokens for batch in batches),
        "tokenizer": hashlib.sha256(tokenizer.json).hexdigest(),
        "data": data.digest,
        "held_out": aside.digest if aside else None,
        "texts": [_text_hash(text.text) for text in texts],
        "device": device.type,
        "precision": str(dtype).removeprefix("torch."),
        "versions": {"torch": torch.__version__, "tokenizers": tokenizers.__version__},
    }
    return Plan(parent, tokenizer, data, aside, batches, device, dtype, seed, lineage)


def plan_batches(
    num_tokens_C: NDArray[np.int64],
    *,
    batch_tokens: int,
    epochs: int,
    seed: int,
    max_tokens: int | None = None,
) -> list[Batch]:
    """Shuffle the chunks anew for each epoch and fill batches up to a token budget.

    Args:
        num_tokens_C: (C,) tokens of each chunk.
        batch_tokens: the most tokens of a batch; a longer chunk gets its own.
        epochs: passes over the data.
        seed: decides the order.
        max_tokens: stop before the batch that would exceed this total; at least one
            batch is planned.

    Returns:
        The batches in order.
    """
    batches: list[Batch] = []
    total = 0
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(num_tokens_C))
        for batch in _fill(epoch, order.tolist(), num_tokens_C, batch_tokens):
            total += batch.num_tokens
            if max_tokens is not None and total > max_tokens and batches:
                return batches
            batches.append(batch)
    return batches


def step_seed(seed: int, purpose: str) -> int:
    """Give each purpose its own stream, the same in every process."""
    digest = hashlib.sha256(f"{seed} {purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_SEED


def _find_parent(
    init: Student | bytes | Path | None,
    recipe: RecipeConfig,
    tokenizer_json: bytes | None,
) -> Student | None:
    """Load the parent, whose sizes and tokenizer the child must share.

    Raises:
        InvalidCheckpoint: it is broken, or has other sizes or another tokenizer.
        InvalidConfig: a student whose engine holds no weights.
    """
    if init is None:
        return None
    if isinstance(init, Student):
        parent = init
    elif isinstance(init, bytes):
        with TemporaryDirectory() as folder:
            unpack(init, Path(folder))
            parent = load(folder)
    else:
        parent = load(init)
    name = parent.id[:12] or "given"
    if parent.config != recipe.student:
        raise InvalidCheckpoint(
            f"the parent {name} is {parent.config!r}; the recipe wants "
            f"{recipe.student!r}; expected equal sizes; start from scratch or change "
            "the recipe"
        )
    if tokenizer_json not in {None, parent.tokenizer.json}:
        raise InvalidCheckpoint(
            f"the parent {name} has another tokenizer than the one given; "
            "expected the parent's own; leave tokenizer_json out"
        )
    return parent


def _find_tokenizer(
    texts: Sequence[TrainText],
    recipe: RecipeConfig,
    tokenizer_json: bytes | None,
    parent: Student | None,
) -> WordTokenizer:
    """Take the parent's tokenizer, the one given, or train one on the texts.

    Raises:
        InvalidConfig: it holds more tokens than the model.
    """
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


def _fill(
    epoch: int, order: list[int], num_tokens_C: NDArray[np.int64], batch_tokens: int
) -> list[Batch]:
    batches: list[Batch] = []
    chunks: list[int] = []
    size = 0
    for chunk in order:
        length = int(num_tokens_C[chunk])
        if chunks and size + length > batch_tokens:
            batches.append(Batch(epoch, tuple(chunks), size))
            chunks, size = [], 0
        chunks.append(chunk)
        size += length
    return [*batches, Batch(epoch, tuple(chunks), size)]


def _check_quality(recipe: RecipeConfig, data: Prepared) -> None:
    """Refuse a quality part that nothing could learn from."""
    weight = recipe.quality_weight
    if not weight:
        return
    if not recipe.student.quality_head:
        raise InvalidConfig(
            f"recipe.quality_weight is {weight:g} and the student has no quality head; "
            "set student.quality_head or leave the weight out"
        )
    if not data.precision_C.any():
        raise InvalidText(
            f"recipe.quality_weight is {weight:g} and no text has a quality; expected "
            "one with its standard error on some texts at least"
        )


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
