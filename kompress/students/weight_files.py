"""Read weights that others wrote: safetensors, and the client's merged.pt.

A file is only ever read as data: a pickle that asks for code is refused.
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
from torch import Tensor

from kompress.errors import InvalidCheckpoint

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
