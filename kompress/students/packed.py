"""Run the encoder over chunks laid end to end: no padding, no leak between chunks.

The same arithmetic as transformers' ModernBERT on each chunk alone (a test compares
them); linear layers see all tokens at once, attention one chunk at a time.

T = tokens, C = chunks, L = tokens of one chunk, H = heads, D = head size,
E = hidden size, G = tokens and gaps
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kompress.config import StudentConfig
from kompress.students.encoder import Encoder

FULL_THETA = 160_000.0  # ModernBERT's rotary bases
SLIDING_THETA = 10_000.0
# The span head sees two tokens to either side, so two empty rows keep chunks apart.
GAP = 2


class Packing:
    """Where the chunks of a batch lie.

    Attributes:
        lengths: tokens of each chunk.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        """Lay chunks of these lengths end to end."""
        self.lengths = list(lengths)
        length_C = torch.tensor(self.lengths)
        shift_C = GAP * torch.arange(1, len(self.lengths) + 1)
        self._num_rows = int(length_C.sum()) + GAP * (len(self.lengths) + 1)
        self._row_T = torch.arange(int(length_C.sum())) + torch.repeat_interleave(
            shift_C, length_C
        )
        self._real_G1 = torch.zeros(self._num_rows, 1)
        self._real_G1[self._row_T] = 1.0

    def rotation(self, head_size: int, theta: float) -> tuple[Tensor, Tensor]:
        """Give (T, 1, 1, D/2) cosines and sines of each token's place in its chunk."""
        parts = [_rotation(length, head_size, theta) for length in self.lengths]
        cos = torch.cat([cos for cos, _ in parts])
        sin = torch.cat([sin for _, sin in parts])
        return cos[:, None, None], sin[:, None, None]

    def spread(self, x_TE: Tensor) -> Tensor:
        """Put GAP rows of zeros before, between and after the chunks: (G, E)."""
        zeros = x_TE.new_zeros(GAP, x_TE.shape[1])
        parts = [zeros]
        for x_LE in x_TE.split(self.lengths):
            parts += [x_LE, zeros]
        return torch.cat(parts)

    def mask_gaps(self, x_GE: Tensor) -> Tensor:
        """Set the gap rows to zero."""
        return x_GE * self._real_G1

    def gather(self, x_GE: Tensor) -> Tensor:
        """Take the tokens' rows back out: (T, E)."""
        return x_GE[self._row_T]


def encode_packed(
    encoder: Encoder, config: StudentConfig, ids_T: Tensor, packing: Packing
) -> Tensor:
    """Give the encoder's last hidden state of every token.

    Args:
        encoder: the modules that hold the weights.
        config: its sizes.
        ids_T: (T,) token ids.
        packing: where the chunks lie.

    Returns:
        (T, E) hidden states, each chunk's as if it were alone.

    Source: ModernBERT, Warner et al. 2024; packing without cross-attention: ours.
    """
    num_tokens, heads = ids_T.shape[0], config.num_heads
    size = config.hidden_size // heads
    rotations = (
        packing.rotation(size, FULL_THETA),
        packing.rotation(size, SLIDING_THETA),
    )
    x_TE = encoder.embeddings.norm(encoder.embeddings.tok_embeddings(ids_T))
    for number, layer in enumerate(encoder.layers):
        sliding = number % config.global_every != 0
        qkv = layer.attn.Wqkv(layer.attn_norm(x_TE)).view(num_tokens, 3, heads, size)
        qk_T2HD = _Rotate.apply(qkv[:, :2], *rotations[sliding])
        window = config.local_attention // 2 if sliding else None
        mixed_TE = _attend(qk_T2HD, qkv[:, 2], packing.lengths, window)
        x_TE = x_TE + layer.attn.Wo(mixed_TE)
        value, gate = layer.mlp.Wi(layer.mlp_norm(x_TE)).chunk(2, dim=-1)
        x_TE = x_TE + layer.mlp.Wo(functional.gelu(value) * gate)
    hidden: Tensor = encoder.final_norm(x_TE)
    return hidden


def convolve_rows(x_GE: Tensor, conv: Any) -> Tensor:
    """Apply a Conv1d with zero padding along the rows of x: (G, channels).

    One matrix product a tap on shifted views beats torch's Conv1d on a CPU, which
    plans anew for each length.
    """
    taps = conv.weight.shape[2]
    side = taps // 2
    num_rows = x_GE.shape[0]
    padded = functional.pad(x_GE, (0, 0, side, side))
    out: Tensor = conv.bias.expand(num_rows, -1)
    for tap in range(taps):
        out = torch.addmm(out, padded[tap : tap + num_rows], conv.weight[:, :, tap].T)
    return out


def _attend(
    qk_T2HD: Tensor, v_THD: Tensor, lengths: list[int], window: int | None
) -> Tensor:
    """Attend within each chunk, `window` tokens to either side if it slides."""
    mixed = []
    for qk_L2HD, v_LHD in zip(
        qk_T2HD.split(lengths), v_THD.split(lengths), strict=True
    ):
        length = v_LHD.shape[0]
        mask = None
        if window is not None and length > window + 1:
            mask = _band(length, window)
        q_LHD, k_LHD = qk_L2HD.unbind(1)
        out = functional.scaled_dot_product_attention(
            q_LHD.transpose(0, 1)[None],
            k_LHD.transpose(0, 1)[None],
            v_LHD.transpose(0, 1)[None],
            attn_mask=mask,
        )
        mixed.append(out[0].transpose(0, 1).reshape(length, -1))
    return torch.cat(mixed)


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


def _rotation(length: int, head_size: int, theta: float) -> tuple[Tensor, Tensor]:
    cos, sin = _rotation_table(_round_up(length), head_size, theta)
    return cos[:length], sin[:length]


def _band(length: int, window: int) -> Tensor:
    return _band_table(_round_up(length), window)[:length, :length]


def _round_up(length: int) -> int:
    """Few table sizes serve all lengths."""
    return max(512, 1 << (length - 1).bit_length())


@lru_cache(maxsize=16)
def _rotation_table(length: int, head_size: int, theta: float) -> tuple[Tensor, Tensor]:
    # Tables made while scoring must serve training too.
    with torch.inference_mode(mode=False):
        inverse = 1.0 / theta ** (torch.arange(0, head_size, 2).float() / head_size)
        angle_LD = torch.arange(length).float()[:, None] * inverse
        return angle_LD.cos(), angle_LD.sin()


@lru_cache(maxsize=16)
def _band_table(length: int, window: int) -> Tensor:
    with torch.inference_mode(mode=False):
        place_L = torch.arange(length)
        far_LL = (place_L[:, None] - place_L).abs() > window
        return torch.zeros(length, length).masked_fill(far_LL, -torch.inf)
