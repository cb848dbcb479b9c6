import os
import subprocess
import sys
from pathlib import Path

import pytest

from kompress.errors import InvalidConfig
from worker.errors import NotHere
from worker.transports import devices

ROOT = Path(__file__).parents[3]
ONE, TWO = "GPU-1111-aaaa", "GPU-2222-bbbb"
GPUS = [ONE, TWO]
HOLD = """
import os, sys
from pathlib import Path
from worker.transports import devices
print(*devices.hold(Path(sys.argv[1]), int(sys.argv[2]), os.environ).ids, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """A machine of two GPUs, as the driver's own program lists them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    lines = "\n".join(f"GPU {n}: NVIDIA H200 (UUID: {g})" for n, g in enumerate(GPUS))
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{lines}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.fixture
def no_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


def other_process(folder, num_gpus):
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(num_gpus)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, GPUS),
        ("", []),
        ("1", [TWO]),
        ("1,0", [TWO, ONE]),
        ("0,7,1", [ONE]),  # the first wrong one ends the list
        ("GPU-22", [TWO]),
        ("-1", []),
        ("MIG-33", ["MIG-33"]),
    ],
)
def test_visible_gpus_are_those_that_cuda_would_show(visible, expected):
    assert devices.visible_gpus(GPUS, visible) == tuple(expected)


@pytest.mark.usefixtures("gpus")
def test_a_second_process_gets_the_other_gpu_and_a_third_none(tmp_path):
    folder = tmp_path / "locks"
    with other_process(folder, 1) as first, other_process(folder, 1) as second:
        got = {first.stdout.readline().strip(), second.stdout.readline().strip()}
        with pytest.raises(NotHere, match="held by another teacher"):
            devices.hold(folder, 1, {})
        first.communicate()
        freed = devices.hold(folder, 1, {})
        second.communicate()

    assert got == set(GPUS)
    assert len(freed.ids) == 1
    freed.release()


@pytest.mark.usefixtures("gpus")
def test_what_lacks_one_gpu_leaves_the_others_free(tmp_path):
    with other_process(tmp_path, 1) as other:
        taken = other.stdout.readline().strip()
        with pytest.raises(NotHere, match=taken):
            devices.hold(tmp_path, 0, {})
        with other_process(tmp_path, 1) as third:
            got = third.stdout.readline().strip()
            third.communicate()
        other.communicate()

    assert {taken, got} == set(GPUS)


@pytest.mark.usefixtures("no_gpus")
def test_without_a_gpu_the_machine_is_one_device(tmp_path):
    folder = tmp_path / "locks"
    held = devices.hold(folder, 4, {})
    again = devices.hold(folder, 0, {})

    assert held.ids == again.ids == ()
    with other_process(folder, 0) as other:
        other.communicate()
        assert other.returncode == 1  # this process has it
    held.release()
    held.release()
    with other_process(folder, 0) as other:
        other.communicate()
        assert other.returncode == 1  # and holds it once more
    again.release()
    with other_process(folder, 0) as other:
        other.communicate()
        assert other.returncode == 0


@pytest.mark.usefixtures("gpus")
def test_more_gpus_than_there_are_is_a_mistake_in_the_settings(tmp_path):
    with pytest.raises(InvalidConfig, match="found 2 visible GPUs"):
        devices.hold(tmp_path, 3, {})


@pytest.mark.usefixtures("gpus")
def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path):
    target = tmp_path / "victim"
    (tmp_path / ONE).symlink_to(target)

    with pytest.raises(OSError, match="symbolic link"):
        devices.hold(tmp_path, 1, {})
    assert not target.exists()
