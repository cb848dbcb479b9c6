"""Folders of sockets: short enough for the kernel, and closed to everybody else."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from db.errors import StoreError

# A Unix socket's path is cut at 107 bytes on Linux, 103 on a Mac.
MAX_SOCKET_PATH = 100
# What Postgres' option and Redis' URL take as it is.
PLAIN = re.compile(r"[\w/.+-]*", re.ASCII)


def short_folder(inside: Path, *, owner: int) -> Path:
    """Give the folder for a socket: where it should be, or one where paths are short.

    Args:
        inside: the socket's path in a folder that only its owner may enter.
        owner: the user id that makes the socket.

    Raises:
        StoreError: somebody else has a folder of that name.
    """
    folder = short_path(inside).parent
    if folder != inside.parent:
        _make_private(folder, owner)
    return folder


def short_path(inside: Path) -> Path:
    """Give the path of a socket; makes nothing."""
    if len(os.fsencode(inside)) < MAX_SOCKET_PATH and PLAIN.fullmatch(str(inside)):
        return inside
    name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:12]
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  # checked by whose it is
        path = Path(parent) / f"farm-{os.getuid()}-{name}" / inside.name
        if len(os.fsencode(path)) < MAX_SOCKET_PATH and PLAIN.fullmatch(str(path)):
            break
    return path


def _make_private(folder: Path, owner: int) -> None:
    """Make a folder that only its owner may enter, or make sure that it is one."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    except FileExistsError:
        pass
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
        raise StoreError(
            f"{folder} belongs to user {found.st_uid}; expected a folder of user "
            f"{owner} for a socket; remove it or choose a shorter FARM_HOME"
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
