"""Lay a batch's chunks on rows, or what a frozen trunk once made of them.

T = tokens of all chunks, R = rows of a packing, C = chunks, E = hidden size
"""

from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kompress.students.encoder import Trunk
from kompress.students.model import StudentModel
from kompress.students.packing import Packing
from kompress.training.precision import autocast
from kompress.training.texts import Prepared

# Activations beyond this lie in a file that the system maps into memory.
MAX_MEMORY_BYTES = 512 * 2**20
# Tokens of a pass that fills the cache.
PASS_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class Rows:
    """One batch, on the model's device.

    Attributes:
        inputs: (R,) token ids, or a frozen trunk's output.
        packing: where the chunks lie.
        target_R: (R,) P(keep).
        weight_R: (R,) weights, 0 on special tokens and filling.
        quality_C: (C,) quality of each chunk's document.
        precision_C: (C,) 1/se² of it, 0 where there is none.
    """

    inputs: Tensor | Trunk
    packing: Packing
    target_R: Tensor
    weight_R: Tensor
    quality_C: Tensor
    precision_C: Tensor


class TrunkCache:
    """What a frozen trunk makes of every token, computed once.

    Held in memory up to `max_bytes`, else in a file of its own that is gone with it.

    Attributes:
        num_layers: layers of the trunk.
        is_mapped: whether they lie in a file.
    """

    def __init__(
        self,
        model: StudentModel,
        data: Prepared,
        *,
        num_layers: int,
        dtype: torch.dtype,
        max_bytes: int = MAX_MEMORY_BYTES,
    ) -> None:
        """Run the trunk over all chunks."""
        self.num_layers = num_layers
        shape = (len(data.chunks.ids_T), model.config.hidden_size)
        self.is_mapped = 4 * shape[0] * shape[1] > max_bytes
        self._x_TE: NDArray[np.float32]
        if self.is_mapped:
            # The file has no name: it goes when the last look at it does.
            with TemporaryFile() as file:
                self._x_TE = np.memmap(file, np.float32, mode="w+", shape=shape)
        else:
            self._x_TE = np.empty(shape, dtype=np.float32)
        with torch.no_grad(), autocast(model.device, dtype):
            for chunks in group_passes(data.chunks.num_tokens_C):
                packing = _pack(model, data, chunks)
                token_T = _tokens(data, chunks)
                ids_R = packing.spread(data.chunks.ids_T[token_T])
                x_RE, _ = model.encoder.run_trunk(ids_R, packing, num_layers=num_layers)
                self._x_TE[token_T] = x_RE.float().cpu().numpy()[packing.row_T]

    def read(self, token_T: NDArray[np.int64], packing: Packing) -> Trunk:
        """Lay the activations of these tokens on rows."""
        return Trunk(packing.spread(self._x_TE[token_T]), self.num_layers)


def lay_rows(
    model: StudentModel,
    data: Prepared,
    chunks: Sequence[int],
    cache: TrunkCache | None,
) -> Rows:
    """Lay chunks end to end on the model's device, with their labels.

    Args:
        model: what will read them.
        data: all tokens and labels.
        chunks: numbers of the chunks, in the order they are packed.
        cache: the frozen trunk's activations over the same data, if it has one.
    """
    packing = _pack(model, data, chunks)
    token_T = _tokens(data, chunks)
    numbers = list(chunks)
    return Rows(
        inputs=cache.read(token_T, packing)
        if cache is not None
        else packing.spread(data.chunks.ids_T[token_T]),
        packing=packing,
        target_R=packing.spread(data.target_T[token_T]),
        weight_R=packing.spread(data.weight_T[token_T]),
        quality_C=packing.send(data.quality_C[numbers]),
        precision_C=packing.send(data.precision_C[numbers]),
    )


def group_passes(num_tokens_C: NDArray[np.int64]) -> list[list[int]]:
    """Group chunks in their order into passes of about `PASS_TOKENS`.

    Args:
        num_tokens_C: (C,) tokens of each chunk.

    Returns:
        The numbers of each pass's chunks; every chunk once.
    """
    pass_C = (np.cumsum(num_tokens_C) - num_tokens_C) // PASS_TOKENS
    bounds = np.flatnonzero(np.diff(pass_C)) + 1
    return [part.tolist() for part in np.split(np.arange(len(pass_C)), bounds)]


def _pack(model: StudentModel, data: Prepared, chunks: Sequence[int]) -> Packing:
    return model.pack(data.chunks.num_tokens_C[list(chunks)].tolist())


def _tokens(data: Prepared, chunks: Sequence[int]) -> NDArray[np.int64]:
    """Give the places of the chunks' tokens among all tokens."""
    last_C = data.chunks.end_C[list(chunks)]
    first_C = last_C - data.chunks.num_tokens_C[list(chunks)]
    return np.concatenate(
        [np.arange(*ends) for ends in zip(first_C, last_C, strict=True)]
    )
