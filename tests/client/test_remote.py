"""`farm serve` as headroom's remote endpoint, driven by headroom's remote client."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from kompress.export.client_rules import shorten
from kompress.students import load
from kompress.students.engines.registry import CPU_ENGINE

pytestmark = [pytest.mark.client, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(exported):
    """`farm serve` of the exported folder; gives the process and its URL."""
    command = [sys.executable, "-m", "api.cli", "serve", str(exported.folder)]
    with subprocess.Popen(
        [*command, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().split()[-1]
        yield process, url
        process.terminate()


@pytest.mark.parametrize("ratio", [None, 0.5])
def test_the_remote_client_gets_what_our_scorer_keeps(
    server, exported, drive, long_texts, ratio
):
    _, url = server
    student = load(exported.folder, engine=CPU_ENGINE)

    answer = drive({"texts": long_texts, "endpoint": url, "target_ratio": ratio})

    expected = [
        shorten(text, score_N, student.tokenizer, keep_rate=ratio)
        for text, score_N in zip(long_texts, student.score(long_texts), strict=True)
    ]
    # The client hides every error by handing the text back under its own model's name.
    assert answer["models"] == [exported.student_id]
    assert answer["compressed"] == [short.text for short in expected]
    kept = [int(short.keep_N.sum()) for short in expected]
    assert answer["compressed_tokens"] == kept
    num_words = [len(text.split()) for text in long_texts]
    assert answer["original_tokens"] == num_words
    assert answer["ratios"] == pytest.approx(np.array(kept) / num_words)
    assert answer["modules"] == []


def test_the_server_runs_without_torch_and_stops_when_asked(server, long_texts):
    process, url = server
    body = json.dumps({"content": long_texts[0]}).encode()
    with urllib.request.urlopen(f"{url}/compress", body) as response:
        assert json.load(response)["compressed"] != long_texts[0]
    maps = Path(f"/proc/{process.pid}/maps").read_text()

    process.send_signal(signal.SIGTERM)

    assert "openvino" in maps
    assert "libtorch" not in maps
    assert process.wait(timeout=30) == 0
