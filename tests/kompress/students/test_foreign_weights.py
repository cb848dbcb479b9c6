import hashlib
import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint
from kompress.students.foreign_weights import (
    assemble,
    digest,
    has_any,
    read_merged,
    read_safetensors,
    read_weights,
    rename,
)
from kompress.students.model import StudentModel

FILE = Path("model.safetensors")
CONFIG = StudentConfig(
    num_layers=2,
    hidden_size=32,
    num_heads=2,
    intermediate_size=48,
    span_channels=8,
    vocab_size=300,
)


TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}
PARTS = {
    "encoder_state_dict": {"final_norm.weight": torch.ones(2)},
    "token_head_state_dict": {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)},
    "span_conv_state_dict": {"0.bias": torch.zeros(3)},
}


class Code:
    """What a pickle can do to whoever opens it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def saved(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_safetensors_file_gives_its_tensors(saved):
    found = read_safetensors(saved)

    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[key], TENSORS[key]) for key in TENSORS)


@pytest.mark.parametrize("length", [0, 7, 20, -1])
def test_a_truncated_safetensors_file_is_named(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])

    with pytest.raises(InvalidCheckpoint, match=r"model\.safetensors cannot be read"):
        read_safetensors(saved)


def test_a_header_that_lies_about_its_tensors_is_named(saved):
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["b"]["shape"] = [400]
    text = json.dumps(header).encode()
    saved.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])

    with pytest.raises(InvalidCheckpoint, match=r"model\.safetensors cannot be read"):
        read_safetensors(saved)


def test_a_hubs_copy_must_have_the_hash_that_names_it(saved, tmp_path):
    blob = tmp_path / hashlib.sha256(saved.read_bytes()).hexdigest()
    saved.rename(blob)
    saved.symlink_to(blob)
    assert read_safetensors(saved).keys() == TENSORS.keys()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1  # still a whole file of finite numbers

    blob.write_bytes(content)

    with pytest.raises(InvalidCheckpoint, match="sha256 is not the one that names it"):
        read_safetensors(saved)


@pytest.mark.parametrize("name", ["span_conv_state_dict", "span_head_state_dict"])
@pytest.mark.parametrize("config", [None, {"hidden_size": 64}])
def test_both_spellings_of_merged_give_the_clients_keys(tmp_path, name, config):
    content = dict(PARTS)
    content[name] = content.pop("span_conv_state_dict")
    if config is not None:
        content["config"] = config
    torch.save(content, tmp_path / "merged.pt")

    tensors, found = read_merged(tmp_path / "merged.pt")

    assert sorted(tensors) == [
        "encoder.final_norm.weight",
        "span_conv.0.bias",
        "token_head.bias",
        "token_head.weight",
    ]
    assert found == (config or {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_head_state_dict": None}, "missing token_head_state_dict"),
        ({"optimizer": {}}, "foreign optimizer"),
        ({"span_head_state_dict": {}}, "not both"),
        ({"config": [1]}, r"config is \[1\]"),
        ({"encoder_state_dict": [1]}, "encoder_state_dict is no dictionary of tensors"),
        ({"encoder_state_dict": {"a": 1}}, "encoder_state_dict is no dictionary"),
        (
            {"encoder_state_dict": {"a": torch.ones(1), "model.a": torch.ones(1)}},
            "names a tensor twice",
        ),
    ],
)
def test_a_merged_file_of_other_parts_is_refused(tmp_path, changes, message):
    content = {k: v for k, v in {**PARTS, **changes}.items() if v is not None}
    torch.save(content, tmp_path / "merged.pt")

    with pytest.raises(InvalidCheckpoint, match=message):
        read_merged(tmp_path / "merged.pt")


def test_a_merged_file_that_is_no_dictionary_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "merged.pt")

    with pytest.raises(InvalidCheckpoint, match="holds a list"):
        read_merged(tmp_path / "merged.pt")


def test_code_hidden_in_a_merged_file_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "was run"
    torch.save({**PARTS, "config": Code(trap)}, tmp_path / "merged.pt")

    with pytest.raises(InvalidCheckpoint, match="asks for code or is damaged"):
        read_merged(tmp_path / "merged.pt")

    assert not trap.exists()


@pytest.mark.parametrize("length", [0, 3, 100, -50])
def test_a_truncated_merged_file_is_named(tmp_path, length):
    torch.save(PARTS, tmp_path / "merged.pt")
    content = (tmp_path / "merged.pt").read_bytes()
    (tmp_path / "merged.pt").write_bytes(content[:length])

    with pytest.raises(InvalidCheckpoint, match=r"merged\.pt"):
        read_merged(tmp_path / "merged.pt")


def test_merged_comes_before_safetensors_as_it_does_for_the_client(saved):
    torch.save(PARTS, saved.parent / "merged.pt")

    path, tensors, _ = read_weights(saved.parent)

    assert path.name == "merged.pt"
    assert "span_conv.0.bias" in tensors


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("pytorch_model.bin", r"pytorch_model\.bin is a pickle"),
        ("model.safetensors.index.json", "save them as one"),
        ("README.md", "add them"),
    ],
)
def test_a_folder_without_readable_weights_says_what_to_do(tmp_path, name, fix):
    (tmp_path / name).write_bytes(b"x")

    with pytest.raises(InvalidCheckpoint, match=fix):
        read_weights(tmp_path)


def test_a_digest_is_the_files_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")

    # FIPS 180-2, appendix B.1
    assert digest(tmp_path / "file") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.fixture
def state():
    """A whole student's weights under the client's keys."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = StudentModel(CONFIG)
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
