"""All that is decided before a training's first step."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
from torch import Tensor

from kompress.config import RecipeConfig
from kompress.errors import InvalidConfig, InvalidText, TrainingFailed
from kompress.students.student import Student
from kompress.students.tokenizer import WordTokenizer
from kompress.training.batches import Batch, plan_batches
from kompress.training.held_out import prepare_held_out
from kompress.training.precision import choose_precision, find_device
from kompress.training.start import find_parent, find_tokenizer
from kompress.training.texts import Prepared, TrainText, prepare

MAX_SEED = 2**63


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
    parent = find_parent(init, recipe, tokenizer_json)
    tokenizer = find_tokenizer(texts, recipe, tokenizer_json, parent)
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


def step_seed(seed: int, purpose: str) -> int:
    """Give each purpose its own stream, the same in every process."""
    digest = hashlib.sha256(f"{seed} {purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_SEED


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
