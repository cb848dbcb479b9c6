"""A lock for each GPU: two models share none by accident, whoever started them.

A lock is an flock on a file named like the GPU's UUID, in a folder that all workers of
a host share; it ends with the process. Without a GPU the whole machine is one device,
`cpu`. `docker/own_gpu.py` takes the same locks for a container and tells its ids by
`HELD`; a worker inside then takes `<id>.worker`, so that two of them do not share it.
"""

import fcntl
import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kompress.errors import InvalidConfig
from worker.errors import NotHere

CPU = "cpu"
HELD = "FARM_GPUS_HELD"
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Lines of `nvidia-smi --list-gpus`; a slice has an indented line below its GPU's.
_GPU = re.compile(r"^GPU \d+: .*\(UUID: (GPU-[0-9a-f-]+)\)", re.MULTILINE)


@dataclass(slots=True)
class _Lock:
    file: int
    num_holders: int = 1


# A process holds a lock once, however many of its models use the GPU.
_LOCKS: dict[Path, _Lock] = {}
_GUARD = threading.Lock()


@dataclass(slots=True)
class HeldDevices:
    """Devices that this process holds until `release`, or its end.

    Attributes:
        ids: UUIDs in the order of use; empty where there is no GPU.
    """

    ids: tuple[str, ...]
    _paths: list[Path] = field(default_factory=list)

    def release(self) -> None:
        """Give the devices back; a second call does nothing."""
        with _GUARD:
            while self._paths:
                _let_go(self._paths.pop())


def hold(folder: Path, num_gpus: int, environment: Mapping[str, str]) -> HeldDevices:
    """Lock GPUs for this process.

    Args:
        folder: of the lock files, made if missing.
        num_gpus: how many, the first free ones; 0 for all that are visible.
        environment: of the process: CUDA_VISIBLE_DEVICES and what is held already.

    Returns:
        What is held. The caller makes only these visible to CUDA.

    Raises:
        NotHere: too few of the GPUs are free now.
        InvalidConfig: the worker does not see so many GPUs.
    """
    visible = visible_gpus(list_gpus(), environment.get(VISIBLE))
    if not visible:
        # A model asked for on several GPUs still runs here: slower, and equally right.
        return _hold(folder, (CPU,), 1, environment, ids=())
    if num_gpus > len(visible):
        raise InvalidConfig(
            f"found {len(visible)} visible GPUs; expected the {num_gpus} that the "
            "voter's `gpus` asks for; lower it, or start the worker with more"
        )
    return _hold(folder, visible, num_gpus or len(visible), environment)


def list_gpus() -> list[str]:
    """List the UUIDs of all GPUs of this machine, or that its container was given."""
    try:
        result = subprocess.run(
            ["nvidia-smi", "--list-gpus"],  # noqa: S607  # comes with the driver
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return []
    return _GPU.findall(result.stdout)


def visible_gpus(gpus: Sequence[str], visible: str | None) -> tuple[str, ...]:
    """Read CUDA_VISIBLE_DEVICES as CUDA does.

    Args:
        gpus: UUIDs of all GPUs.
        visible: indices, UUIDs, or beginnings of UUIDs; the first wrong one ends the
            list, and a slice (`MIG-…`) is a device of its own. None shows all.

    Source: CUDA C++ Programming Guide, "CUDA Environment Variables".
    """
    if visible is None:
        return tuple(gpus)
    found: list[str] = []
    for entry in (entry.strip() for entry in visible.split(",")):
        if entry.isdecimal() and int(entry) < len(gpus):
            found.append(gpus[int(entry)])
        elif entry.startswith("MIG-") and gpus:
            found.append(entry)
        elif entry.startswith("GPU-") and (
            named := [gpu for gpu in gpus if gpu.startswith(entry)]
        ):
            found.append(named[0])
        else:
            break
    return tuple(found)


def _hold(
    folder: Path,
    candidates: Sequence[str],
    num_wanted: int,
    environment: Mapping[str, str],
    ids: tuple[str, ...] | None = None,
) -> HeldDevices:
    """Lock the first free ones, all or none."""
    _make_shared(folder)
    inherited = environment.get(HELD, "").split(",")
    taken: dict[str, Path] = {}
    with _GUARD:
        for device in candidates:
            name = f"{device}.worker" if device in inherited else device
            if len(taken) < num_wanted and _take(folder / name):
                taken[device] = folder / name
    held = HeldDevices(tuple(taken) if ids is None else ids, list(taken.values()))
    if len(taken) == num_wanted:
        return held
    held.release()
    busy = [device for device in candidates if device not in taken]
    raise NotHere(
        f"the device {', '.join(busy)} is held by another teacher (its lock file is in "
        f"{folder}); expected {num_wanted} free of {len(candidates)}; end its worker, "
        "or start this one on a machine of its own"
    )


def _take(path: Path) -> bool:
    """Lock a file; True too if this process has it. `_GUARD` is held."""
    lock = _LOCKS.get(path)
    if lock is not None:
        lock.num_holders += 1
        return True
    # Closed on exec: an engine's own processes must not keep a GPU that ours gave back.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    _LOCKS[path] = _Lock(file)
    return True


def _let_go(path: Path) -> None:
    """Drop one holder, and with the last one the lock. `_GUARD` is held."""
    lock = _LOCKS[path]
    lock.num_holders -= 1
    if not lock.num_holders:
        os.close(lock.file)
        del _LOCKS[path]


def _make_shared(folder: Path) -> None:
    """Make the folder so that every user of the host can lock, as in /tmp."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)
