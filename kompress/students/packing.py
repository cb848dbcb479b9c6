"""Chunks laid end to end on rows, and attention that keeps them apart.

Chunks start at multiples of the window, so that local attention is a few equal products
of neighbouring blocks and matrix shapes repeat. On a GPU one kernel with an exact
document mask takes the place of these products: torch's FlexAttention (Dong et al.
2024) skips the blocks that the mask leaves empty, so packed chunks and windows cost
what they would cost alone. On a CPU the same mask runs unfused: slow, but it is how
tests hold it to the CPU's own path.

R = rows (tokens and filling), K = blocks of rows, W = rows of one block,
L = rows of one chunk, H = heads, D = head size, E = hidden size
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

# Few different row counts: a CPU kernel is planned anew for each shape, in about 1 ms.
ROUND_ROWS = 256


class Packing:
    """Where the chunks of a batch lie.

    Attributes:
        row_T: (T,) the row of each token, chunk after chunk.
        num_rows: all rows, filling included.
        num_chunks: chunks, a last one of filling not counted.
        lengths: (tokens, rows) of each chunk; the last may be all filling.
        window: tokens that local attention sees to either side.
        device: where its tensors are.
        attention: "blocks" multiplies blocks of rows, "masked" asks one kernel.
    """

    def __init__(
        self,
        num_tokens: Sequence[int],
        window: int,
        *,
        device: torch.device | str = "cpu",
        attention: Literal["blocks", "masked"] | None = None,
    ) -> None:
        """Lay chunks of these many tokens end to end.

        Args:
            num_tokens: of each chunk, at least 1.
            window: tokens that local attention sees to either side.
            device: the model's.
            attention: None takes what is fast on the device.
        """
        self.device = torch.device(device)
        on_cpu = self.device.type == "cpu"
        self.attention = attention or ("blocks" if on_cpu else "masked")
        self.window = window
        self.lengths = [(num, _round_up(num, self.window)) for num in num_tokens]
        used = sum(rows for _, rows in self.lengths)
        unit = self.window if used <= 2 * ROUND_ROWS else ROUND_ROWS
        self.num_rows = _round_up(_round_up(used, unit), self.window)
        if self.num_rows > used:
            filling = self.num_rows - used
            self.lengths.append((filling, filling))
        tokens_C, rows_C = np.array(self.lengths).T
        start_C = np.cumsum(rows_C) - rows_C
        num_chunks = self.num_chunks = len(num_tokens)
        self.row_T: NDArray[np.int64] = np.concatenate(
            [
                np.arange(start, start + num)
                for start, num in zip(
                    start_C[:num_chunks], tokens_C[:num_chunks], strict=True
                )
            ]
        )
        place_R = np.arange(self.num_rows) - np.repeat(start_C, rows_C)
        real_R = place_R < np.repeat(tokens_C, rows_C)
        self._place_R = self.send(place_R)
        # Filling rows of a chunk have its number too: they may look, not be seen.
        self._chunk_R = self.send(np.repeat(np.arange(len(rows_C)), rows_C))
        self._real_R = self.send(real_R)

    def spread(self, values_T: NDArray[Any]) -> Tensor:
        """Put (T, ...) values on their rows, zeros on the filling: (R, ...).

        Ids of two bytes travel as they are and become int64 on the device.
        """
        values_R = np.zeros((self.num_rows, *values_T.shape[1:]), dtype=values_T.dtype)
        values_R[self.row_T] = values_T
        sent = self.send(values_R)
        return sent.long() if values_T.dtype == np.uint16 else sent

    def send(self, values: NDArray[Any]) -> Tensor:
        """Copy an array to the device; a GPU goes on computing meanwhile."""
        tensor = torch.from_numpy(values)
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def average(self, values_RE: Tensor) -> Tensor:
        """Average each chunk's tokens, filling left out: (C, E) float32."""
        real_RE = torch.where(self._real_R[:, None], values_RE, 0.0).float()
        sums = real_RE.new_zeros(len(self.lengths), real_RE.shape[1])
        sums = sums.index_add(0, self._chunk_R, real_RE)[: self.num_chunks]
        tokens_C = [num for num, _ in self.lengths[: self.num_chunks]]
        return sums / sums.new_tensor(tokens_C)[:, None]

    def rotation(self, head_size: int, theta: float) -> tuple[Tensor, Tensor]:
        """Give (R, 1, 1, D/2) cosines and sines, times D^(-1/4).

        Queries and keys both carry it, so their products come scaled by 1/sqrt(D).
        """
        longest = max(rows for _, rows in self.lengths)
        length = _round_up(longest, 512)
        cos, sin = _rotation_table(length, head_size, theta, self.device)
        return cos[self._place_R][:, None, None], sin[self._place_R][:, None, None]

    def attend(self, *, is_global: bool) -> Callable[..., Tensor]:
        """Choose how rows look at each other.

        Every way gives (R, E) from queries, keys and values (R, H, D). Queries
        and keys come scaled, so their products are not scaled again.
        """
        if self.attention == "masked":
            window = None if is_global else self.window
            mask = _make_mask(self._chunk_R, self._real_R, window)
            return partial(_attend_masked, mask=mask)
        if is_global:
            return partial(_attend_chunks, lengths=self.lengths)
        return partial(_attend_blocks, band=self._band())

    def taps(self, num_taps: int) -> list[Tensor]:
        """For each tap of a convolution, (R, 1) 1 where its input is of the chunk."""
        side = num_taps // 2
        chunk = functional.pad(
            torch.where(self._real_R, self._chunk_R, -1), (side, side), value=-1
        )
        return [
            (chunk[tap : tap + self.num_rows] == self._chunk_R).float()[:, None]
            for tap in range(num_taps)
        ]

    def _band(self) -> Tensor:
        """(K, 1, W, 3W) 0 where a row may look at a row of its blocks, -inf else."""
        width = self.window
        chunk_K3W = _neighbours(self._chunk_R.view(-1, width), fill=-1)
        real_K3W = _neighbours(self._real_R.view(-1, width), fill=False)
        own_KW = self._chunk_R.view(-1, width)
        allowed = (own_KW[:, :, None] == chunk_K3W[:, None]) & real_K3W[:, None]
        near = _near(width).to(self.device)
        return torch.where(allowed & near, 0.0, -torch.inf)[:, None]


