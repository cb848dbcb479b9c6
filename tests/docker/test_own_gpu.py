import os
import subprocess
import sys
from pathlib import Path

from docker import own_gpu

SCRIPT = Path(__file__).parents[2] / "docker" / "own_gpu.py"
LISTING = """\
GPU 0: NVIDIA H200 (UUID: GPU-11111111-aaaa-bbbb-cccc-000000000000)
  MIG 1g.18gb     Device  0: (UUID: MIG-22222222-aaaa-bbbb-cccc-000000000000)
GPU 1: NVIDIA H200 (UUID: GPU-33333333-aaaa-bbbb-cccc-000000000000)
"""
GPUS = own_gpu.GPU.findall(LISTING)
HOLD = """
import os, sys
from pathlib import Path
from docker import own_gpu
print(own_gpu.take(sys.argv[2:], Path(sys.argv[1])), flush=True)
os.execvp("cat", ["cat"])  # holds the lock, as what the container becomes does
"""


def hold(folder):
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *GPUS],
        cwd=SCRIPT.parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def listing_of(folder, text):
    """Give the folder of an `nvidia-smi` that lists such GPUs."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    return folder


def test_whole_gpus_are_listed_and_their_slices_are_not():
    assert [gpu[:12] for gpu in GPUS] == ["GPU-11111111", "GPU-33333333"]


def test_each_process_gets_a_gpu_of_its_own_until_there_is_none(tmp_path):
    with hold(tmp_path) as first, hold(tmp_path) as second:
        got = [first.stdout.readline().strip(), second.stdout.readline().strip()]
        none = own_gpu.take(GPUS, tmp_path)
        first.communicate()
        freed = own_gpu.take(GPUS, tmp_path)
        second.communicate()

    assert sorted(got) == GPUS
    assert none is None
    assert freed == got[0]


def test_a_machine_without_a_gpu_is_told_what_is_missing(tmp_path):
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "true"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert "found no GPU" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_command_runs_with_its_gpu_alone(tmp_path, monkeypatch):
    listing_of(tmp_path, LISTING)
    code = (
        "import sys; from pathlib import Path; from docker import own_gpu\n"
        "own_gpu.FOLDER = Path(sys.argv.pop(1))\n"
        "own_gpu.main()"
    )

    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "printenv", "CUDA_VISIBLE_DEVICES"],
        cwd=SCRIPT.parents[1],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.strip() == GPUS[0]


def test_a_worker_outside_does_not_get_the_containers_gpu(tmp_path):
    with hold(tmp_path) as container:
        gpu = container.stdout.readline().strip()
        environment = {"PATH": str(listing_of(tmp_path, LISTING))}
        code = (
            "import os; from pathlib import Path\n"
            "from worker.errors import NotHere\n"
            "from worker.transports import devices\n"
            f"print(devices.hold(Path({str(tmp_path)!r}), 1, os.environ).ids[0])\n"
            f"try: devices.hold(Path({str(tmp_path)!r}), 0, os.environ)\n"
            "except NotHere as error: print(error)"
        )
        outside = subprocess.run(
            [sys.executable, "-c", code],
            cwd=SCRIPT.parents[1],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        container.communicate()

    assert gpu == GPUS[0]
    free, refusal = outside.stdout.splitlines()
    assert free == GPUS[1]
    assert GPUS[0] in refusal
    assert "held by another teacher" in refusal


def test_the_containers_worker_holds_its_gpu_and_no_second_one_does(tmp_path):
    listing = listing_of(tmp_path, LISTING)
    become = (
        "import sys; from docker import own_gpu\n"
        "sys.argv = ['own_gpu.py', sys.executable, '-c', sys.argv[1]]\n"
        "own_gpu.main()"
    )
    take = (
        "import os; from worker.transports import devices\n"
        "from pathlib import Path\n"
        "folder = Path(os.environ['FARM_GPU_LOCKS'])\n"
        "held = devices.hold(folder, 0, os.environ)\n"
        "print(*held.ids, flush=True)\n"
        "code = ('import os; from pathlib import Path\\n'\n"
        "  'from worker.transports import devices\\n'\n"
        "  'devices.hold(Path(os.environ[\"FARM_GPU_LOCKS\"]), 0, os.environ)')\n"
        "import subprocess, sys\n"
        "second = subprocess.run([sys.executable, '-c', code], capture_output=True)\n"
        "print(b'NotHere' in second.stderr)"
    )

    result = subprocess.run(
        [sys.executable, "-c", become, take],
        cwd=SCRIPT.parents[1],
        env={
            "PATH": f"{listing}:{os.environ['PATH']}",
            "FARM_GPU_LOCKS": str(tmp_path),
            "PYTHONPATH": str(SCRIPT.parents[1]),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.split() == [GPUS[0], "True"]
