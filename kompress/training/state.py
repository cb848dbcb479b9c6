"""A training's state on disk, so that a killed job goes on where it was.

One safetensors file, written beside its place and renamed, so that a kill never leaves
half a state. Its name holds the training's fingerprint: the state of another training
is never found.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from kompress.training.adamw import AdamW


class TrainingState:
    """Where one training keeps its state.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Choose the file in a folder, made if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"training-{fingerprint[:32]}.safetensors"

    def save(self, model: nn.Module, optimizer: AdamW, losses: list[float]) -> None:
        """Replace the saved state in one step."""
        tensors = {
            name: tensor.contiguous() for name, tensor in _tensors(model, optimizer)
        }
        story = {"losses": json.dumps(losses), "sha256": _digest(tensors)}
        beside = self.path.with_suffix(".tmp")
        with beside.open("wb") as file:
            file.write(save_tensors(tensors, story))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    def load(self, model: nn.Module, optimizer: AdamW) -> list[float]:
        """Put the saved state into a model and its optimiser.

        Returns:
            The losses of the steps already done; none if nothing usable was saved,
            and then nothing was changed: training from the start is slower, not wrong.
        """
        if not self.path.is_file():
            return []
        try:
            with safe_open(self.path, "pt") as file:
                story = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError:
            return []
        if story.get("sha256") != _digest(tensors):
            return []
        weights = {
            name.removeprefix("model/"): tensor
            for name, tensor in tensors.items()
            if name.startswith("model/")
        }
        model.load_state_dict(weights)
        for name, moments in optimizer.moments.items():
            moments.first.copy_(tensors[f"first/{name}"])
            moments.second.copy_(tensors[f"second/{name}"])
        losses: list[float] = json.loads(story["losses"])
        optimizer.num_steps = len(losses)  # one loss a step
        return losses

    def clear(self) -> None:
        """Forget the state; the training is done."""
        self.path.unlink(missing_ok=True)


def _tensors(model: nn.Module, optimizer: AdamW) -> list[tuple[str, Tensor]]:
    tensors = [(f"model/{name}", tensor) for name, tensor in model.state_dict().items()]
    for name, moments in optimizer.moments.items():
        tensors += [
            (f"first/{name}", moments.first),
            (f"second/{name}", moments.second),
        ]
    return tensors


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
