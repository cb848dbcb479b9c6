"""ModernBERT's encoder in torch: as few modules as carry its weights.

The state dict has the keys of transformers' `ModernBertModel`, and the packed forward
gives its numbers on each chunk alone (tests compare both). Ours, because importing
transformers' model costs every process 8 seconds and 200 MB, and because it has no
forward that keeps chunks apart without padding.

R = rows of a packing, H = heads, D = head size, E = hidden size
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kompress.students.modernbert_shape import NORM_EPS, ModernBertShape
from kompress.students.packing import Packing

# ModernBERT starts its weights at 0.02 for a width of 768, cut at two deviations; a
# narrower encoder starts wider, as 1/sqrt(width) asks.
INIT_STD_768 = 0.02
INIT_CUTOFF = 2.0


class Trunk(NamedTuple):
    """What layers that never change made of a batch, in place of its token ids.

    Attributes:
        x_RE: (R, E) the residual stream after them.
        num_layers: how many of the first layers they are.
    """

    x_RE: Tensor
    num_layers: int


class Encoder(nn.Module):
    """Embeddings, layers and the last norm.

    Attributes:
        shape: the sizes.
    """

    def __init__(self, shape: ModernBertShape) -> None:
        """Build with random weights from torch's global generator."""
        super().__init__()
        width = shape.hidden_size
        self.shape = shape
        self.embeddings = _Embeddings(shape.vocab_size, width)
        self.layers = nn.ModuleList(
            [
                _Layer(width, shape.intermediate_size, normed=plan.attn_norm is None)
                for plan in shape.layers
            ]
        )
        self.final_norm = _norm(width)
        self._start()

    def forward(self, inputs: Tensor | Trunk, packing: Packing) -> Tensor:
        """Give the last hidden state of every row.

        Args:
            inputs: (R,) token ids, anything on filling rows; or what the first layers
                made of them.
            packing: where the chunks lie.

        Returns:
            (R, E) hidden states, each chunk's as if it were alone; finite on filling
            rows.

        Source: ModernBERT, Warner et al. 2024; packing in blocks: ours.
        """
        if not isinstance(inputs, Trunk):
            inputs = self.run_trunk(inputs, packing, num_layers=0)
        x_RE = self._run_layers(inputs, packing, self.shape.num_layers)
        hidden: Tensor = self.final_norm(x_RE)
        return hidden

    def run_trunk(self, ids_R: Tensor, packing: Packing, *, num_layers: int) -> Trunk:
        """Run the embeddings and the first layers."""
        x_RE = self.embeddings.norm(self.embeddings.tok_embeddings(ids_R))
        x_RE = self._run_layers(Trunk(x_RE, 0), packing, num_layers)
        return Trunk(x_RE, num_layers)

    def _run_layers(self, trunk: Trunk, packing: Packing, last: int) -> Tensor:
        """Run the layers after the trunk's up to the `last`, not included: (R, E)."""
        x_RE, first = trunk
        heads, size = self.shape.num_heads, self.shape.head_size
        plans = self.shape.layers[first:last]
        # One mask and one rotation serve all layers of a kind.
        kinds = {
            is_global: (
                packing.rotation(size, theta),
                packing.attend(is_global=is_global),
            )
            for is_global, theta in {(plan.is_global, plan.theta) for plan in plans}
        }
        layers: list[Any] = list(self.layers)[first:last]  # ModuleList forgets types
        for layer, plan in zip(layers, plans, strict=True):
            (cos, sin), attend = kinds[plan.is_global]
            qkv = layer.attn.Wqkv(layer.attn_norm(x_RE)).view(-1, 3, heads, size)
            qk_R2HD = _Rotate.apply(qkv[:, :2], cos, sin)  # type: ignore[no-untyped-call]  # torch's
            q_RHD, k_RHD = qk_R2HD.unbind(1)
            x_RE = x_RE + layer.attn.Wo(attend(q_RHD, k_RHD, qkv[:, 2]))
            value, gate = layer.mlp.Wi(layer.mlp_norm(x_RE)).chunk(2, dim=-1)
            x_RE = x_RE + layer.mlp.Wo(functional.gelu(value) * gate)
        return x_RE

    @torch.no_grad()
    def _start(self) -> None:
        std = INIT_STD_768 * math.sqrt(768 / self.shape.hidden_size)
        # Every layer adds twice to the residual stream.
        out_std = std / math.sqrt(2 * self.shape.num_layers)
        _start_weight(self.embeddings.tok_embeddings.weight, std)
        layers: list[Any] = list(self.layers)
        for layer in layers:
            _start_weight(layer.attn.Wqkv.weight, std)
            _start_weight(layer.attn.Wo.weight, out_std)
            _start_weight(layer.mlp.Wi.weight, std)
            _start_weight(layer.mlp.Wo.weight, out_std)


class _Embeddings(nn.Module):
    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocab_size, width)
        self.norm = _norm(width)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.Wqkv = nn.Linear(width, 3 * width, bias=False)
        self.Wo = nn.Linear(width, width, bias=False)


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.Wi = nn.Linear(width, 2 * inner, bias=False)
        self.Wo = nn.Linear(inner, width, bias=False)


class _Layer(nn.Module):
    def __init__(self, width: int, inner: int, *, normed: bool) -> None:
        super().__init__()
        self.attn_norm = nn.Identity() if normed else _norm(width)
        self.attn = _Attention(width)
        self.mlp_norm = _norm(width)
        self.mlp = _Mlp(width, inner)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=NORM_EPS, bias=False)


def _start_weight(weight: Tensor, std: float) -> None:
    cut = INIT_CUTOFF * std
    nn.init.trunc_normal_(weight, mean=0.0, std=std, a=-cut, b=cut)


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
