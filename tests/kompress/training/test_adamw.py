import copy

import torch
from torch import nn

from kompress.training.adamw import BETAS, EPSILON, AdamW


def fused(weight, state, rate, weight_decay):
    """One step of torch's kernel, without the optimiser class and its imports."""
    first, second, step = state
    step += 1
    torch._fused_adamw_(
        [weight],
        [weight.grad],
        [first],
        [second],
        [],
        [step],
        lr=rate,
        beta1=BETAS[0],
        beta2=BETAS[1],
        weight_decay=weight_decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


def test_twenty_steps_end_where_torchs_adamw_ends():
    torch.manual_seed(0)
    model = nn.Linear(5, 4)
    twin = copy.deepcopy(model)
    ours = AdamW(model.named_parameters(), weight_decay=0.1)
    pairs = [
        (weight, [torch.zeros_like(weight), torch.zeros_like(weight), torch.zeros(())])
        for weight in twin.parameters()
    ]

    for number in range(20):
        rate = 0.1 / (number + 1)
        x = torch.randn(3, 5)
        for network in (model, twin):
            network.zero_grad()
            network(x).square().sum().backward()
        ours.step(rate)
        with torch.no_grad():
            for weight, state in pairs:
                fused(weight, state, rate, 0.1 if weight.dim() > 1 else 0.0)

    assert torch.allclose(model.weight, twin.weight, atol=1e-6)
    assert torch.allclose(model.bias, twin.bias, atol=1e-6)


def test_embeddings_do_not_decay_and_frozen_weights_stay():
    table = nn.Embedding(4, 2)
    frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)
    pairs = [("encoder.embeddings.weight", table.weight), ("frozen", frozen)]
    optimizer = AdamW(pairs, weight_decay=0.9)
    before = table.weight.detach().clone()
    table(torch.tensor([1])).sum().backward()

    optimizer.step(0.1)

    # Adam's first step is the rate in the gradient's direction, whatever its size.
    assert torch.allclose(table.weight[1], before[1] - 0.1)
    assert torch.equal(table.weight[[0, 2, 3]], before[[0, 2, 3]])
    assert torch.equal(frozen, torch.ones(2, 2))


def test_a_skipped_step_moves_neither_weights_nor_moments():
    model = nn.Linear(2, 2)
    optimizer = AdamW(model.named_parameters(), weight_decay=0.5)
    before = copy.deepcopy(model.state_dict())
    model.weight.grad = torch.full((2, 2), torch.nan)

    optimizer.step(0.1, skip=torch.ones(()))

    assert torch.equal(model.weight, before["weight"])
    assert not optimizer.moments["weight"].second.any()
