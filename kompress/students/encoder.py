"""ModernBERT's encoder, as few modules as carry its weights.

The state dict has the keys of transformers' `ModernBertModel`, and the packed forward
gives its numbers (tests compare both). Ours, because importing transformers' model
costs every process 8 seconds and 200 MB, and because it has no forward that keeps
chunks apart without padding.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from kompress.config import StudentConfig

NORM_EPS = 1e-5
# ModernBERT starts its weights at 0.02 for a width of 768, cut at two deviations; a
# narrower encoder starts wider, as 1/sqrt(width) asks.
INIT_STD_768 = 0.02
INIT_CUTOFF = 2.0


class Encoder(nn.Module):
    """Embeddings, layers and the last norm; `packed.encode_packed` runs them."""

    def __init__(self, config: StudentConfig) -> None:
        """Build with random weights from torch's global generator."""
        super().__init__()
        width = config.hidden_size
        self.embeddings = _Embeddings(config.vocab_size, width)
        self.layers = nn.ModuleList(
            [
                _Layer(width, config.intermediate_size, first=number == 0)
                for number in range(config.num_layers)
            ]
        )
        self.final_norm = _norm(width)
        self._start(config)

    @torch.no_grad()
    def _start(self, config: StudentConfig) -> None:
        std = INIT_STD_768 * math.sqrt(768 / config.hidden_size)
        # Every layer adds twice to the residual stream.
        out_std = std / math.sqrt(2 * config.num_layers)
        _start_weight(self.embeddings.tok_embeddings.weight, std)
        layers: list[Any] = list(self.layers)  # ModuleList forgets types
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
    def __init__(self, width: int, inner: int, *, first: bool) -> None:
        super().__init__()
        # The embeddings are normed already, so the first layer has no norm of its own.
        self.attn_norm = nn.Identity() if first else _norm(width)
        self.attn = _Attention(width)
        self.mlp_norm = _norm(width)
        self.mlp = _Mlp(width, inner)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=NORM_EPS, bias=False)


def _start_weight(weight: Tensor, std: float) -> None:
    cut = INIT_CUTOFF * std
    nn.init.trunc_normal_(weight, mean=0.0, std=std, a=-cut, b=cut)
