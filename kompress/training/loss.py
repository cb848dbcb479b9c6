"""What a student's two heads are trained on.

T = tokens of a batch
"""

from torch import Tensor
from torch.nn import functional


def weighted_loss(
    keep_T: Tensor,
    span_T: Tensor | None,
    target_T: Tensor,
    weight_T: Tensor,
    span_weight: float,
) -> Tensor:
    """Weighted cross-entropy of the token head plus that of the span head.

    loss = Σ w·CE(p, t) / Σ w + span_weight · Σ w·BCE(s, t) / Σ w

    Args:
        keep_T: (T,) the token head's log-odds of keep.
        span_T: (T,) the span head's; None leaves the second part out.
        target_T: (T,) P(keep), hard or soft.
        weight_T: (T,) weights, 0 for special tokens.
        span_weight: the second part's share.

    Returns:
        A scalar; 0 if every weight is 0.

    Source: the published line's weighted CE + 0.3·BCE; normalised by the weights and
    with soft targets: ours.
    """
    total = weight_T.sum().clamp_min(1e-12)
    token = functional.binary_cross_entropy_with_logits(
        keep_T, target_T, weight_T, reduction="sum"
    )
    if span_T is None:
        return token / total
    span = functional.binary_cross_entropy_with_logits(
        span_T, target_T, weight_T, reduction="sum"
    )
    return (token + span_weight * span) / total
