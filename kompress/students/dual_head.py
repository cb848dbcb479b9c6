"""The dual-head ModernBERT: one head scores tokens, one scores spans.

State-dict keys are those of the deployed client: `encoder.*` as transformers names
ModernBERT, `token_head.*`, `span_conv.0.*` and `span_conv.2.*`.

T = tokens, E = hidden size
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from kompress.config import StudentConfig
from kompress.errors import InvalidConfig
from kompress.students.encoder import Encoder
from kompress.students.packed import Packing, convolve_rows, encode_packed

TOKEN_DROPOUT = 0.1


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
        if config.hidden_size % (2 * config.num_heads):
            raise InvalidConfig(
                f"hidden_size {config.hidden_size} with {config.num_heads} heads; "
                "expected a multiple of twice the number of heads"
            )
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

    def forward(self, ids_T: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        """Give both heads' log-odds for chunks laid end to end, without padding.

        Each chunk gets what it would get alone: attention and convolution stop at its
        borders.

        Args:
            ids_T: (T,) token ids.
            packing: where the chunks lie.

        Returns:
            (T,) log-odds of keep by the token head, (T,) by the span head.

        Source: ours.
        """
        hidden_TE = encode_packed(self.encoder, self.config, ids_T, packing)
        # Two logits decide one probability: their difference is its log-odds.
        weight, bias = self.token_head.weight, self.token_head.bias
        keep_T = self.token_dropout(hidden_TE) @ (weight[1] - weight[0])
        keep_T = keep_T + (bias[1] - bias[0])
        first, second = self.span_conv[0], self.span_conv[2]
        inner = packing.mask_gaps(
            functional.gelu(convolve_rows(packing.spread(hidden_TE), first))
        )
        span_T = packing.gather(convolve_rows(inner, second)).squeeze(1)
        return keep_T, span_T


STUDENTS: dict[str, Callable[[StudentConfig], DualHead]] = {"dual_head": DualHead}
