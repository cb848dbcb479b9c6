"""Run the encoder over chunks laid end to end; no chunk sees another.

The same arithmetic as transformers' ModernBERT on each chunk alone (a test compares
them). Chunks start at multiples of the window, so that sliding attention is a few
equal products of neighbouring blocks and matrix shapes repeat. On a GPU one kernel
with a document mask (`document_mask`) takes the place of these products.

R = rows (tokens and filling), K = blocks of rows, W = rows of one block,
L = rows of one chunk, H = heads, D = head size, E = hidden size
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kompress.config import StudentConfig
from kompress.students.document_mask import attend_masked, make_mask
from kompress.students.encoder import Encoder

FULL_THETA = 160_000.0  # ModernBERT's rotary bases
SLIDING_THETA = 10_000.0
# Few different row counts: a CPU kernel is planned anew for each shape, in about 1 ms.
ROUND_ROWS = 256


class Packing:
    """Where the chunks of a batch lie.

    Attributes:
        row_T: (T,) the row of each token, chunk after chunk.
        num_rows: all rows, filling included.
        num_chunks: chunks, a last one of filling not counted.
        lengths: (tokens, rows) of each chunk; the last may be all filling.
        window: tokens that sliding attention sees to either side.
        device: where its tensors are.
        attention: "blocks" multiplies blocks of rows, "masked" asks one kernel.
    """

    def __init__(
        self,
        num_tokens: Sequence[int],
        config: StudentConfig,
        *,
        device: torch.device | str = "cpu",
        attention: Literal["blocks", "masked"] | None = None,
    ) -> None:
        """Lay chunks of these many tokens end to end.

        Args:
            num_tokens: of each chunk, at least 1.
            config: the model's sizes.
            device: the model's.
            attention: None takes what is fast on the device.
        """
        self.device = torch.device(device)
        on_cpu = self.device.type == "cpu"
        self.attention = attention or ("blocks" if on_cpu else "masked")
        self.window = max(1, config.local_attention // 2)
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

    def band(self) -> Tensor:
        """(K, 1, W, 3W) 0 where a row may look at a row of its blocks, -inf else."""
        width = self.window
        chunk_K3W = _neighbours(self._chunk_R.view(-1, width), fill=-1)
        real_K3W = _neighbours(self._real_R.view(-1, width), fill=False)
        own_KW = self._chunk_R.view(-1, width)
        allowed = (own_KW[:, :, None] == chunk_K3W[:, None]) & real_K3W[:, None]
        near = _near(width).to(self.device)
        return torch.where(allowed & near, 0.0, -torch.inf)[:, None]

    def mask(self, window: int | None) -> Any:
        """Give the kernel's mask: same chunk, real, at most `window` rows away."""
        return make_mask(self._chunk_R, self._real_R, window)

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


class Trunk(NamedTuple):
    """What layers that never change made of a batch, in place of its token ids.

    Attributes:
        x_RE: (R, E) the residual stream after them.
        num_layers: how many of the first layers they are.
    """

    x_RE: Tensor
    num_layers: int


def encode_packed(
    encoder: Encoder, config: StudentConfig, inputs: Tensor | Trunk, packing: Packing
) -> Tensor:
    """Give the encoder's last hidden state of every row.

    Args:
        encoder: the modules that hold the weights.
        config: its sizes.
        inputs: (R,) token ids, anything on filling rows; or what the first layers
            made of them.
        packing: where the chunks lie.

    Returns:
        (R, E) hidden states, each chunk's as if it were alone; finite on filling rows.

    Source: ModernBERT, Warner et al. 2024; packing in blocks: ours.
    """
    if not isinstance(inputs, Trunk):
        inputs = run_trunk(encoder, config, inputs, packing, num_layers=0)
    last = config.num_layers
    x_RE = _run_layers(encoder, config, inputs, packing, last)
    hidden: Tensor = encoder.final_norm(x_RE)
    return hidden


def run_trunk(
    encoder: Encoder,
    config: StudentConfig,
    ids_R: Tensor,
    packing: Packing,
    *,
    num_layers: int,
) -> Trunk:
    """Give the residual stream after the first layers, 0 for the embeddings alone."""
    x_RE = encoder.embeddings.norm(encoder.embeddings.tok_embeddings(ids_R))
    return Trunk(
        _run_layers(encoder, config, Trunk(x_RE, 0), packing, num_layers), num_layers
    )


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


def _run_layers(
    encoder: Encoder, config: StudentConfig, trunk: Trunk, packing: Packing, last: int
) -> Tensor:
    """Run the layers after the trunk's up to the `last`, not included: (R, E)."""
    x_RE, first = trunk
    if first == last:
        return x_RE
    heads = config.num_heads
    size = config.hidden_size // heads
    kinds = {
        is_full: (
            packing.rotation(size, FULL_THETA if is_full else SLIDING_THETA),
            _attention(packing, is_full=is_full),
        )
        for is_full in {number % config.global_every == 0 for number in range(last)}
    }
    layers: list[Any] = list(encoder.layers)
    for number in range(first, last):
        layer = layers[number]
        (cos, sin), attend = kinds[number % config.global_every == 0]
        qkv = layer.attn.Wqkv(layer.attn_norm(x_RE)).view(-1, 3, heads, size)
        qk_R2HD = _Rotate.apply(qkv[:, :2], cos, sin)  # type: ignore[no-untyped-call]  # torch's
        q_RHD, k_RHD = qk_R2HD.unbind(1)
        x_RE = x_RE + layer.attn.Wo(attend(q_RHD, k_RHD, qkv[:, 2]))
        value, gate = layer.mlp.Wi(layer.mlp_norm(x_RE)).chunk(2, dim=-1)
        x_RE = x_RE + layer.mlp.Wo(functional.gelu(value) * gate)
    return x_RE


def _attention(packing: Packing, *, is_full: bool) -> Callable[..., Tensor]:
    """Choose one of the ways to attend; all give (R, E) from q, k and v (R, H, D)."""
    if packing.attention == "masked":
        mask = packing.mask(None if is_full else packing.window)
        return partial(attend_masked, mask=mask)
    if is_full:
        return partial(_attend_chunks, lengths=packing.lengths)
    return partial(_attend_blocks, band=packing.band())


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


class _Rotate(torch.autograd.Function):
    """Rotary positions; written out because torch's own graph copies it six times."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotate(grads[0], cos, -sin), None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    left, right = x[..., :half], x[..., half:]
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    torch.mul(left, cos, out=out[..., :half]).addcmul_(right, sin, value=-1)
    torch.mul(right, cos, out=out[..., half:]).addcmul_(left, sin)
    return out


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
