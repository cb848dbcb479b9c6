"""Weights that others wrote: read them, rename them, and fit them into a student.

A file is only ever read as data: a pickle that asks for code is refused. What the
weights lack of the heads starts at random from a seed; every other difference is an
error.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.students.model import HEADS, StudentModel
from kompress.students.modernbert_shape import EMBEDDINGS, PREFIX

SAFETENSORS = "model.safetensors"
MERGED = "merged.pt"
# The deployed client's names of a merged.pt's parts, and the prefixes of their keys.
CLIENT_PARTS = {
    "encoder_state_dict": "encoder.",
    "token_head_state_dict": "token_head.",
    "span_conv_state_dict": "span_conv.",
}
# What public training scripts write instead, which the client refuses.
OTHER_SPELLINGS = {"span_head_state_dict": "span_conv_state_dict"}
_SHARDS = "model.safetensors.index.json"
_SHA256 = re.compile("[0-9a-f]{64}")
_THEIR_EMBEDDINGS = EMBEDDINGS.removeprefix(PREFIX)
_HEADS = tuple(f"{head}." for head in HEADS)
# Where a file may keep the encoder; the last is what adapters of peft leave.
_PREFIXES = ("", "model.", "encoder.", "encoder.model.")
_ADAPTERS = ("base_model.", "lora_", "base_layer.")
# The heads that transformers puts on a ModernBERT; a student has no use for them.
_THEIR_HEADS = ("head.dense.", "head.norm.", "decoder.", "classifier.")
_SHOWN = 5  # keys that an error lists


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Returns:
        The tensors by key, as stored.

    Raises:
        InvalidCheckpoint: the file is truncated or altered. A copy from a hub's cache
            is also checked against the sha256 that names it.
    """
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name) and digest(blob) != blob.name:
        raise InvalidCheckpoint(
            f"{path}: its sha256 is not the one that names it in the hub's cache; "
            "expected the file as published; delete it and fetch it again"
        )
    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise InvalidCheckpoint(
            f"{path} cannot be read ({error}); expected a whole safetensors file; "
            "fetch or export it again"
        ) from error


