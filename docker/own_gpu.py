#!/usr/bin/env python
"""Give this container a GPU of its own, then become the command: `own_gpu.py COMMAND…`.

`--scale worker-teacher=4` starts four equal containers, and an engine would show all of
them the same first GPU. Here each takes the first GPU that no other has locked; the
lock is a file in a folder that the containers share, and ends with the process. A
worker outside takes the same ones (worker/transports/devices.py, which this must agree
with: it stands alone in the image); the one inside is told what is held for it.
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

FOLDER = Path("/gpus")
# Read by the worker that the command starts.
HELD, LOCKS = "FARM_GPUS_HELD", "FARM_GPU_LOCKS"
POLL_S = 5.0
# A line of `nvidia-smi --list-gpus`; MIG slices have an indented line of another form.
GPU = re.compile(r"^GPU \d+: .*\(UUID: (GPU-[0-9a-f-]+)\)", re.MULTILINE)


def main() -> int:
    """Take a GPU, waiting while all are taken, and run the command with it."""
    command = sys.argv[1:]
    if not command:
        sys.stderr.write("found no command; expected `own_gpu.py COMMAND…`\n")
        return 2
    gpus = list_gpus()
    if not gpus:
        sys.stderr.write(
            "found no GPU; expected one that `nvidia-smi --list-gpus` lists; install "
            "the NVIDIA container toolkit and start with the profile `gpu`\n"
        )
        return 2
    folder = Path(os.environ.get(LOCKS, FOLDER))
    while (gpu := take(gpus, folder)) is None:
        sys.stderr.write(f"all {len(gpus)} GPUs are taken; waiting for one\n")
        time.sleep(POLL_S)
    return _become(command, gpu, folder)


def list_gpus() -> list[str]:
    """List the ids of all GPUs that this container sees."""
    try:
        result = subprocess.run(
            ["nvidia-smi", "--list-gpus"],  # noqa: S607  # mounted by NVIDIA's toolkit
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return []
    return GPU.findall(result.stdout)


def take(gpus: Sequence[str], folder: Path) -> str | None:
    """Lock the first free GPU for as long as this process, or what it becomes, lives.

    Args:
        gpus: ids, in the order of preference.
        folder: where the lock files are; shared by all that share the GPUs.

    Returns:
        The id of the GPU, None if all are taken.
    """
    for gpu in gpus:
        lock = os.open(folder / gpu, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        # Left open over the exec: closing it would free the GPU.
        os.set_inheritable(lock, True)  # noqa: FBT003  # takes no name
        return gpu
    return None


def _become(command: Sequence[str], gpu: str, folder: Path) -> NoReturn:
    os.environ.update({"CUDA_VISIBLE_DEVICES": gpu, HELD: gpu, LOCKS: str(folder)})
    os.execvp(command[0], list(command))  # noqa: S606  # the container's own command


if __name__ == "__main__":
    sys.exit(main())
