"""A student in torch: an encoder under a token head, a span head and a quality head.

State-dict keys are those of the deployed client: `encoder.*` as transformers names
ModernBERT, `token_head.*`, `span_conv.0.*` and `span_conv.2.*`. The variant
`token_head` has no span head, so the client, which asks for both, does not load it. A
quality head, which the client does not know, is `quality_head.*`.

R = rows of a packing, C = chunks, E = hidden size
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kompress.config import StudentConfig
from kompress.students.encoder import Encoder, Trunk
from kompress.students.modernbert_shape import ModernBertShape
from kompress.students.packing import Packing, convolve_rows

HEADS = ("token_head", "span_conv", "quality_head")
TOKEN_DROPOUT = 0.1


class HeadLogits(NamedTuple):
    """What a student's heads say; numbers without a meaning on filling rows.

    Attributes:
        keep_R: (R,) log-odds of keep by the token head.
        span_R: (R,) log-odds of keep by the span head; None without one.
        quality_C: (C,) a chunk's quality on the scale that it was trained on; a
            document's is the mean over its chunks weighted by tokens. None without a
            quality head.
    """

    keep_R: Tensor
    span_R: Tensor | None
    quality_C: Tensor | None


class StudentModel(nn.Module):
    """Score every token: P(keep) by itself and, in a dual head, by the span around it.

    Attributes:
        config: the sizes.
    """

    def __init__(self, config: StudentConfig) -> None:
        """Build with random weights from torch's global generator.

        Raises:
            InvalidConfig: hidden_size is no multiple of 2 * num_heads.
        """
        super().__init__()
        width = config.hidden_size
        self.config = config
        self.encoder = Encoder(ModernBertShape.of(config.model_dump()))
        self.token_dropout = nn.Dropout(TOKEN_DROPOUT)
        self.token_head = nn.Linear(width, 2)
        has_span = config.variant == "dual_head"
        self.span_conv = _span_head(width, config.span_channels) if has_span else None
        self.quality_head = nn.Linear(width, 1) if config.quality_head else None

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.token_head.weight.device

    def pack(
        self,
        num_tokens: Sequence[int],
        *,
        attention: Literal["blocks", "masked"] | None = None,
    ) -> Packing:
        """Lay chunks of these many tokens end to end, on the model's device."""
        window = self.encoder.shape.window
        return Packing(num_tokens, window, device=self.device, attention=attention)

    def forward(self, inputs: Tensor | Trunk, packing: Packing) -> HeadLogits:
        """Give what the heads say of packed chunks.

        Each chunk gets what it would get alone: attention and convolution stop at its
        borders.

        Args:
            inputs: (R,) token ids as `packing.spread` lays them, or what a frozen
                trunk made of them.
            packing: where the chunks lie.

        Source: LLMLingua-2 (Pan et al. 2024), section 4.1, for the token head;
        headroom 0.42.0's model for both.
        """
        hidden_RE = self.encoder(inputs, packing)
        span_R = quality_C = None
        if self.span_conv is not None:
            first, second = self.span_conv[0], self.span_conv[2]
            inner_RE = functional.gelu(convolve_rows(hidden_RE, first, packing))
            span_R = convolve_rows(inner_RE, second, packing).squeeze(1)
        keep_R = keep_logits(self.token_dropout(hidden_RE), self.token_head)
        if self.quality_head is not None:
            quality_C = chunk_quality(hidden_RE, self.quality_head, packing)
        return HeadLogits(keep_R, span_R, quality_C)


def keep_logits(hidden_RE: Tensor, head: nn.Linear) -> Tensor:
    """Give (R,) log-odds of keep from a head of two logits, index 1 = keep."""
    # Two logits decide one probability: their difference is its log-odds.
    weight, bias = head.weight, head.bias
    return hidden_RE @ (weight[1] - weight[0]) + (bias[1] - bias[0])


def chunk_quality(hidden_RE: Tensor, head: nn.Linear, packing: Packing) -> Tensor:
    """Give (C,) each chunk's quality, from the mean of its tokens' hidden states."""
    mean_CE = packing.average(hidden_RE)
    quality_C: Tensor = head(mean_CE.to(head.weight.dtype)).squeeze(1)
    return quality_C


def _span_head(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(width, channels, 5, padding=2),
        nn.GELU(),
        nn.Conv1d(channels, 1, 3, padding=1),
        nn.Sigmoid(),
    )
