"""How the learning rate moves over a training."""

import math

from kompress.config import RecipeConfig


def rate_share(
    step: int,
    num_steps: int,
    recipe: RecipeConfig,
) -> float:
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