def convolve_rows(x_RE: Tensor, conv: Any, packing: Packing) -> Tensor:
    """Apply a Conv1d within each chunk, zeros beyond its ends: (R, channels).

    One matrix product for all taps: torch's Conv1d on a CPU is half as fast.
    """
    channels, width, num_taps = conv.weight.shape
    weight = conv.weight.permute(2, 0, 1).reshape(num_taps * channels, width)
    side = num_taps // 2
    product = functional.linear(x_RE, weight)
    parts = torch.split(functional.pad(product, (0, 0, side, side)), channels, dim=1)
    out: Tensor = conv.bias
    for tap, valid_R1 in enumerate(packing.taps(num_taps)):
        out = out + parts[tap][tap : tap + packing.num_rows] * valid_R1
    return out


def _attend_chunks(
    q_RHD: Tensor, k_RHD: Tensor, v_RHD: Tensor, lengths: list[tuple[int, int]]
) -> Tensor:
    """Let every row look at all tokens of its chunk: (R, E)."""
    rows = [num_rows for _, num_rows in lengths]
    chunks = [torch.split(x_RHD, rows) for x_RHD in (q_RHD, k_RHD, v_RHD)]
    mixed = []
    for (num_tokens, _), q, k, v in zip(lengths, *chunks, strict=True):
        logits = q.transpose(0, 1) @ k[:num_tokens].permute(1, 2, 0)
        out = torch.softmax(logits, dim=-1) @ v[:num_tokens].transpose(0, 1)
        mixed.append(out.transpose(0, 1).flatten(1))
    return torch.cat(mixed)


