"""Lay an exported student out as an offline cache of the hub.

The deployed client refuses a folder as a model id, and always takes its tokenizer (and,
with torch, its encoder) from answerdotai/ModernBERT-base at one revision. A cache that
holds both repositories under those names is what it needs to run without a network.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.numpy import load_file, save_file

from kompress.errors import InvalidCheckpoint
from kompress.export.headroom import CARD, TOKENIZER_CONFIG, Exported
from kompress.students import checkpoint
from kompress.students.foreign_weights import MERGED
from kompress.students.hub import MODERNBERT, MODERNBERT_REVISION
from kompress.students.modernbert_shape import PREFIX

HUB = "hub"
REVISION_DIGITS = 40


def write_hub_cache(exported: Exported, home: Path | str) -> Path:
    """Add an exported student to a cache folder.

    Args:
        exported: what `export` gave.
        home: what HF_HOME shall name; made if missing.

    Returns:
        The folder of the repositories, `home`/hub (HF_HUB_CACHE).

    Raises:
        InvalidCheckpoint: the cache holds another student under this name, or the
            tokenizer or encoder of another one: each cache can hold only one student
            of each name, and students of one tokenizer.

    Source: docs/references.md, "The deployed client"; huggingface_hub's layout.
    """
    hub = Path(home) / HUB
    folder = exported.folder
    names = [*exported.digests, checkpoint.EXPORT]
    own = {name: folder / name for name in names}
    base = {
        name: folder / name
        for name in (checkpoint.CONFIG, checkpoint.TOKENIZER, TOKENIZER_CONFIG)
    }
    revision = exported.student_id[:REVISION_DIGITS]
    places = (
        (hub / _repo_folder(exported.repo_id), revision, own),
        (hub / _repo_folder(MODERNBERT), MODERNBERT_REVISION, base),
    )
    for repo, of_repo, files in places:
        _check(repo, of_repo, files)
    for repo, of_repo, files in places:
        _write_repo(repo, of_repo, files)
        # The folder serves as HF_HOME and as HF_HUB_CACHE alike.
        shortcut = Path(home) / repo.name
        if not shortcut.is_symlink():
            shortcut.symlink_to(Path(HUB) / repo.name)
    if MERGED in exported.digests:
        encoder = hub / _repo_folder(MODERNBERT) / "snapshots" / MODERNBERT_REVISION
        _write_encoder(folder, encoder / checkpoint.WEIGHTS)
    return hub


def _repo_folder(repo_id: str) -> str:
    return f"models--{repo_id.replace('/', '--')}"


def _check(repo: Path, revision: str, files: Mapping[str, Path]) -> None:
    """Refuse a cache that holds something else under the same name."""
    refs = repo / "refs" / "main"
    if refs.exists() and refs.read_text().strip() != revision:
        raise InvalidCheckpoint(
            f"{refs} names revision {refs.read_text().strip()[:12]}, not "
            f"{revision[:12]}; expected a cache without this model; choose another "
            "folder or another name"
        )
    for name, source in files.items():
        place = repo / "snapshots" / revision / name
        # The card and its hash may differ: new scores of the same student.
        if name in (CARD, checkpoint.EXPORT) or not place.exists():
            continue
        if place.read_bytes() != source.read_bytes():
            raise InvalidCheckpoint(
                f"{place} differs from {source}; expected a cache without this model, "
                "or with one of the same tokenizer and size; choose another folder"
            )


def _write_repo(repo: Path, revision: str, files: Mapping[str, Path]) -> None:
    for name, source in files.items():
        place = repo / "snapshots" / revision / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        _link_or_copy(source, place)
    refs = repo / "refs" / "main"
    refs.parent.mkdir(parents=True, exist_ok=True)
    refs.write_text(revision)


def _write_encoder(folder: Path, place: Path) -> None:
    """Write the encoder alone, as transformers' ModernBERT names its weights."""
    if place.exists():
        return
    weights = load_file(folder / checkpoint.WEIGHTS)
    encoder = {
        key.removeprefix(PREFIX): value
        for key, value in weights.items()
        if key.startswith(PREFIX)
    }
    save_file(encoder, place, {"format": "pt"})


def _link_or_copy(source: Path, place: Path) -> None:
    """Link a file where that works: weights need not lie on the disk twice."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