def read_merged(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a merged.pt of either spelling.

    Returns:
        The tensors under the client's keys (`encoder.*`, `token_head.*`,
        `span_conv.*`), and its config, empty if it has none.

    Raises:
        InvalidCheckpoint: not readable as plain data, or a part is missing or foreign.
    """
    content = _unpickle(path)
    if not isinstance(content, dict):
        raise InvalidCheckpoint(
            f"{path} holds a {type(content).__name__}; expected a dictionary with "
            f"{', '.join(CLIENT_PARTS)}"
        )
    parts = {OTHER_SPELLINGS.get(name, name): part for name, part in content.items()}
    config = parts.pop("config", None) or {}
    missing = sorted(set(CLIENT_PARTS) - set(parts))
    foreign = sorted(map(str, set(parts) - set(CLIENT_PARTS)))
    if missing or foreign or len(parts) + ("config" in content) != len(content):
        raise InvalidCheckpoint(
            f"{path}: missing {', '.join(missing) or 'nothing'}; foreign "
            f"{', '.join(foreign) or 'nothing'}; expected {', '.join(CLIENT_PARTS)} "
            "(or span_head_state_dict for the last, not both) and at most a config"
        )
    if not isinstance(config, Mapping):
        raise InvalidCheckpoint(f"{path}: config is {config!r:.80}; expected a table")
    tensors: dict[str, Tensor] = {}
    for name, prefix in CLIENT_PARTS.items():
        part = parts[name]
        if not isinstance(part, Mapping) or not all(
            isinstance(value, Tensor) for value in part.values()
        ):
            raise InvalidCheckpoint(
                f"{path}: {name} is no dictionary of tensors; expected a state dict"
            )
        named = {prefix + _plain_key(key, prefix): part[key] for key in part}
        if len(named) != len(part):
            raise InvalidCheckpoint(
                f"{path}: {name} names a tensor twice; expected each key once"
            )
        tensors |= named
    return tensors, dict(config)


def read_weights(folder: Path) -> tuple[Path, dict[str, Tensor], dict[str, Any]]:
    """Read the weights of a folder, merged.pt first, as the client does.

    Beside a merged.pt the client's model.safetensors may hold adapters only.

    Returns:
        The file, its tensors, and the config inside it, empty if it has none.

    Raises:
        InvalidCheckpoint: the folder has no weights that can be read safely.
    """
    merged, plain = folder / MERGED, folder / SAFETENSORS
    if merged.is_file():
        return merged, *read_merged(merged)
    if plain.is_file():
        return plain, read_safetensors(plain), {}
    if (folder / _SHARDS).is_file():
        fix = f"it holds shards; save them as one {SAFETENSORS}"
    elif pickles := sorted(path.name for path in folder.glob("*.bin")):
        fix = f"{', '.join(pickles)} is a pickle; save it as {SAFETENSORS}"
    else:
        fix = "add them"
    raise InvalidCheckpoint(
        f"{folder} has neither {MERGED} nor {SAFETENSORS}; expected a checkpoint's "
        f"weights; {fix}"
    )


def digest(path: Path) -> str:
    """Give a file's sha256 as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rename(stored: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Put tensors under a student's keys, the encoder's under `encoder.`.

    Args:
        stored: as a file holds them, the encoder's keys plain or after `model.`,
            `encoder.` or both.
        path: the file, for errors.

    Returns:
        The same tensors; those of transformers' own heads on ModernBERT left out.

    Raises:
        InvalidCheckpoint: no encoder, more than one, or adapters that are not merged.
    """
    tables = [key for key in stored if key.endswith(_THEIR_EMBEDDINGS)]
    prefixes = [key.removesuffix(_THEIR_EMBEDDINGS) for key in tables]
    adapters = [key for key in stored if any(part in key for part in _ADAPTERS)]
    if adapters:
        raise InvalidCheckpoint(
            f"{path} holds adapters that are not merged ({adapters[0]}); expected "
            "plain weights; merge them, or add the merged.pt"
        )
    if len(prefixes) != 1 or prefixes[0] not in _PREFIXES:
        raise InvalidCheckpoint(
            f"{path}: found {', '.join(tables) or 'no token embeddings'}; expected "
            f"{_THEIR_EMBEDDINGS} once, at most after "
            f"{' or '.join(prefix for prefix in _PREFIXES if prefix)}"
        )
    prefix = prefixes[0]
    renamed = {}
    for key, tensor in stored.items():
        if key.startswith(_THEIR_HEADS):
            continue
        if key.startswith(prefix) and not key.startswith(_HEADS):
            renamed[PREFIX + key.removeprefix(prefix)] = tensor
        else:
            renamed[key] = tensor  # a head's, or nobody's: refused as unexpected
    return renamed


def assemble(
    config: StudentConfig, tensors: Mapping[str, Tensor], path: Path, seed: int
) -> tuple[StudentModel, list[str]]:
    """Build a student on these weights.

    Args:
        config: the student's sizes.
        tensors: under a student's keys, of any floating type; copied.
        path: the file that they are from, for errors.
        seed: decides the heads that they lack.

    Returns:
        The module, in float32 on the CPU, and the names of the heads that are random.

    Raises:
        InvalidCheckpoint: names what is missing, unexpected, misshapen, or not finite.
    """
    try:
        with torch.device("meta"):
            model = StudentModel(config)
    except InvalidConfig as error:
        raise InvalidCheckpoint(f"{path}: {error}") from error
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    random_heads = [
        prefix
        for prefix in _HEADS
        if has_any(expected, prefix) and not has_any(tensors, prefix)
    ]
    _check_tensors(
        {key: tuple(value.shape) for key, value in tensors.items()},
        {k: v for k, v in expected.items() if not k.startswith(tuple(random_heads))},
        path,
    )
    weights = {key: _as_float(key, value, path) for key, value in tensors.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for prefix in random_heads:
            _start(model.get_submodule(prefix.removesuffix(".")))
    model.load_state_dict(weights, strict=False, assign=True)
    return model, [prefix.removesuffix(".") for prefix in random_heads]


def has_any(keys: Mapping[str, Any], prefix: str) -> bool:
    """Say whether any key begins with the prefix."""
    return any(key.startswith(prefix) for key in keys)


def _check_tensors(
    found: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    path: Path,
) -> None:
    """Refuse weights that are not exactly the expected ones."""
    wrong = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "of another shape": [
            f"{key} {found[key]}, expected {shape}"
            for key, shape in expected.items()
            if found.get(key, shape) != shape
        ],
    }
    if any(wrong.values()):
        lines = "; ".join(f"{what}: {_few(keys)}" for what, keys in wrong.items())
        raise InvalidCheckpoint(
            f"{path} does not fit: {lines}; expected a ModernBERT's weights and whole "
            "heads; correct the config, or fetch the file again"
        )


def _few(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return (", ".join(keys[:_SHOWN]) or "none") + more


def _as_float(key: str, tensor: Tensor, path: Path) -> Tensor:
    """Copy to float32, so that the file may change under it."""
    if not tensor.is_floating_point():
        raise InvalidCheckpoint(
            f"{path}: {key} holds {tensor.dtype}; expected floating-point weights; "
            "save the checkpoint unquantised"
        )
    copy = tensor.detach().to(torch.float32, copy=True).contiguous()
    if not torch.isfinite(copy).all():
        raise InvalidCheckpoint(
            f"{path}: {key} holds numbers that are not finite; expected finite "
            "weights; the file is damaged or its training diverged: take another"
        )
    return copy


def _start(head: nn.Module) -> None:
    """Give a head that stands on no device memory and random weights."""
    head.to_empty(device="cpu")
    for module in head.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            module.reset_parameters()


def _unpickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # torch's own message goes on to explain how to run the code.
        raise InvalidCheckpoint(
            f"{path} is no plain checkpoint: it asks for code or is damaged; expected "
            "tensors and plain types only, nothing of it was run; get the weights as "
            f"{SAFETENSORS}"
        ) from error
    except Exception as error:  # a damaged file can trip its reader anywhere
        first_line = (str(error) or repr(error)).partition("\n")[0]
        raise InvalidCheckpoint(
            f"{path} cannot be read ({first_line:.200}); expected what torch.save "
            "writes; fetch or export it again"
        ) from error


def _plain_key(key: Any, prefix: str) -> str:
    """Take off the part's own name, which some scripts leave on its keys."""
    return str(key).removeprefix(prefix).removeprefix("model.")
