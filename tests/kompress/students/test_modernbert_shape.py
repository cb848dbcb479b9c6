import pytest
import torch

from kompress.config import SIZES
from kompress.errors import InvalidConfig
from kompress.students.encoder import Encoder
from kompress.students.modernbert_shape import PREFIX, ModernBertShape

DEMO = ModernBertShape.of(SIZES["demo"].model_dump())


@pytest.mark.parametrize("size", ["demo", "base", "large"])
def test_the_names_and_shapes_are_those_of_the_torch_encoders_weights(size):
    shape = ModernBertShape.of(SIZES[size].model_dump())
    with torch.device("meta"):
        state = Encoder(shape).state_dict()

    found = {PREFIX + key: tuple(value.shape) for key, value in state.items()}
    assert shape.weights == found


def test_every_third_layer_from_the_first_is_global():
    plan = DEMO.layers

    assert [layer.is_global for layer in plan] == [True, False, False, True]
    assert [layer.theta for layer in plan] == [160_000.0, 10_000.0, 10_000.0, 160_000.0]
    assert [layer.attn_norm for layer in plan][:2] == [
        None,
        "encoder.layers.1.attn_norm.weight",
    ]


@pytest.mark.parametrize(("seen", "side"), [(128, 64), (9, 4), (1, 1)])
def test_a_window_is_half_of_what_a_local_layer_sees(seen, side):
    sizes = SIZES["demo"].model_dump() | {"local_attention": seen}

    assert ModernBertShape.of(sizes).window == side


def test_a_width_that_the_heads_do_not_divide_is_refused():
    sizes = SIZES["demo"].model_dump() | {"num_heads": 4}

    assert ModernBertShape.of(sizes | {"hidden_size": 32}).head_size == 8
    with pytest.raises(InvalidConfig, match="hidden_size 30 with 4 heads"):
        ModernBertShape.of(sizes | {"hidden_size": 30})
