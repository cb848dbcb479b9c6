"""How weights move: torch's AdamW, and its learning rate over a training."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import AdamW

from kompress.config import RecipeConfig

BETAS = (0.9, 0.98)  # the second forgets in 50 steps: trainings here take hundreds
EPSILON = 1e-8


def make_optimizer(
    parameters: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float
) -> AdamW:
    """Build AdamW over what may move; vectors and embeddings do not decay.

    Weights and moments are float32 whatever the products are computed in. The caller
    sets the rate of each step (`set_rate`).

    Args:
        parameters: (name, parameter) pairs; frozen ones are left out.
        weight_decay: of matrices, decoupled from the gradient.

    Source: Loshchilov & Hutter 2019, algorithm 2.
    """
    decayed: list[tuple[str, nn.Parameter]] = []
    level: list[tuple[str, nn.Parameter]] = []
    for name, weight in parameters:
        if weight.requires_grad:
            is_matrix = weight.dim() > 1 and "embeddings" not in name
            (decayed if is_matrix else level).append((name, weight))
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": level, "weight_decay": 0.0},
    ]
    # A group without parameters has no names, which torch refuses beside one that has.
    filled = [group for group in groups if group["params"]]
    return AdamW(filled, betas=BETAS, eps=EPSILON, fused=True)


def set_rate(optimizer: AdamW, learning_rate: float) -> None:
    """Set the learning rate of the next step for every parameter."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def rate_share(step: int, num_steps: int, recipe: RecipeConfig) -> float:
    """Give a step's share of the learning rate.

    Args:
        step: from 0.
        num_steps: of the whole training.
        recipe: the share of all steps over which the rate rises linearly, and how it
            goes on: half a cosine or a line down to nothing, or level.

    Returns:
        A share in [0, 1].

    Source: Loshchilov & Hutter 2017 (cosine, no restarts).
    """
    warmup = round(recipe.warmup_share * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, num_steps - warmup)
    if recipe.schedule == "constant":
        return 1.0
    if recipe.schedule == "linear":
        return 1.0 - done
    return 0.5 * (1 + math.cos(math.pi * done))
