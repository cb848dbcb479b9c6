"""Write a student as the files that the deployed client, transformers and a hub load.

`merged.pt` is written here and nowhere else; everything of ours is safetensors.
"""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from kompress.config import StudentConfig
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.export.client_rules import MAX_TOKENS
from kompress.export.model_card import write_card
from kompress.students import checkpoint
from kompress.students.engines.engine import Weights
from kompress.students.engines.onnx_graph import build_graph
from kompress.students.engines.registry import EXPORTED_GRAPHS
from kompress.students.foreign_weights import CLIENT_PARTS, MERGED
from kompress.students.modernbert import MAX_POSITIONS, describe_encoder
from kompress.students.modernbert_shape import ModernBertShape
from kompress.students.student import Student
from kompress.students.tokenizer import CLS, MASK, PAD, SEP, UNK
from kompress.types import Score

TOKENIZER_CONFIG = "tokenizer_config.json"
CARD = "README.md"
FORMAT = 1
SPAN_CHANNELS = 256  # of the client's span head; it knows no other number

_REPO_ID = re.compile(
    r"(?=[^/]{1,96}/[^/]{1,96}$)[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII
)


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
    with _appear_whole(folder) as part:
        student_id = _write_files(student, part)
        has_merged = (part / MERGED).exists()
        card = write_card(student, repo_id, scores, label_source, has_merged=has_merged)
        (part / CARD).write_text(card, encoding="utf-8")
        digests = _digests(part)
        listing = {"format": FORMAT, "repo_id": repo_id, "files": digests}
        (part / checkpoint.EXPORT).write_bytes(checkpoint.to_json(listing))
        checkpoint.read_folder(part)  # as whoever loads it will: every hash again
    return Exported(folder, repo_id, student_id, digests)


def check_export(folder: Path) -> None:
    """Compare the files of an exported folder with their listed hashes.

    Args:
        folder: with an `export.json`; files that it lists may be left out, and others
            may lie beside them.

    Raises:
        InvalidCheckpoint: names the files that were altered.

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
    parts: dict[str, dict[str, torch.Tensor]] = {
        part: {
            key.removeprefix(prefix): torch.from_numpy(np.array(value))
            for key, value in sorted(weights.items())  # safetensors has no order
            if key.startswith(prefix)
        }
        for part, prefix in CLIENT_PARTS.items()
    }
    span = parts["span_conv_state_dict"]
    extra = SPAN_CHANNELS - config.span_channels
    for name in ("0.weight", "0.bias"):
        span[name] = _pad_first(span[name], extra)
    last = _pad_first(span["2.weight"].transpose(0, 1), extra)
    span["2.weight"] = last.transpose(0, 1).contiguous()
    return {**parts, "config": config.model_dump(mode="json")}


def _check(student: Student, folder: Path, repo_id: str) -> None:
    config = student.config
    if not _REPO_ID.fullmatch(repo_id):
        raise InvalidConfig(
            f"the repo id is {repo_id!r}; expected org/name of letters, digits, "
            "'-', '_' and '.'; give another name"
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


@contextmanager
def _appear_whole(folder: Path) -> Iterator[Path]:
    """Give a folder beside its place, and put it there unless something fails."""
    # On the folder's own file system, so that the last step is a rename.
    place = folder if folder.exists() else folder.parent
    part = place / f".export.{uuid.uuid4().hex[:8]}.part"
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():  # it may be a mount or the cwd
            for path in part.iterdir():
                path.rename(folder / path.name)
            part.rmdir()
        else:
            part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _write_files(student: Student, part: Path) -> str:
    """Write all files but the card and the listing; give the student's id."""
    student_id = student.save(part)
    (part / checkpoint.CONFIG).write_bytes(checkpoint.to_json(_config(student)))
    (part / TOKENIZER_CONFIG).write_bytes(checkpoint.to_json(_tokenizer_config()))
    weights: Weights = load_file(part / checkpoint.WEIGHTS)
    (part / "onnx").mkdir()
    for name, bits in (("onnx", 32), ("onnx-int8", 8)):
        graph = build_graph(student.config, weights, bits=bits)
        (part / EXPORTED_GRAPHS[name]).write_bytes(graph)
    if student.config.variant == "dual_head":
        torch.save(merge_weights(weights, student.config), part / MERGED)
    return student_id


def _config(student: Student) -> dict[str, Any]:
    """Describe the encoder for transformers; our own config stands beside it."""
    config = student.config.model_dump(mode="json")
    first, last = student.tokenizer.cls_id, student.tokenizer.sep_id
    return {
        **describe_encoder(ModernBertShape.of(config)),
        "pad_token_id": student.tokenizer.pad_id,
        "bos_token_id": first,
        "cls_token_id": first,
        "eos_token_id": last,
        "sep_token_id": last,
        checkpoint.CONFIG_KEY: config,
    }


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
