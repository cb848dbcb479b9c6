"""AdamW, written out.

torch's own imports its compiler at construction: 5 seconds and 80 MB for each process
that trains. A test holds this one to torch's numbers.
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

    Attributes:
        moments: by parameter name, in the model's order.
        num_steps: steps done.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float
    ) -> None:
        """Start with empty moments for (name, parameter) pairs."""
        self._parameters = dict(parameters)
        self._weight_decay = weight_decay
        self.num_steps = 0
        self.moments = {
            name: Moments(torch.zeros_like(weight), torch.zeros_like(weight))
            for name, weight in self._parameters.items()
        }

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move every parameter that has a gradient.

        Source: Loshchilov & Hutter 2019, algorithm 2.
        """
        self.num_steps += 1
        first_share, second_share = (1 - beta**self.num_steps for beta in BETAS)
        for name, weight in self._parameters.items():
            if weight.grad is None:
                continue
            moments = self.moments[name]
            moments.first.lerp_(weight.grad, 1 - BETAS[0])
            moments.second.mul_(BETAS[1]).addcmul_(
                weight.grad, weight.grad, value=1 - BETAS[1]
            )
            if weight.dim() > 1 and "embeddings" not in name:
                weight.mul_(1 - learning_rate * self._weight_decay)
            scale = moments.second.div(second_share).sqrt_().add_(EPSILON)
            weight.addcdiv_(moments.first, scale, value=-learning_rate / first_share)

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for weight in self._parameters.values():
            weight.grad = None
