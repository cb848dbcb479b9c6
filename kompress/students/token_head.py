"""The single-head ModernBERT: every token by itself, no span head.

State-dict keys are the dual head's without `span_conv.*`; the deployed client, which
asks for both heads, does not load it.

R = rows of a packing
"""

from torch import Tensor, nn

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
from kompress.students.packed import Packing, Trunk, encode_packed


class TokenHead(nn.Module):
    """Score every token once: P(keep) by itself.

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
        self.quality_head = make_quality_head(config)

    def forward(self, inputs: Tensor | Trunk, packing: Packing) -> HeadLogits:
        """Give the heads' log-odds of keep for packed chunks.

        Args:
            inputs: (R,) token ids as `packing.spread` lays them, or what a frozen
                trunk made of them.
            packing: where the chunks lie.

        Returns:
            The token head's log-odds, no span head's, and the chunks' quality if the
            config asks for it.

        Source: LLMLingua-2 (Pan et al. 2024), section 4.1, on ModernBERT.
        """
        hidden_RE = encode_packed(self.encoder, self.config, inputs, packing)
        return HeadLogits(
            keep_R=keep_logits(self.token_dropout(hidden_RE), self.token_head),
            span_R=None,
            quality_C=quality(hidden_RE, self.quality_head, packing),
        )
