"""The dual-head ModernBERT: one head scores tokens, one scores spans.

State-dict keys are those of the deployed client: `encoder.*` as transformers names
ModernBERT, `token_head.*`, `span_conv.0.*` and `span_conv.2.*`; a quality head, which
the client does not know, is `quality_head.*`.

R = rows of a packing, E = hidden size
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from kompress.config import StudentConfig
from kompress.students.encoder import Encoder
from kompress.students.heads import (
    TOKEN_DROPOUT,
    HeadLogits,
    check_width,
    keep_logits,
    make_quality_head,
    quality,
)
from kompress.students.packed import Packing, Trunk, convolve_rows, encode_packed
from kompress.students.token_head import TokenHead


class DualHead(nn.Module):
    """Score every token twice: P(keep) by itself, and by the span around it.

    Attributes:
        config: the sizes.
    """

    def __init__(self, config: StudentConfig) -> None:
        """Build with random weights from torch's global generator.

        Raises:
            InvalidConfig: hidden_size is no multiple of 2 * num_heads.
        """
        super().__init__()
        check_width(config)
        self.config = config
        self.encoder = Encoder(config)
        self.token_dropout = nn.Dropout(TOKEN_DROPOUT)
        self.token_head = nn.Linear(config.hidden_size, 2)
        self.span_conv = nn.Sequential(
            nn.Conv1d(config.hidden_size, config.span_channels, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(config.span_channels, 1, 3, padding=1),
            nn.Sigmoid(),
        )
        self.quality_head = make_quality_head(config)

    def forward(self, inputs: Tensor | Trunk, packing: Packing) -> HeadLogits:
        """Give both heads' log-odds of keep for packed chunks.

        Each chunk gets what it would get alone: attention and convolution stop at its
        borders.

        Args:
            inputs: (R,) token ids as `packing.spread` lays them, or what a frozen
                trunk made of them.
            packing: where the chunks lie.

        Returns:
            Both heads' log-odds, and the chunks' quality if the config asks for it.

        Source: headroom 0.42.0's model; packing: ours.
        """
        hidden_RE = encode_packed(self.encoder, self.config, inputs, packing)
        first, second = self.span_conv[0], self.span_conv[2]
        inner_RE = functional.gelu(convolve_rows(hidden_RE, first, packing))
        span_R = convolve_rows(inner_RE, second, packing).squeeze(1)
        return HeadLogits(
            keep_R=keep_logits(self.token_dropout(hidden_RE), self.token_head),
            span_R=span_R,
            quality_C=quality(hidden_RE, self.quality_head, packing),
        )


STUDENTS: dict[str, Callable[[StudentConfig], DualHead | TokenHead]] = {
    "dual_head": DualHead,
    "token_head": TokenHead,
}
