"""A training's state on disk, so that a killed job goes on where it was.

One safetensors file, written beside its place and renamed, so that a kill never leaves
half a state. Its name holds the training's fingerprint: the state of another training
is never found. Weights that do not move are not in it.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.optim import AdamW

from kompress.training.fine_tuning import moving, put_weights


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a learning curve.

    Attributes:
        step: optimiser steps done.
        num_tokens: tokens seen in them.
        train_loss: mean loss of the steps since the point before.
        held_out_loss: loss on the held-out texts, None without any.
    """

    step: int
    num_tokens: int
    train_loss: float
    held_out_loss: float | None


@dataclass(slots=True)
class Record:
    """What happened so far, and the best weights by held-out loss.

    Attributes:
        losses: of every step.
        curve: the points measured.
        best_loss: the least held-out loss, infinite before the first.
        best_step: the steps done when it was measured.
        since_best: points measured since then.
        best_weights: the moving weights of that step, where early stopping keeps them.
    """

    losses: list[float] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    best_loss: float = float("inf")
    best_step: int = 0
    since_best: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


class TrainingState:
    """Where one training keeps its state.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Choose the file in a folder, made if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"training-{fingerprint[:32]}.safetensors"

    def save(self, model: nn.Module, optimizer: AdamW, record: Record) -> None:
        """Replace the saved state in one step."""
        tensors = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in _tensors(model, optimizer, record)
        }
        story = {"record": _to_json(record), "sha256": _digest(tensors)}
        beside = self.path.with_suffix(".tmp")
        with beside.open("wb") as file:
            file.write(save_tensors(tensors, story))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    @torch.no_grad()
    def load(self, model: nn.Module, optimizer: AdamW) -> Record:
        """Put the saved state into a model and its optimiser.

        Returns:
            What happened in the steps already done; an empty record if nothing usable
            was saved, and then nothing was changed: training from the start is slower,
            not wrong.
        """
        if not self.path.is_file():
            return Record()
        try:
            with safe_open(self.path, "pt") as file:
                story = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError:
            return Record()
        if story.get("sha256") != _digest(tensors):
            return Record()
        put_weights(model, _part(tensors, "model/"))
        record = _from_json(story["record"])
        record.best_weights = _part(tensors, "best/")
        # One loss a step: the moments have seen as many steps as there are losses.
        _put_moments(optimizer, tensors, num_steps=len(record.losses))
        return record

    def clear(self) -> None:
        """Forget the state; the training is done."""
        self.path.unlink(missing_ok=True)


def _tensors(
    model: nn.Module, optimizer: AdamW, record: Record
) -> list[tuple[str, Tensor]]:
    tensors: list[tuple[str, Tensor]] = [
        (f"model/{name}", weight) for name, weight in moving(model)
    ]
    for name, weight in moving(model):
        moments = optimizer.state.get(weight)
        if moments:  # a weight that had no gradient yet has none
            tensors += [
                (f"first/{name}", moments["exp_avg"]),
                (f"second/{name}", moments["exp_avg_sq"]),
            ]
    best = record.best_weights.items()
    return tensors + [(f"best/{name}", weight) for name, weight in best]


def _put_moments(
    optimizer: AdamW, tensors: Mapping[str, Tensor], num_steps: int
) -> None:
    """Give the optimiser the moments of every weight that has some."""
    first, second = _part(tensors, "first/"), _part(tensors, "second/")
    content = optimizer.state_dict()
    content["state"] = {
        number: {
            "step": torch.tensor(float(num_steps)),
            "exp_avg": first[name],
            "exp_avg_sq": second[name],
        }
        for group in content["param_groups"]
        for number, name in zip(group["params"], group["param_names"], strict=True)
        if name in first
    }
    optimizer.load_state_dict(content)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _to_json(record: Record) -> str:
    content: dict[str, Any] = {
        "losses": record.losses,
        "curve": [asdict(point) for point in record.curve],
        # JSON has no infinity.
        "best_loss": None if math.isinf(record.best_loss) else record.best_loss,
        "best_step": record.best_step,
        "since_best": record.since_best,
    }
    return json.dumps(content)


def _from_json(text: str) -> Record:
    content = json.loads(text)
    content["curve"] = [CurvePoint(**point) for point in content["curve"]]
    if content["best_loss"] is None:
        content["best_loss"] = float("inf")
    return Record(**content)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
