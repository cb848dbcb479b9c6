"""A student's folder: its files, their hashes, and the folder as one blob.

`student.json` lists every other file's sha256; the sha256 of `student.json` is the
student's id, so one changed byte anywhere is another student.

An exported folder (kompress.export.headroom) holds the same student, id and all, among
the files that others load: our config stands inside their `config.json`, and
`export.json` lists the sha256 of every file beside `student.json`.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from kompress.errors import InvalidCheckpoint

MANIFEST = "student.json"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
RECIPE = "recipe.json"
LINEAGE = "lineage.json"
FILES = (CONFIG, LINEAGE, WEIGHTS, RECIPE, TOKENIZER)
EXPORT = "export.json"
CONFIG_KEY = "kompress"  # our config's place in an exported folder's config.json
FORMAT = 1


def write_folder(folder: Path, files: dict[str, bytes]) -> str:
    """Write a student's files and their manifest, the manifest last.

    Args:
        folder: made if missing; must hold nothing but files of these names.
        files: contents by name, exactly `FILES`.

    Returns:
        The student's id: 64 hex digits.

    Raises:
        InvalidCheckpoint: the names are not `FILES`, or the folder holds other files.
    """
    _check_names("the files to save", set(files), set(FILES))
    folder.mkdir(parents=True, exist_ok=True)
    foreign = {path.name for path in folder.iterdir()} - {*FILES, MANIFEST}
    if foreign:
        raise InvalidCheckpoint(
            f"{folder} already holds {', '.join(sorted(foreign))}; expected an empty "
            "folder; choose another"
        )
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = _manifest({name: _digest(content) for name, content in files.items()})
    (folder / MANIFEST).write_bytes(manifest)
    return _digest(manifest)


def read_folder(folder: Path) -> tuple[str, dict[str, bytes]]:
    """Read a student's files, every one checked against the manifest.

    Args:
        folder: a student's own folder, or an exported one, whose other files are
            left alone.

    Returns:
        The student's id and the contents by name, the manifest left out.

    Raises:
        InvalidCheckpoint: names every missing, altered or foreign file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidCheckpoint(
            f"{folder} is no folder; expected a student's folder with {MANIFEST}"
        )
    found = {path.name for path in folder.iterdir()}
    is_exported = EXPORT in found
    wanted = {*FILES, MANIFEST}
    _check_names(str(folder), found & wanted if is_exported else found, wanted)
    manifest = (folder / MANIFEST).read_bytes()
    files = {name: (folder / name).read_bytes() for name in sorted(FILES)}
    if is_exported:
        files[CONFIG] = _own_config(files[CONFIG], folder)
    listed = _listed(manifest, folder)
    altered = [name for name in FILES if _digest(files[name]) != listed.get(name)]
    if altered:
        raise InvalidCheckpoint(
            f"{folder}: {', '.join(altered)} differ from the sha256 in {MANIFEST}; "
            "expected the files as they were saved; restore them from the artifact"
        )
    if manifest != _manifest(listed):
        raise InvalidCheckpoint(
            f"{folder}: {MANIFEST} was edited; expected it as it was saved; restore it"
        )
    return _digest(manifest), files


def find_exported(folder: Path, name: str) -> Path | None:
    """Find a file that an export put beside the student's own.

    Args:
        folder: a student's folder of either kind.
        name: the file's path within it, such as `onnx/kompress-fp32.onnx`.

    Returns:
        Its path, the content checked against `export.json`; None if the folder is no
        export, or the file was left out when it was copied.

    Raises:
        InvalidCheckpoint: the file was altered, or `export.json` cannot be read.
    """
    path = Path(folder) / name
    listing = Path(folder) / EXPORT
    if not listing.exists() or not path.exists():
        return None
    try:
        digest = json.loads(listing.read_bytes())["files"].get(name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidCheckpoint(
            f"{listing} cannot be read ({error!r}); expected JSON with `files`; export "
            "the student again"
        ) from error
    with path.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    if found != digest:
        raise InvalidCheckpoint(
            f"{path} differs from the sha256 in {EXPORT}; expected the file as it was "
            "exported; export the student again"
        )
    return path


def pack(folder: Path) -> bytes:
    """Put a student's folder into one blob; equal students give equal blobs.

    Returns:
        An uncompressed tar with sorted names, no times and no owners.

    Raises:
        InvalidCheckpoint: the folder is not a whole student.
    """
    _, files = read_folder(folder)
    files[MANIFEST] = (Path(folder) / MANIFEST).read_bytes()
    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return blob.getvalue()


def unpack(blob: bytes, folder: Path) -> str:
    """Write a blob's files into a folder and check them.

    Args:
        blob: what `pack` gave.
        folder: made if missing.

    Returns:
        The student's id.

    Raises:
        InvalidCheckpoint: the blob is no tar, holds anything but plain files with a
            student's names, or its contents do not match their manifest.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(blob), mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if member.name not in {*FILES, MANIFEST} or content is None:
                    raise InvalidCheckpoint(
                        f"the blob holds {member.name!r}; expected only plain files "
                        f"named {', '.join((*FILES, MANIFEST))}; nothing was written"
                    )
                files[member.name] = content.read()
    except tarfile.TarError as error:
        raise InvalidCheckpoint(
            f"the blob is no tar of a student ({error}); expected what pack() gave"
        ) from error
    _check_names("the blob", set(files), {*FILES, MANIFEST})
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return read_folder(folder)[0]


def to_json(content: Any) -> bytes:
    """Write plain data as a student's folder holds it; equal data give equal bytes."""
    return (json.dumps(content, sort_keys=True, indent=1) + "\n").encode()


def _manifest(digests: dict[str, str]) -> bytes:
    return to_json({"format": FORMAT, "files": digests})


def _own_config(exported: bytes, folder: Path) -> bytes:
    """Take our config out of the one that others read, as it was saved."""
    try:
        return to_json(json.loads(exported)[CONFIG_KEY])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidCheckpoint(
            f"{folder}: {CONFIG} has no {CONFIG_KEY!r} ({error!r}); expected an "
            "exported student's; restore it, or export the student again"
        ) from error


def _listed(manifest: bytes, folder: Path) -> dict[str, str]:
    try:
        content = json.loads(manifest)
        form, listed = content["format"], dict(content["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidCheckpoint(
            f"{folder}: {MANIFEST} cannot be read ({error!r}); expected JSON with "
            "`format` and `files`; restore it"
        ) from error
    if form != FORMAT:
        raise InvalidCheckpoint(
            f"{folder}: {MANIFEST} has format {form!r}; expected {FORMAT}; use a "
            "version of the farm that knows it"
        )
    return listed


def _check_names(where: str, found: set[str], expected: set[str]) -> None:
    missing = sorted(expected - found)
    foreign = sorted(found - expected)
    if missing or foreign:
        raise InvalidCheckpoint(
            f"{where}: missing {', '.join(missing) or 'nothing'}; "
            f"foreign {', '.join(foreign) or 'nothing'}; expected exactly "
            f"{', '.join(sorted(expected))}"
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
