"""Content-addressed files that all hosts share: checkpoints, voters' snapshots.

An artifact is written before the row that names it, under the SHA-256 of its bytes,
so a repeated write is harmless and a row never names something half-written.
"""

import hashlib
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from db.garbage import SCRATCH
from worker.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """Files under one fsspec URL (a folder, a bucket)."""

    url: str

    def put(self, blob: bytes) -> str:
        """Store bytes and return their SHA-256 in hex.

        Raises:
            ArtifactError: the store cannot be written; nothing half-written remains
                under the hash.
        """
        digest = hashlib.sha256(blob).hexdigest()
        files, path = self._locate(digest)
        try:
            if files.exists(path):
                return digest
            files.makedirs(files._parent(path), exist_ok=True)  # noqa: SLF001  # fsspec's only name for it
            # Two hosts, or two forked children, may write the same bytes at once.
            part = f"{path}.{uuid.uuid4().hex}.part"
            try:
                with files.open(part, "wb") as out:
                    out.write(blob)
                files.mv(part, path)
            except OSError:
                if files.exists(part):
                    files.rm(part)
                raise
        except OSError as error:
            raise ArtifactError(
                f"cannot write {len(blob)} bytes under {self.url}: {error}; free some "
                "space there or point FARM_ARTIFACTS elsewhere, then "
                "retry the job"
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """Read bytes by their SHA-256 and verify them.

        Raises:
            ArtifactError: nothing is stored under the hash, or it was altered.
        """
        files, path = self._locate(digest)
        try:
            with files.open(path, "rb") as source:
                blob = bytes(source.read())
        except OSError as error:
            raise ArtifactError(
                f"artifact {digest} is not under {self.url}: {error}; all hosts must "
                "share FARM_ARTIFACTS"
            ) from error
        found = hashlib.sha256(blob).hexdigest()
        if found != digest:
            raise ArtifactError(
                f"artifact {digest} has content {found}: it was altered; restore it "
                "from a backup or delete it and run the round again"
            )
        return blob

    def scratch(self, name: str) -> Path:
        """Give a folder for what a job keeps between its attempts.

        Beside the artifacts if they lie on a file system that hosts share; else in this
        host's temporary folder, where only an attempt on the same host finds it.
        """
        files, root = fsspec.core.url_to_fs(self.url)
        is_local = isinstance(files, LocalFileSystem)
        base = Path(root) if is_local else Path(tempfile.gettempdir()) / "farm"
        return base / SCRATCH / name

    def drop_scratch(self, name: str) -> None:
        """Delete a job's scratch folder, if there is one."""
        shutil.rmtree(self.scratch(name), ignore_errors=True)

    def _locate(self, digest: str) -> tuple[Any, str]:
        """Give the file system and path of a hash."""
        files, root = fsspec.core.url_to_fs(self.url)
        return files, f"{root.rstrip('/')}/{digest[:2]}/{digest}"
