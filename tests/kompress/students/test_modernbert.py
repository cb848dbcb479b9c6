import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import SIZES
from kompress.errors import InvalidCheckpoint
from kompress.students.modernbert import (
    is_modernbert,
    sizes_from_config,
    sizes_from_shapes,
    student_config,
)

# answerdotai/ModernBERT-base's config.json, as far as it matters here.
BASE = {
    "model_type": "modernbert",
    "vocab_size": 50_368,
    "hidden_size": 768,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "intermediate_size": 1_152,
    "max_position_embeddings": 8_192,
    "local_attention": 128,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160_000.0,
    "local_rope_theta": 10_000.0,
    "hidden_activation": "gelu",
    "attention_bias": False,
    "mlp_bias": False,
    "norm_bias": False,
    "norm_eps": 1e-05,
    "attention_dropout": 0.0,
    "position_embedding_type": "absolute",
}
KINDS = ["sliding_attention", "full_attention"]


def test_the_published_config_gives_the_size_called_base():
    sizes = sizes_from_config(BASE, "here")

    assert is_modernbert(BASE)
    assert student_config({**sizes, "span_channels": 256}, "here") == SIZES["base"]


def test_a_config_that_is_silent_means_the_published_options():
    silent = {name: BASE[name] for name in BASE if "size" in name or "num_" in name}

    assert sizes_from_config(silent, "here") == sizes_from_config(BASE, "here")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_type", "bert"),
        ("hidden_activation", "silu"),
        ("norm_bias", True),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("norm_eps", 1e-6),
        ("global_rope_theta", 10_000.0),
        ("local_rope_theta", 160_000.0),
        ("rope_scaling", {"rope_type": "linear", "factor": 2.0}),
        ("local_attention", 1),
        ("hidden_size", "768"),
        ("num_attention_heads", None),
        ("global_attn_every_n_layers", 0),
        ("layer_types", ["sliding_attention"] * 22),
        ("layer_types", ["full_attention"] * 21),
    ],
)
def test_an_option_that_is_not_computed_is_refused_by_its_name(name, value):
    with pytest.raises(InvalidCheckpoint, match=rf"here: .*{name}"):
        sizes_from_config({**BASE, name: value}, "here")


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("full_attention", "rope_theta", 10_000.0),
        ("sliding_attention", "rope_theta", 160_000.0),
        ("sliding_attention", "rope_type", "yarn"),
        ("full_attention", "factor", 4.0),
        ("full_attention", "partial_rotary_factor", 0.5),
    ],
)
def test_other_rotary_positions_are_refused_by_kind_and_name(kind, option, value):
    ropes = {
        "full_attention": {"rope_type": "default", "rope_theta": 160_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    sizes_from_config({**BASE, "rope_parameters": ropes}, "here")
    ropes[kind][option] = value

    with pytest.raises(InvalidCheckpoint, match=rf"rope_parameters\.{kind}\.{option}"):
        sizes_from_config({**BASE, "rope_parameters": ropes}, "here")


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_layer_types_come_back_from_the_interval_found(num_layers, every):
    types = [KINDS[number % every == 0] for number in range(num_layers)]
    config = {**BASE, "num_hidden_layers": num_layers, "layer_types": types}

    found = sizes_from_config(config, "here")["global_every"]

    assert [KINDS[number % found == 0] for number in range(num_layers)] == types


def test_shapes_alone_give_the_sizes_of_base():
    shapes = {
        "embeddings.tok_embeddings.weight": (50_368, 768),
        "layers.0.mlp.Wi.weight": (2_304, 768),
        **{f"layers.{number}.attn.Wo.weight": (768, 768) for number in range(22)},
    }

    assert sizes_from_shapes(shapes, "here") == sizes_from_config(BASE, "here")


def test_shapes_that_leave_the_number_of_heads_open_ask_for_a_config():
    shapes = {
        "embeddings.tok_embeddings.weight": (320, 32),
        "layers.0.mlp.Wi.weight": (96, 32),
    }

    with pytest.raises(InvalidCheckpoint, match=r"32 is no multiple of 64.*config"):
        sizes_from_shapes(shapes, "here")
    with pytest.raises(InvalidCheckpoint, match=r"mlp\.Wi\.weight \(\)"):
        sizes_from_shapes(dict(list(shapes.items())[:1]), "here")


def test_a_size_out_of_range_is_a_checkpoints_mistake():
    with pytest.raises(InvalidCheckpoint, match="here: vocab_size"):
        student_config({"vocab_size": 250_000}, "here")
    with pytest.raises(InvalidCheckpoint, match="here: variant"):
        student_config({"variant": "three_heads"}, "here")
