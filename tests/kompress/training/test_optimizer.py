import copy

import pytest
import torch
from torch import nn

from kompress.config import RecipeConfig
from kompress.training.optimizer import (
    BETAS,
    EPSILON,
    make_optimizer,
    rate_share,
    set_rate,
)


def adamw(weight, gradient, moments, step, rate, weight_decay):
    """One step by hand, as algorithm 2 of the paper writes it."""
    first, second = moments
    first += (1 - BETAS[0]) * (gradient - first)
    second += (1 - BETAS[1]) * (gradient**2 - second)
    weight *= 1 - rate * weight_decay
    mean = first / (1 - BETAS[0] ** step)
    spread = (second / (1 - BETAS[1] ** step)).sqrt() + EPSILON
    weight -= rate * mean / spread


def test_twenty_steps_end_where_the_paper_ends():
    torch.manual_seed(0)
    model = nn.Linear(5, 4)
    twin = copy.deepcopy(model)
    optimizer = make_optimizer(model.named_parameters(), weight_decay=0.1)
    moments = [
        (torch.zeros_like(weight), torch.zeros_like(weight))
        for weight in twin.parameters()
    ]

    for number in range(20):
        rate = 0.1 / (number + 1)
        x = torch.randn(3, 5)
        for network in (model, twin):
            network.zero_grad()
            network(x).square().sum().backward()
        set_rate(optimizer, rate)
        optimizer.step()
        with torch.no_grad():
            for weight, own in zip(twin.parameters(), moments, strict=True):
                decay = 0.1 if weight.dim() > 1 else 0.0
                adamw(weight, weight.grad, own, number + 1, rate, decay)

    assert torch.allclose(model.weight, twin.weight, atol=1e-6)
    assert torch.allclose(model.bias, twin.bias, atol=1e-6)


def test_embeddings_do_not_decay_and_frozen_weights_stay():
    table = nn.Embedding(4, 2)
    frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)
    pairs = [("encoder.embeddings.weight", table.weight), ("frozen", frozen)]
    optimizer = make_optimizer(pairs, weight_decay=0.9)
    before = table.weight.detach().clone()
    table(torch.tensor([1])).sum().backward()

    set_rate(optimizer, 0.1)
    optimizer.step()

    # Adam's first step is the rate in the gradient's direction, whatever its size.
    assert torch.allclose(table.weight[1], before[1] - 0.1)
    assert torch.equal(table.weight[[0, 2, 3]], before[[0, 2, 3]])
    assert torch.equal(frozen, torch.ones(2, 2))


def shares(schedule, num_steps=10):
    recipe = RecipeConfig(schedule=schedule, warmup_share=0.2)
    return [rate_share(step, num_steps, recipe) for step in range(num_steps)]


@pytest.mark.parametrize(
    ("schedule", "fourth", "last"),
    [
        ("cosine", 0.5, 0.0380602337),  # (1 + cos(π·4/8))/2, (1 + cos(π·7/8))/2
        ("linear", 0.5, 0.125),
        ("constant", 1.0, 1.0),
    ],
)
def test_a_schedule_rises_for_two_steps_and_then_goes_its_way(schedule, fourth, last):
    found = shares(schedule)

    assert found[:3] == [0.5, 1.0, 1.0]
    assert found[6] == pytest.approx(fourth)
    assert found[9] == pytest.approx(last)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_a_training_of_one_step_takes_its_whole_rate(schedule):
    assert shares(schedule, 1) == [1.0]
