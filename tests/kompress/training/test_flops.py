import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import SIZES, FineTuningConfig, StudentConfig
from kompress.training.flops import (
    count_flops,
    count_training_flops,
    find_peak_flops,
)


def per_token(length):
    """ModernBERT-base by hand: see count_flops for where each number comes from."""
    return 2 * 110.297088e6 + 3072 * (8 * length + 14 * min(length, 129)) + 1.970688e6


@pytest.mark.parametrize("length", [10, 129, 512])
def test_base_costs_what_the_formula_says(length):
    counted = count_flops(SIZES["base"], np.array([length, length]))

    assert counted == pytest.approx(2 * length * per_token(length), rel=1e-9)


def test_512_tokens_cost_241_million_each():
    # The published count of the dense part, attention and heads at 512 tokens.
    assert per_token(512) == pytest.approx(241e6, rel=2e-3)


def test_what_does_not_move_costs_less():
    config, lengths = StudentConfig(), np.array([100, 50])
    whole = count_flops(config, lengths)
    heads = count_flops(config, lengths, num_layers=0)
    trunk = count_flops(config, lengths, num_layers=3, heads=False)

    def step(method, num_frozen=0, **changes):
        method = FineTuningConfig(method=method, **changes)
        return count_training_flops(config, method, lengths, num_frozen=num_frozen)

    assert step("full") == pytest.approx(3 * whole)
    assert step("heads", config.num_layers) == pytest.approx(3 * heads)
    assert step("last_layers", 3) == pytest.approx(3 * (whole - trunk))
    # Rank 2 on Wqkv, 128 in and 384 out: 2·2·512 a token and layer, thrice.
    adapters = 3 * 2 * 2 * 512 * 4 * 150
    adapted = step("lora", lora_rank=2, lora_modules=("Wqkv",))
    assert adapted == pytest.approx(2 * (whole - heads) + 3 * heads + adapters)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=5))
def test_chunks_cost_the_sum_of_each_alone(lengths):
    config = StudentConfig()
    alone = sum(count_flops(config, np.array([length])) for length in lengths)

    assert count_flops(config, np.array(lengths)) == pytest.approx(alone)


def test_a_cpus_peak_is_measured_and_an_unknown_devices_is_zero():
    assert find_peak_flops(torch.device("cpu"), torch.float32, 1) > 1e8
    assert find_peak_flops(torch.device("meta"), torch.float32, 1) == 0
