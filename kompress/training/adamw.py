"""AdamW on torch's fused kernel, without torch's optimiser class.

The class imports its compiler at construction: 5 seconds and 80 MB for each process
that trains. The kernel alone does one pass over weights and moments on a CPU and on a
GPU, and leaves everything as it was where it is told that a gradient is no number.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.98)  # the second forgets in 50 steps: trainings here take hundreds
EPSILON = 1e-8


@dataclass(slots=True)
class Moments:
    """Running means of one parameter's gradient and of its square."""

    first: Tensor
    second: Tensor


class AdamW:
    """Adam with decoupled weight decay; vectors and embeddings do not decay.

    Weights and moments are float32 whatever the products are computed in.

    Attributes:
        moments: by parameter name, in the model's order; none for frozen weights.
        num_steps: steps done.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float
    ) -> None:
        """Start with empty moments for (name, parameter) pairs that may move."""
        self._parameters = {
            name: weight for name, weight in parameters if weight.requires_grad
        }
        self._weight_decay = weight_decay
        self.num_steps = 0
        self.moments = {
            name: Moments(torch.zeros_like(weight), torch.zeros_like(weight))
            for name, weight in self._parameters.items()
        }

    @torch.no_grad()
    def step(self, learning_rate: float, *, skip: Tensor | None = None) -> None:
        """Move every parameter that has a gradient.

        Args:
            learning_rate: of this step.
            skip: a float32 scalar on the parameters' device; 1 leaves every weight and
                moment as it is, which no host has to wait for.

        Source: Loshchilov & Hutter 2019, algorithm 2.
        """
        self.num_steps += 1
        moving = [name for name, w in self._parameters.items() if w.grad is not None]
        decayed = {
            name
            for name in moving
            if self._parameters[name].dim() > 1 and "embeddings" not in name
        }
        self._move([name for name in moving if name in decayed], learning_rate, skip)
        rest = [name for name in moving if name not in decayed]
        self._move(rest, learning_rate, skip, weight_decay=0.0)

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for weight in self._parameters.values():
            weight.grad = None

    def _move(
        self,
        names: list[str],
        learning_rate: float,
        skip: Tensor | None,
        *,
        weight_decay: float | None = None,
    ) -> None:
        if not names:
            return
        weights = [self._parameters[name] for name in names]
        gradients = [weight.grad for weight in weights]
        moments = [self.moments[name] for name in names]
        # One scalar serves all: the kernel reads it and does not write it.
        step = torch.full((), float(self.num_steps), device=weights[0].device)
        torch._fused_adamw_(  # the public door is the slow class
            weights,  # type: ignore[arg-type]  # parameters are tensors
            gradients,  # type: ignore[arg-type]  # none is None, see step
            [moment.first for moment in moments],
            [moment.second for moment in moments],
            [],
            [step] * len(names),
            lr=learning_rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=self._weight_decay if weight_decay is None else weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
            found_inf=skip,
        )
