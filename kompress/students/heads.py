"""What every student's forward gives, and the parts that its variants share.

R = rows of a packing, C = chunks, E = hidden size
"""

from typing import NamedTuple

from torch import Tensor, nn

from kompress.config import StudentConfig
from kompress.errors import InvalidConfig
from kompress.students.packed import Packing

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


def check_width(config: StudentConfig) -> None:
    """Refuse a width that rotary attention heads cannot share.

    Raises:
        InvalidConfig: hidden_size is no multiple of 2 * num_heads.
    """
    if config.hidden_size % (2 * config.num_heads):
        raise InvalidConfig(
            f"hidden_size {config.hidden_size} with {config.num_heads} heads; "
            "expected a multiple of twice the number of heads"
        )


def keep_logits(hidden_RE: Tensor, head: nn.Linear) -> Tensor:
    """Give (R,) log-odds of keep from a head of two logits, index 1 = keep."""
    # Two logits decide one probability: their difference is its log-odds.
    weight, bias = head.weight, head.bias
    return hidden_RE @ (weight[1] - weight[0]) + (bias[1] - bias[0])


def make_quality_head(config: StudentConfig) -> nn.Linear | None:
    """Build the head that regresses quality, None where the config has none."""
    return nn.Linear(config.hidden_size, 1) if config.quality_head else None


def quality(
    hidden_RE: Tensor, head: nn.Linear | None, packing: Packing
) -> Tensor | None:
    """Score each chunk's quality from the mean of its tokens' hidden states.

    Returns:
        (C,) any real numbers; None without a head.

    Source: ours; the weights are those of pairwise teaching.
    """
    if head is None:
        return None
    mean_CE = packing.average(hidden_RE)
    out: Tensor = head(mean_CE.to(head.weight.dtype)).squeeze(1)
    return out
