from pathlib import Path

import pytest
import torch

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint
from kompress.students.dual_head import STUDENTS
from kompress.students.foreign_weights import assemble, has_any, rename

FILE = Path("model.safetensors")
CONFIG = StudentConfig(
    num_layers=2,
    hidden_size=32,
    num_heads=2,
    intermediate_size=48,
    span_channels=8,
    vocab_size=300,
)


@pytest.fixture
def state():
    """A whole student's weights under the client's keys."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = STUDENTS["dual_head"](CONFIG)
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def encoder_of(state, prefix):
    return {
        prefix + key.removeprefix("encoder."): tensor
        for key, tensor in state.items()
        if key.startswith("encoder.")
    }


@pytest.mark.parametrize("prefix", ["", "model.", "encoder.", "encoder.model."])
def test_the_encoder_is_found_after_each_prefix(state, prefix):
    heads = {k: v for k, v in state.items() if not k.startswith("encoder.")}

    assert rename({**encoder_of(state, prefix), **heads}, FILE).keys() == state.keys()


def test_heads_that_transformers_adds_are_left_out(state):
    names = ("head.dense.weight", "head.norm.weight", "decoder.bias", "classifier.bias")
    theirs = dict.fromkeys(names, torch.ones(1))

    assert rename({**state, **theirs}, FILE).keys() == state.keys()


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("bert.", "found bert.embeddings.tok_embeddings.weight; expected"),
        ("base_model.model.", "adapters that are not merged"),
    ],
)
def test_other_prefixes_are_refused(state, prefix, message):
    with pytest.raises(InvalidCheckpoint, match=message):
        rename(encoder_of(state, prefix), FILE)


def test_two_encoders_are_refused(state):
    with pytest.raises(InvalidCheckpoint, match=r"expected embeddings\.\S+ once"):
        rename({**state, **encoder_of(state, "model.")}, FILE)


def test_no_encoder_is_refused(state):
    del state["encoder.embeddings.tok_embeddings.weight"]

    with pytest.raises(InvalidCheckpoint, match="no token embeddings"):
        rename(state, FILE)


def test_whole_weights_come_back_as_they_are_and_as_copies(state):
    model, random_heads = assemble(CONFIG, state, FILE, 0)

    assert random_heads == []
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[key])
        assert tensor.data_ptr() != state[key].data_ptr()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_any_floating_type_becomes_float32(state, dtype):
    stored = {key: tensor.to(dtype) for key, tensor in state.items()}

    model, _ = assemble(CONFIG, stored, FILE, 0)

    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, stored[key].float())


def test_the_heads_that_are_missing_are_random_and_finite(state):
    config = CONFIG.model_copy(update={"quality_head": True})

    model, random_heads = assemble(config, encoder_of(state, "encoder."), FILE, 0)

    assert random_heads == ["token_head", "span_conv", "quality_head"]
    for parameter in model.parameters():
        assert not parameter.is_meta
        assert torch.isfinite(parameter).all()
        assert parameter.requires_grad


def put_nan(state):
    state["encoder.final_norm.weight"][0] = torch.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("encoder.final_norm.weight"), r"missing: encoder\.final_norm"),
        (lambda s: s.pop("token_head.bias"), r"missing: token_head\.bias"),
        (
            lambda s: s.update({"encoder.layers.1.extra": torch.ones(1)}),
            r"unexpected: encoder\.layers\.1\.extra",
        ),
        (
            lambda s: s.update({"quality_head.bias": torch.ones(1)}),
            r"unexpected: quality_head\.bias",
        ),
        (
            lambda s: s.update({"encoder.final_norm.weight": torch.ones(31)}),
            r"another shape: encoder\.final_norm\.weight \(31,\), expected \(32,\)",
        ),
        (
            lambda s: s.update({"token_head.bias": torch.ones(2, dtype=torch.int8)}),
            r"token_head\.bias holds torch\.int8",
        ),
        (put_nan, r"final_norm\.weight holds numbers that are not finite"),
        (
            lambda s: [s.pop(key) for key in list(s) if "layers.1." in key],
            r"missing: .* and 1 more",  # a later layer has 6 weights, 5 are named
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(state, change, message):
    change(state)

    with pytest.raises(InvalidCheckpoint, match=message):
        assemble(CONFIG, state, FILE, 0)


def test_a_width_that_the_heads_do_not_divide_is_a_checkpoints_mistake(state):
    config = CONFIG.model_copy(update={"num_heads": 3})

    with pytest.raises(InvalidCheckpoint, match="hidden_size 32 with 3 heads"):
        assemble(config, state, FILE, 0)


def test_has_any_looks_at_the_beginning_alone():
    assert has_any({"head.weight": 1}, "head.")
    assert not has_any({"token_head.weight": 1}, "head.")