def _attend_blocks(q_RHD: Tensor, k_RHD: Tensor, v_RHD: Tensor, band: Tensor) -> Tensor:
    """Let every row look at its own block and the two beside it: (R, E)."""
    blocks = (band.shape[0], band.shape[2], *q_RHD.shape[1:])
    q_KHWD = q_RHD.reshape(blocks).transpose(1, 2)
    k_K3WHD = _neighbours(k_RHD.reshape(blocks), fill=0)
    v_K3WHD = _neighbours(v_RHD.reshape(blocks), fill=0)
    logits = q_KHWD @ k_K3WHD.permute(0, 2, 3, 1) + band
    out = torch.softmax(logits, dim=-1) @ v_K3WHD.transpose(1, 2)
    return out.transpose(1, 2).flatten(2).flatten(0, 1)


def _neighbours(x_KW: Tensor, *, fill: float) -> Tensor:
    """Join each block with the one before and the one after: (K, 3W, ...)."""
    edge = torch.full_like(x_KW[:1], fill)
    before = torch.cat([edge, x_KW[:-1]])
    after = torch.cat([x_KW[1:], edge])
    return torch.cat([before, x_KW, after], dim=1)


def _make_mask(chunk_R: Tensor, real_R: Tensor, window: int | None) -> Any:
    """Say which rows may look at which, as torch's BlockMask over all rows."""
    rows = len(chunk_R)

    def allowed(_batch: Tensor, _head: Tensor, own: Tensor, other: Tensor) -> Tensor:
        same = (chunk_R[own] == chunk_R[other]) & real_R[other]
        return same if window is None else same & ((own - other).abs() <= window)

    create, _ = _kernels(chunk_R.device.type)
    return create(allowed, None, None, rows, rows, device=chunk_R.device)


def _attend_masked(q_RHD: Tensor, k_RHD: Tensor, v_RHD: Tensor, *, mask: Any) -> Tensor:
    """Let every row look at the rows its mask allows: (R, E)."""
    _, attend = _kernels(q_RHD.device.type)
    # The values are a view into queries, keys and values; the kernel wants them alone.
    q, k, v = (x.transpose(0, 1)[None] for x in (q_RHD, k_RHD, v_RHD.contiguous()))
    mixed: Tensor = attend(q, k, v, block_mask=mask, scale=1.0)
    return mixed[0].transpose(0, 1).flatten(1)


@lru_cache(maxsize=2)
def _kernels(device_type: str) -> tuple[Any, Any]:
    """Give (make a mask, attend), compiled for anything but a CPU."""
    from torch.nn.attention.flex_attention import (  # noqa: PLC0415  # a GPU's business
        create_block_mask,
        flex_attention,
    )

    if device_type == "cpu":
        return create_block_mask, flex_attention
    # Row counts differ from batch to batch; one kernel shall serve them all.
    return (
        torch.compile(create_block_mask, dynamic=True),
        torch.compile(flex_attention, dynamic=True),
    )


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


@lru_cache(maxsize=16)
def _rotation_table(
    length: int, head_size: int, theta: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    # Tables made while scoring must serve training too.
    with torch.inference_mode(mode=False):
        inverse = 1.0 / theta ** (torch.arange(0, head_size, 2).float() / head_size)
        angle_LD = torch.arange(length).float()[:, None] * inverse
        scale = head_size**-0.25
        cos, sin = angle_LD.cos() * scale, angle_LD.sin() * scale
        return cos.to(device), sin.to(device)


@lru_cache(maxsize=4)
def _near(width: int) -> Tensor:
    """(W, 3W) whether a row of the middle block is at most W away."""
    with torch.inference_mode(mode=False):
        own_W = torch.arange(width, 2 * width)
        return (own_W[:, None] - torch.arange(3 * width)).abs() <= width
