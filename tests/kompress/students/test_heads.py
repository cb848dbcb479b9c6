import numpy as np
import pytest
import torch
from torch import nn

from kompress.config import StudentConfig
from kompress.errors import InvalidConfig
from kompress.students.heads import (
    check_width,
    keep_logits,
    make_quality_head,
    quality,
)
from kompress.students.packed import Packing


def test_log_odds_are_those_of_the_softmax_over_both_logits():
    head = nn.Linear(3, 2)
    hidden_RE = torch.tensor([[0.3, -2.0, 1.0], [5.0, 0.1, 0.2]])

    p_R = keep_logits(hidden_RE, head).sigmoid()

    assert torch.allclose(p_R, head(hidden_RE).softmax(dim=1)[:, 1])


def test_a_chunks_quality_is_its_heads_value_at_the_mean_of_its_own_tokens():
    config = StudentConfig(local_attention=8, hidden_size=8, quality_head=True)
    packing = Packing([1, 3], config)
    head = make_quality_head(config)
    with torch.no_grad():
        head.weight[:] = torch.eye(8)[:1]  # reads the first number alone
        head.bias[:] = 10.0
    hidden_RE = torch.full((packing.num_rows, 8), 1e6)  # on filling rows
    hidden_RE[packing.row_T, 0] = torch.tensor([5.0, 1.0, 2.0, 6.0])

    quality_C = quality(hidden_RE, head, packing)

    # 10 + 5 / 1, 10 + (1 + 2 + 6) / 3
    assert quality_C.tolist() == [15.0, 13.0]


def test_filling_rows_give_quality_no_gradient():
    config = StudentConfig(local_attention=8, hidden_size=8, quality_head=True)
    packing = Packing([2, 5, 9], config)
    hidden_RE = torch.ones(packing.num_rows, 8, requires_grad=True)

    quality(hidden_RE, make_quality_head(config), packing).sum().backward()

    touched = np.flatnonzero(hidden_RE.grad.abs().sum(dim=1).numpy())
    assert touched.tolist() == packing.row_T.tolist()


def test_no_quality_head_gives_no_quality():
    config = StudentConfig()

    assert make_quality_head(config) is None
    assert quality(torch.ones(64, 128), None, Packing([5], config)) is None


def test_a_width_that_the_heads_do_not_divide_is_refused():
    check_width(StudentConfig(hidden_size=32, num_heads=4))
    with pytest.raises(InvalidConfig, match="hidden_size 30 with 4 heads"):
        check_width(StudentConfig(hidden_size=30, num_heads=4))
