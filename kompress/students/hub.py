"""Find a published checkpoint through huggingface_hub: its cache first asked online.

Where the cache lies and whether the network may be asked is huggingface_hub's own
business (`HF_HOME`, `HF_HUB_OFFLINE`); nothing here reads an environment variable.
"""

import re
from pathlib import Path

from kompress.errors import InvalidCheckpoint
from kompress.students.checkpoint import CONFIG, TOKENIZER
from kompress.students.foreign_weights import MERGED, SAFETENSORS

MODERNBERT = "answerdotai/ModernBERT-base"
MODERNBERT_REVISION = "8949b909ec900327062f0ebf497f51aef5e6f0c8"  # the client's pin
_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def is_hub_name(source: str) -> bool:
    """Say whether this could be a hub name, `org/name` or `org/name@revision`."""
    return _NAME.fullmatch(source) is not None


def fetch_checkpoint(name: str) -> Path:
    """Find a published checkpoint's folder.

    Args:
        name: `org/name`, or `org/name@revision`; ModernBERT-base without a revision is
            the one that the deployed client pins.

    Returns:
        The snapshot's folder, holding whatever of config.json, tokenizer.json and
        merged.pt there is, and model.safetensors if there is no merged.pt.

    Raises:
        InvalidCheckpoint: neither the hub nor its cache has weights of this name.
    """
    config = _fetch(name, CONFIG)
    tokenizer = _fetch(name, TOKENIZER)
    weights = _fetch(name, MERGED) or _fetch(name, SAFETENSORS)
    if weights is None:
        raise InvalidCheckpoint(
            f"{name} is no folder here, and the Hugging Face hub and its cache have "
            f"neither {MERGED} nor {SAFETENSORS} of that name; correct the path or the "
            "name, go online once so that it is cached, or copy the checkpoint here "
            "and give its folder"
        )
    strangers = {path.parent for path in (config, tokenizer) if path} - {weights.parent}
    if strangers:
        raise InvalidCheckpoint(
            f"{name}: the hub's cache has its files in {strangers.pop()} and "
            f"{weights.parent}; expected one revision; name one: {name}@<revision>"
        )
    return weights.parent


def fetch_client_tokenizer() -> bytes | None:
    """Give the tokenizer.json that the deployed client uses, None if unreachable."""
    path = _fetch(f"{MODERNBERT}@{MODERNBERT_REVISION}", TOKENIZER)
    return path.read_bytes() if path else None


def _fetch(name: str, file: str) -> Path | None:
    # Imported here: it costs 0.3 s, and few students come from elsewhere.
    from huggingface_hub import hf_hub_download  # noqa: PLC0415
    from huggingface_hub.errors import (  # noqa: PLC0415
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
    )

    repo, _, revision = name.partition("@")
    if not revision and repo == MODERNBERT:
        revision = MODERNBERT_REVISION
    try:
        return Path(hf_hub_download(repo, file, revision=revision or None))
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError):
        return None
