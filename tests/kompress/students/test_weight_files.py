import hashlib
import json
import os
import struct

import pytest
import torch
from safetensors.torch import save_file

from kompress.errors import InvalidCheckpoint
from kompress.students.weight_files import (
    digest,
    read_merged,
    read_safetensors,
    read_weights,
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
