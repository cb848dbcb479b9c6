"""What a student's heads are trained on, and the loss on texts that are not.

T = tokens of a batch, C = chunks
"""

import torch
from torch import Tensor
from torch.nn import functional

from kompress.config import RecipeConfig
from kompress.students.model import StudentModel
from kompress.training.inputs import Rows, TrunkCache, group_passes, lay_rows
from kompress.training.precision import autocast
from kompress.training.texts import Prepared


def batch_loss(
    model: StudentModel, rows: Rows, recipe: RecipeConfig, dtype: torch.dtype
) -> Tensor:
    """Give the recipe's loss of one batch, all its parts added up: a scalar."""
    with autocast(rows.target_R.device, dtype):
        heads = model(rows.inputs, rows.packing)
    loss = weighted_loss(
        heads.keep_R.float(),
        None if heads.span_R is None else heads.span_R.float(),
        rows.target_R,
        rows.weight_R,
        recipe.span_weight,
    )
    if recipe.quality_weight and heads.quality_C is not None:
        quality = quality_loss(
            heads.quality_C.float(), rows.quality_C, rows.precision_C
        )
        loss = loss + recipe.quality_weight * quality
    return loss


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
        span_T: (T,) the span head's; None leaves its part out.
        target_T: (T,) P(keep), hard or soft.
        weight_T: (T,) weights, 0 for special tokens.
        span_weight: the second part's share.

    Returns:
        A scalar; 0 if every weight is 0.

    Source: the published line's weighted CE + 0.3·BCE; normalised by the weights and
    with soft targets: ours.
    """
    total = weight_T.sum().clamp_min(1e-12)
    loss = functional.binary_cross_entropy_with_logits(
        keep_T, target_T, weight_T, reduction="sum"
    )
    if span_T is not None:
        span = functional.binary_cross_entropy_with_logits(
            span_T, target_T, weight_T, reduction="sum"
        )
        loss = loss + span_weight * span
    return loss / total


def quality_loss(quality_C: Tensor, target_C: Tensor, precision_C: Tensor) -> Tensor:
    """Squared error of the quality head, by how sure each document's quality is.

    loss = Σ (q - t)²/se² / Σ 1/se²

    Args:
        quality_C: (C,) what the head says of each chunk.
        target_C: (C,) the quality of the chunk's document.
        precision_C: (C,) 1/se² of it, 0 for documents without one.

    Returns:
        A scalar; 0 if no chunk has a quality.

    Source: inverse-variance weights, Cochran 1937; one head over chunks: ours.
    """
    total = precision_C.sum().clamp_min(1e-12)
    return (precision_C * (quality_C - target_C).square()).sum() / total


def measure(
    model: StudentModel,
    data: Prepared | None,
    cache: TrunkCache | None,
    recipe: RecipeConfig,
    dtype: torch.dtype,
) -> float | None:
    """Give the loss without dropout, each token by its weight over all texts.

    Args:
        model: left in training mode.
        data: the held-out texts.
        cache: a frozen trunk's activations over them.
        recipe: the loss's parts.
        dtype: the precision of products.

    Returns:
        The mean over passes of about 4,096 tokens, weighted by their tokens' weights;
        None without texts.
    """
    if data is None:
        return None
    losses, weights = [], []
    model.eval()
    with torch.inference_mode():
        for chunks in group_passes(data.chunks.num_tokens_C):
            rows = lay_rows(model, data, chunks, cache)
            losses.append(batch_loss(model, rows, recipe, dtype))
            weights.append(rows.weight_R.sum())
        loss, weight = torch.stack(losses).double(), torch.stack(weights).double()
        mean = float((loss * weight).sum() / weight.sum())
    model.train()
    return mean
