import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_mistakes_are_explained_before_anything_listens(farm, student_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "choose another with --port" in farm.mistake(
            "serve", student_folder, "--port", port
        )

    assert "does not load torch" in farm.mistake(
        "serve", student_folder, "--engine", "torch"
    )
    assert "headroom-0.42" in farm.mistake("serve", student_folder, "--override", "odd")
    assert "expected an id" in farm.mistake("serve", "nobody", "--port", "0")


@pytest.mark.slow
def test_a_student_is_served_without_torch_until_it_is_told_to_stop(student_folder):
    command = [sys.executable, "-m", "api.cli", "serve", str(student_folder)]
    with subprocess.Popen(
        [*command, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().split()[-1]
        body = json.dumps({"content": "disk is full " * 30}).encode()
        with urllib.request.urlopen(f"{url}/compress", body) as response:
            answer = json.load(response)
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == 0
    assert answer["original_tokens"] == 90
    assert "openvino" in maps
    assert "libtorch" not in maps
