"""Which chunks each step of a training sees; decided before the first step.

C = chunks
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    Source: ours.
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
