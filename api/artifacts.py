"""Read and write content-addressed files where FARM_ARTIFACTS points, for commands.

The layout is the workers' (worker.artifacts), which this side may not import.
"""

import hashlib
import uuid
from typing import Any

from api.errors import InvalidInput


def fetch_artifact(url: str, digest: str) -> bytes:
    """Read a file by its SHA-256 in hex.

    Raises:
        InvalidInput: it is not there, or was altered.
    """
    files, path = _locate(url, digest)
    try:
        content = bytes(files.cat_file(path))
    except FileNotFoundError as error:
        raise InvalidInput(
            f"the student's file {digest[:12]}… is not under {url}; expected what the "
            "workers wrote; set FARM_ARTIFACTS to their folder"
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise InvalidInput(
            f"the student's file {digest[:12]}… under {url} was altered; expected "
            "content of that SHA-256; restore it from a backup"
        )
    return content


def put_artifact(url: str, content: bytes) -> str:
    """Write a file, whole or not at all, and give its SHA-256 in hex.

    Raises:
        InvalidInput: the place cannot be written.
    """
    digest = hashlib.sha256(content).hexdigest()
    files, path = _locate(url, digest)
    try:
        if files.exists(path):
            return digest
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        part = f"{path}.{uuid.uuid4().hex}.part"
        try:
            files.pipe_file(part, content)
            files.mv(part, path)
        except OSError:
            if files.exists(part):
                files.rm(part)
            raise
    except OSError as error:
        raise InvalidInput(
            f"cannot write {len(content):,} bytes under {url}: {error}; free some "
            "space there or point FARM_ARTIFACTS elsewhere"
        ) from error
    return digest


def _locate(url: str, digest: str) -> tuple[Any, str]:
    """Give the file system and path of a hash."""
    import fsspec  # noqa: PLC0415  # half a second that most commands do not need

    files, root = fsspec.core.url_to_fs(url)
    return files, f"{root.rstrip('/')}/{digest[:2]}/{digest}"
