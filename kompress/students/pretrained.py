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

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint
from kompress.students import checkpoint, hub, modernbert, weight_files
from kompress.students.foreign_weights import assemble, has_any, rename
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
    path, stored, inner_config = weight_files.read_weights(folder)
    tensors = rename(stored, path)
    if variant == "token_head":
        tensors = {
            key: value
            for key, value in tensors.items()
            if not key.startswith("span_conv.")
        }
    config = _config(
        folder / checkpoint.CONFIG,
        inner_config,
        tensors,
        variant=variant or "dual_head",
        span_channels=span_channels,
        quality_head=quality_head,
    )
    model, random_heads = assemble(config, tensors, path, seed)
    tokenizer = _tokenizer(folder, model.config.vocab_size)
    _check_special_ids(folder, inner_config, tokenizer)
    lineage = {
        "parent": None,
        "seed": seed,
        "source": source if isinstance(source, str) and folder != Path(source) else "",
        "weights": {path.name: weight_files.digest(path)},
        "tokenizer": hashlib.sha256(tokenizer.json).hexdigest(),
        "random_heads": random_heads,
    }
    recipe = {"name": "imported"}
    return Student.from_model(model, tokenizer, recipe=recipe, lineage=lineage)


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


def _config(
    path: Path,
    inner: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    variant: str,
    span_channels: int,
    quality_head: bool,
) -> StudentConfig:
    """Find the sizes: beside the weights, inside their file, or on the weights."""
    config = _read_json(path)
    first = tensors.get("span_conv.0.weight")
    heads = {
        "variant": variant,
        "quality_head": quality_head or has_any(tensors, "quality_head."),
        "span_channels": span_channels if first is None else len(first),
    }
    within = f"{path.parent}: config"
    for own, where in ((config.get(checkpoint.CONFIG_KEY), str(path)), (inner, within)):
        if isinstance(own, Mapping) and {"num_layers", "num_heads"} <= set(own):
            return modernbert.student_config({**own, **heads}, where)
    for found, where in ((config, str(path)), (inner, within)):
        if modernbert.is_modernbert(found):
            sizes = modernbert.sizes_from_config(found, where)
            return modernbert.student_config({**sizes, **heads}, where)
    shapes = {
        key.removeprefix("encoder."): tuple(tensor.shape)
        for key, tensor in tensors.items()
    }
    where = str(path.parent)
    sizes = modernbert.sizes_from_shapes(shapes, where)
    return modernbert.student_config({**sizes, **heads}, where)


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
