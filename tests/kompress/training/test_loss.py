import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.training.loss import quality_loss, weighted_loss


def test_the_loss_is_the_weighted_mean_of_both_heads():
    # Log-odds 0 cost log 2; log 3 means P = 3/4, against target 1/2 it costs
    # -(log(3/4) + log(1/4)) / 2. Weights 1 and 3, the special token 0; spans all even.
    keep_T = torch.tensor([0.0, math.log(3), 9.0])
    span_T = torch.zeros(3)
    target_T = torch.tensor([1.0, 0.5, 0.0])
    weight_T = torch.tensor([1.0, 3.0, 0.0])

    loss = weighted_loss(keep_T, span_T, target_T, weight_T, 0.3)

    token = (math.log(2) - 3 * (math.log(3 / 4) + math.log(1 / 4)) / 2) / 4
    assert float(loss) == pytest.approx(token + 0.3 * math.log(2))


def test_no_weight_at_all_costs_nothing():
    zeros = torch.zeros(4)

    assert float(weighted_loss(zeros, zeros, zeros, zeros, 0.3)) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(0, 1)), min_size=1, max_size=9),
    st.floats(0.01, 100),
)
def test_scaling_all_weights_changes_nothing(tokens, factor):
    keep_T, target_T = torch.tensor(tokens, dtype=torch.float64).T
    weight_T = torch.ones_like(keep_T)

    plain = weighted_loss(keep_T, -keep_T, target_T, weight_T, 0.3)
    scaled = weighted_loss(keep_T, -keep_T, target_T, weight_T * factor, 0.3)

    assert float(scaled) == pytest.approx(float(plain), rel=1e-9)


def test_without_a_span_head_its_part_is_left_out():
    zeros = torch.zeros(3)

    loss = weighted_loss(zeros, None, zeros, torch.ones(3), 0.3)

    assert float(loss) == pytest.approx(math.log(2))


def test_an_unsure_quality_counts_by_its_inverse_variance():
    # Errors 1 and 3 with se 1/2 and 1: (4·1 + 1·9) / (4 + 1); the third has no quality.
    quality_C = torch.tensor([1.0, 3.0, 99.0])
    precision_C = torch.tensor([4.0, 1.0, 0.0])

    assert float(quality_loss(quality_C, torch.zeros(3), precision_C)) == pytest.approx(
        2.6
    )
    assert float(quality_loss(quality_C, torch.zeros(3), torch.zeros(3))) == 0
