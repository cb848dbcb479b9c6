"""The dual-head ModernBERT: one head scores tokens, one scores spans.

State-dict keys are those of the deployed client: `encoder.*` as transformers names
ModernBERT, `token_head.*`, `span_conv.0.*` and `span_conv.2.*`.

R = rows of a packing, E = hidden size
"""

from collections.abc import Callable

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

    def forward(self, ids_R: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
        """Give both heads' log-odds of keep for packed chunks.

        Each chunk gets what it would get alone: attention and convolution stop at its
        borders.

        Args:
            ids_R: (R,) token ids as `packing.spread` lays them.
            packing: where the chunks lie.

        Returns:
            (R,) log-odds by the token head, (R,) by the span head; numbers without a
            meaning on filling rows.

        Source: headroom 0.42.0's model; packing: ours.
        """
        hidden_RE = encode_packed(self.encoder, self.config, ids_R, packing)
        # Two logits decide one probability: their difference is its log-odds.
        weight, bias = self.token_head.weight, self.token_head.bias
        keep_R = self.token_dropout(hidden_RE) @ (weight[1] - weight[0])
        first, second = self.span_conv[0], self.span_conv[2]
        inner_RE = functional.gelu(convolve_rows(hidden_RE, first, packing))
        span_R = convolve_rows(inner_RE, second, packing).squeeze(1)
        return keep_R + (bias[1] - bias[0]), span_R


STUDENTS: dict[str, Callable[[StudentConfig], DualHead]] = {"dual_head": DualHead}
