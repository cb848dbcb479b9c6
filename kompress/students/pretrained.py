"""Start from weights that others trained: a ModernBERT, or a kompress of any make.

Nothing of the source is written, and nothing in it is run.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from kompress.errors import InvalidCheckpoint
from kompress.students import checkpoint, hub, modernbert
from kompress.students.foreign_weights import (
    assemble,
    digest,
    has_any,
    read_weights,
    rename,
)
from kompress.students.modernbert_shape import PREFIX
from kompress.students.student import Student, load
from kompress.students.tokenizer import WordTokenizer

SPAN_CHANNELS = 256  # of the deployed client's span head


def load_pretrained(
    source: str | Path,
    *,
    variant: str | None = None,
    seed: int = 0,
    span_channels: int = SPAN_CHANNELS,
    quality_head: bool = False,
) -> Student:
    """Make a student of weights from elsewhere.

    Args:
        source: a folder: a student of this farm (taken as it is), a ModernBERT of
            transformers (config.json, model.safetensors, tokenizer.json), or a
            kompress checkpoint (merged.pt of either spelling, or model.safetensors
            with the client's keys). Or a hub name, `org/name` or `org/name@revision`.
            Without a tokenizer.json the deployed client's is taken from the hub or its
            cache; without a config.json, sizes are read off the weights.
        variant: `dual_head` (the default) or `token_head`, which leaves a span head of
            the source unused.
        seed: decides the heads that the source lacks.
        span_channels: of a span head that the source lacks.
        quality_head: whether to have one; a source's own is always taken.

    Returns:
        The student, on the CPU in float32; its lineage names the source, its sha256
        and the heads that are random.

    Raises:
        InvalidCheckpoint: missing, unexpected or misshapen weights, numbers that are
            not finite, options that our encoder does not compute, another tokenizer, a
            damaged file, a pickle that asks for code, or nothing to be had.

    Source: transformers' and headroom 0.42.0's file layouts.
    """
    folder = _find(source)
    if (folder / checkpoint.MANIFEST).is_file():
        return _load_own(folder, variant)
    heads = {
        "variant": variant or "dual_head",
        "span_channels": span_channels,
        "quality_head": quality_head,
    }
    is_name = isinstance(source, str) and folder != Path(source)
    return _import(folder, heads, source=str(source) if is_name else "", seed=seed)


def _find(source: str | Path) -> Path:
    """Give the folder of a path or of a hub name; a path wins."""
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InvalidCheckpoint(
            f"{folder} is a file; expected the folder that it lies in"
        )
    if isinstance(source, str) and hub.is_hub_name(source):
        return hub.fetch_checkpoint(source)
    raise InvalidCheckpoint(
        f"{source} does not exist; expected a checkpoint's folder, or a hub name such "
        f"as {hub.MODERNBERT}"
    )


def _load_own(folder: Path, variant: str | None) -> Student:
    student = load(folder)
    if variant not in {None, student.config.variant}:
        raise InvalidCheckpoint(
            f"{folder} is a {student.config.variant} student; expected {variant}; "
            "leave the variant out, or start from a ModernBERT"
        )
    return student


def _import(folder: Path, heads: dict[str, Any], *, source: str, seed: int) -> Student:
    """Make a student of a folder's weights; `heads` says what the source may lack."""
    path, stored, inner = read_weights(folder)
    tensors = rename(stored, path)
    if heads["variant"] == "token_head":
        tensors = {k: v for k, v in tensors.items() if not k.startswith("span_conv.")}
    if "span_conv.0.weight" in tensors:
        heads["span_channels"] = len(tensors["span_conv.0.weight"])
    heads["quality_head"] |= has_any(tensors, "quality_head.")
    sizes, where = _find_sizes(folder, inner, tensors)
    config = modernbert.student_config({**sizes, **heads}, where)
    model, random_heads = assemble(config, tensors, path, seed)
    tokenizer = _tokenizer(folder, config.vocab_size)
    _check_special_ids(folder, inner, tokenizer)
    lineage = {
        "parent": None,
        "seed": seed,
        "source": source,
        "weights": {path.name: digest(path)},
        "tokenizer": hashlib.sha256(tokenizer.json).hexdigest(),
        "random_heads": random_heads,
    }
    recipe = {"name": "imported"}
    return Student.from_model(model, tokenizer, recipe=recipe, lineage=lineage)


def _find_sizes(
    folder: Path, inner: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[Mapping[str, Any], str]:
    """Find the sizes beside the weights, inside their file, or on the weights.

    Returns:
        Fields of `StudentConfig`, and where they stood.
    """
    path = folder / checkpoint.CONFIG
    config = _read_json(path)
    within = f"{folder}: config"
    for own, where in ((config.get(checkpoint.CONFIG_KEY), str(path)), (inner, within)):
        if isinstance(own, Mapping) and {"num_layers", "num_heads"} <= set(own):
            return own, where
    for found, where in ((config, str(path)), (inner, within)):
        if modernbert.is_modernbert(found):
            return modernbert.sizes_from_config(found, where), where
    shapes = {
        key.removeprefix(PREFIX): tuple(tensor.shape) for key, tensor in tensors.items()
    }
    return modernbert.sizes_from_shapes(shapes, str(folder)), str(folder)


def _tokenizer(folder: Path, num_rows: int) -> WordTokenizer:
    """Read the folder's tokenizer, or the client's; its ids must have embeddings."""
    path = folder / checkpoint.TOKENIZER
    content = path.read_bytes() if path.is_file() else hub.fetch_client_tokenizer()
    if content is None:
        raise InvalidCheckpoint(
            f"{folder} has no {checkpoint.TOKENIZER}, and {hub.MODERNBERT}'s is not in "
            "the Hugging Face cache; expected the tokenizer that the weights were "
            "trained with; copy it there, or go online once"
        )
    tokenizer = WordTokenizer(content)
    highest = max(Tokenizer.from_buffer(content).get_vocab().values())
    if highest >= num_rows:
        raise InvalidCheckpoint(
            f"{path} gives ids up to {highest}, and the weights have {num_rows} token "
            "embeddings; expected an embedding for each; use the tokenizer that the "
            "weights were trained with"
        )
    return tokenizer


def _check_special_ids(
    folder: Path, inner: Mapping[str, Any], tokenizer: WordTokenizer
) -> None:
    """Compare special ids with those that the config states, if it states any."""
    config = {**inner, **_read_json(folder / checkpoint.CONFIG)}
    actual = {"cls_token_id": tokenizer.cls_id, "sep_token_id": tokenizer.sep_id}
    for name, token_id in actual.items():
        if config.get(name, token_id) != token_id:
            raise InvalidCheckpoint(
                f"{folder}: {name} is {config[name]} in the config and {token_id} in "
                "the tokenizer; expected equal ids; use the tokenizer that the weights "
                "were trained with"
            )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidCheckpoint(
            f"{path} cannot be read ({error}); expected JSON; fetch the file again"
        ) from error
    if not isinstance(content, dict):
        raise InvalidCheckpoint(f"{path} holds {content!r:.80}; expected a table")
    return content
