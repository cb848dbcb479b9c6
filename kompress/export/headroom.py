"""Write a student as the files that the deployed client, transformers and a hub load.

`merged.pt` is written here and nowhere else; everything of ours is safetensors.
"""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.export.client_rules import MAX_TOKENS
from kompress.export.model_card import write_card
from kompress.students import checkpoint
from kompress.students.engines.onnx_graph import build_graph
from kompress.students.student import Student
from kompress.students.tokenizer import CLS, MASK, PAD, SEP, UNK, WordTokenizer
from kompress.types import Score

MERGED = "merged.pt"
ONNX = "onnx/kompress-fp32.onnx"
ONNX_INT8 = "onnx/kompress-int8-wo.onnx"
TOKENIZER_CONFIG = "tokenizer_config.json"
CARD = "README.md"
FORMAT = 1
SPAN_CHANNELS = 256  # of the client's span head; it knows no other number
FULL_THETA = 160_000.0  # ModernBERT's rotary bases
SLIDING_THETA = 10_000.0
MAX_POSITIONS = 8_192

_REPO_ID = re.compile(
    r"(?=[^/]{1,96}/[^/]{1,96}$)[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII
)

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported student.

    Attributes:
        folder: where it lies.
        repo_id: the name it goes by, `org/name`.
        student_id: the checkpoint's id.
        digests: sha256 of each file by its path in the folder.
    """

    folder: Path
    repo_id: str
    student_id: str
    digests: dict[str, str]


def export(
    student: Student,
    folder: Path | str,
    repo_id: str,
    *,
    scores: Sequence[Score] = (),
    label_source: str = "",
) -> Exported:
    """Export a student; the folder is published as it lies.

    Beside what the client loads, the folder holds the student's own files, so that
    `kompress.students.load` takes it too and finds the same id. A student with one
    head has no `merged.pt`: the client's own torch model has two.

    Args:
        student: with the torch engine.
        folder: missing or empty; it appears whole or not at all.
        repo_id: the model's name on a hub, `org/name`.
        scores: what the student scored, for the model card.
        label_source: the labels that it was trained on, for the model card.

    Returns:
        The folder and its files' hashes.

    Raises:
        InvalidConfig: the repo id is no `org/name`, or the student has no weights at
            hand (another engine than torch).
        InvalidCheckpoint: the folder holds something, or the client cannot run this
            student: it reads chunks of 512 tokens and 256 span channels at most.

    Source: docs/references.md, "The deployed client"; design §10.
    """
    folder = Path(folder)
    _check(student, folder, repo_id)
    # On the folder's own file system, so that the last step is a rename.
    place = folder if folder.exists() else folder.parent
    part = place / f".export.{uuid.uuid4().hex[:8]}.part"
    part.mkdir(parents=True)
    try:
        student_id = _write_files(student, part)
        card = write_card(
            student, repo_id, scores, label_source, has_merged=(part / MERGED).exists()
        )
        (part / CARD).write_text(card, encoding="utf-8")
        digests = _digests(part)
        listing = {"format": FORMAT, "repo_id": repo_id, "files": digests}
        (part / checkpoint.EXPORT).write_bytes(checkpoint.to_json(listing))
        checkpoint.read_folder(part)  # as whoever loads it will: every hash again
        _move(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Exported(folder, repo_id, student_id, digests)


def check_export(folder: Path) -> None:
    """Compare the files of an exported folder with their listed hashes.

    Args:
        folder: with an `export.json`; files that it lists may be left out, and others
            may lie beside them.

    Raises:
        InvalidCheckpoint: names the files that were altered.

    Source: ours.
    """
    try:
        listed = json.loads((folder / checkpoint.EXPORT).read_bytes())["files"]
        wanted = {str(name): str(digest) for name, digest in listed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidCheckpoint(
            f"{folder}: {checkpoint.EXPORT} cannot be read ({error!r}); expected an "
            "exported folder; export the student again"
        ) from error
    found = _digests(folder)
    altered = [name for name in found if wanted.get(name, found[name]) != found[name]]
    if altered:
        raise InvalidCheckpoint(
            f"{folder}: {', '.join(altered)} differ from the sha256 in "
            f"{checkpoint.EXPORT}; expected the files as they were exported; export "
            "the student again"
        )


def merge_weights(weights: Weights, config: StudentConfig) -> dict[str, Any]:
    """Arrange weights as the client's torch loader takes them.

    A narrower span head is widened by channels of zeros, which add nothing: GELU(0)
    is 0.

    Args:
        weights: float32 arrays by state-dict key.
        config: of a dual head with at most 256 span channels.

    Returns:
        The content of `merged.pt`: three state dicts of torch tensors, and the config
        as plain types.

    Source: docs/references.md, "The deployed client"; widening: ours.
    """
    heads: dict[str, dict[str, torch.Tensor]] = {
        "encoder": {},
        "token_head": {},
        "span_conv": {},
    }
    for key, value in sorted(weights.items()):  # safetensors has no order
        head, _, name = key.partition(".")
        if head in heads:
            heads[head][name] = torch.from_numpy(np.array(value))
    span = heads["span_conv"]
    extra = SPAN_CHANNELS - config.span_channels
    span["0.weight"] = _pad_first(span["0.weight"], extra)
    span["0.bias"] = _pad_first(span["0.bias"], extra)
    span["2.weight"] = _pad_first(span["2.weight"].transpose(0, 1), extra).transpose(
        0, 1
    )
    span["2.weight"] = span["2.weight"].contiguous()
    return {
        **{f"{head}_state_dict": tensors for head, tensors in heads.items()},
        "config": config.model_dump(mode="json"),
    }


def modernbert_config(
    config: StudentConfig, tokenizer: WordTokenizer
) -> dict[str, Any]:
    """Describe a student's encoder as transformers' ModernBERT, and the student as is.

    Args:
        config: the student's.
        tokenizer: the student's.

    Returns:
        The content of `config.json`; ours stands under `kompress`.

    Source: Warner et al. 2024; transformers' `ModernBertConfig`.
    """
    layers = [
        "full_attention" if number % config.global_every == 0 else "sliding_attention"
        for number in range(config.num_layers)
    ]
    return {
        "architectures": ["ModernBertModel"],
        "model_type": "modernbert",
        "dtype": "float32",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "hidden_activation": "gelu",
        "max_position_embeddings": MAX_POSITIONS,
        "norm_eps": 1e-5,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "embedding_dropout": 0.0,
        "mlp_dropout": 0.0,
        "local_attention": config.local_attention,
        "global_attn_every_n_layers": config.global_every,
        "layer_types": layers,
        # The newer and the older spelling of the same bases.
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": FULL_THETA},
            "sliding_attention": {"rope_type": "default", "rope_theta": SLIDING_THETA},
        },
        "global_rope_theta": FULL_THETA,
        "local_rope_theta": SLIDING_THETA,
        "pad_token_id": tokenizer.pad_id,
        "bos_token_id": tokenizer.cls_id,
        "cls_token_id": tokenizer.cls_id,
        "eos_token_id": tokenizer.sep_id,
        "sep_token_id": tokenizer.sep_id,
        checkpoint.CONFIG_KEY: config.model_dump(mode="json"),
    }


def _check(student: Student, folder: Path, repo_id: str) -> None:
    config = student.config
    if not _REPO_ID.fullmatch(repo_id):
        raise InvalidConfig(
            f"the repo id is {repo_id!r}; expected org/name of letters, digits, "
            "'-', '_' and '.'; give --repo-id org/name"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidCheckpoint(
            f"{folder} holds something already; expected a new or an empty folder; "
            "choose another, nothing was written"
        )
    if config.max_tokens != MAX_TOKENS:
        raise InvalidCheckpoint(
            f"the student reads chunks of {config.max_tokens} tokens; expected "
            f"{MAX_TOKENS}, the only length that the client cuts; train one with "
            f"max_tokens = {MAX_TOKENS}"
        )
    if config.variant == "dual_head" and config.span_channels > SPAN_CHANNELS:
        raise InvalidCheckpoint(
            f"the student has {config.span_channels} span channels; expected at most "
            f"{SPAN_CHANNELS}, the width of the client's span head; train one with "
            f"span_channels = {SPAN_CHANNELS}"
        )


def _move(part: Path, folder: Path) -> None:
    """Put a finished folder in its place; one that exists may be a mount or the cwd."""
    if not folder.exists():
        part.rename(folder)
        return
    for path in part.iterdir():
        path.rename(folder / path.name)
    part.rmdir()


def _write_files(student: Student, part: Path) -> str:
    """Write all files but the card and the listing; give the student's id."""
    student_id = student.save(part)
    config = modernbert_config(student.config, student.tokenizer)
    (part / checkpoint.CONFIG).write_bytes(checkpoint.to_json(config))
    (part / TOKENIZER_CONFIG).write_bytes(checkpoint.to_json(_tokenizer_config()))
    weights: Weights = load_file(part / checkpoint.WEIGHTS)
    (part / "onnx").mkdir()
    (part / ONNX).write_bytes(build_graph(student.config, weights))
    (part / ONNX_INT8).write_bytes(build_graph(student.config, weights, bits=8))
    if student.config.variant == "dual_head":
        torch.save(merge_weights(weights, student.config), part / MERGED)
    return student_id


def _tokenizer_config() -> dict[str, Any]:
    tokens = {"pad": PAD, "unk": UNK, "cls": CLS, "sep": SEP, "mask": MASK}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_POSITIONS,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **{f"{name}_token": token for name, token in tokens.items()},
    }


def _pad_first(tensor: torch.Tensor, extra: int) -> torch.Tensor:
    """Add slices of zeros at the end of the first dimension."""
    return torch.cat([tensor, tensor.new_zeros(extra, *tensor.shape[1:])])


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
            digests[path.relative_to(folder).as_posix()] = digest
    return digests
