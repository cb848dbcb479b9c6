"""Fit weights that others named into a student, or say exactly why they do not fit.

What they lack of the heads starts at random from a seed; every other difference is an
error.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.students.dual_head import STUDENTS, DualHead
from kompress.students.modernbert import EMBEDDINGS
from kompress.students.token_head import TokenHead

HEADS = ("token_head.", "span_conv.", "quality_head.")
# Where a file may keep the encoder; the last is what adapters of peft leave.
_PREFIXES = ("", "model.", "encoder.", "encoder.model.")
_ADAPTERS = ("base_model.", "lora_", "base_layer.")
# The heads that transformers puts on a ModernBERT; a student has no use for them.
_THEIR_HEADS = ("head.dense.", "head.norm.", "decoder.", "classifier.")
_SHOWN = 5  # keys that an error lists


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

    Source: ours.
    """
    tables = [key for key in stored if key.endswith(EMBEDDINGS)]
    prefixes = [key.removesuffix(EMBEDDINGS) for key in tables]
    adapters = [key for key in stored if any(part in key for part in _ADAPTERS)]
    if adapters:
        raise InvalidCheckpoint(
            f"{path} holds adapters that are not merged ({adapters[0]}); expected "
            "plain weights; merge them, or add the merged.pt"
        )
    if len(prefixes) != 1 or prefixes[0] not in _PREFIXES:
        raise InvalidCheckpoint(
            f"{path}: found {', '.join(tables) or 'no token embeddings'}; expected "
            f"{EMBEDDINGS} once, at most after "
            f"{' or '.join(prefix for prefix in _PREFIXES if prefix)}"
        )
    prefix = prefixes[0]
    renamed = {}
    for key, tensor in stored.items():
        if key.startswith(_THEIR_HEADS):
            continue
        if key.startswith(prefix) and not key.startswith(HEADS):
            renamed["encoder." + key.removeprefix(prefix)] = tensor
        else:
            renamed[key] = tensor  # a head's, or nobody's: refused as unexpected
    return renamed


def assemble(
    config: StudentConfig, tensors: Mapping[str, Tensor], path: Path, seed: int
) -> tuple[DualHead | TokenHead, list[str]]:
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

    Source: ours.
    """
    try:
        with torch.device("meta"):
            model = STUDENTS[config.variant](config)
    except InvalidConfig as error:
        raise InvalidCheckpoint(f"{path}: {error}") from error
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    random_heads = [
        prefix
        for prefix in HEADS
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
