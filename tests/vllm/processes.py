"""vLLM as other processes, in its own environment: the engine, and `vllm serve`."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path

from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Capabilities
from worker.errors import EngineDied

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".farm" / "vllm-venv" / "bin" / "python"
DRIVER = Path(__file__).with_name("drive_engine.py")
SERVE = Path(__file__).with_name("serve.py")
SERVED = "micro"
# One of them reads the model while the other waits; a busy machine takes its time.
LOAD_S = 400.0


def environment(folder):
    """Give the variables of a vLLM process whose cache and home are `folder`."""
    return {
        "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        # Threads of several programs on few cores wait for each other.
        "OMP_NUM_THREADS": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_LOGGING_LEVEL": "WARNING",
    }


class EngineProcess:
    """`VllmEngine` at the end of a pipe; a `Transport` for the tests' own process."""

    capabilities = Capabilities(
        forced_tokens=True, logprobs=True, samples=True, prefix_cache=True
    )

    def __init__(self, spec: ModelSpec, folder: Path) -> None:
        self.spec = spec
        self.load_s = 0.0
        self._folder = folder
        self._process = None

    def ask(self, requests, *, tick, deadline_s, ticks=-1):
        """Answer; with `ticks` the tick of the other process raises after so many."""
        asked = [asdict(request) for request in requests]
        for message in self.do(
            "ask", requests=asked, deadline_s=deadline_s, ticks=ticks
        ):
            tick()
            if "failed" in message:
                yield message["place"], AskFailed(**message["failed"])
                continue
            given, written = message["tokens"]
            body = base64.b64decode(message["body"])
            answer = Answer.from_bytes(body, input_tokens=given, output_tokens=written)
            yield message["place"], answer

    def max_tokens(self, request):
        [message] = self.do("max_tokens", request=asdict(request))
        return tuple(message["value"])

    def do(self, name, **arguments):
        """Send a command and give its messages; raises what the other one says."""
        process = self._started()
        process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
        process.stdin.flush()
        yield from self._messages(process)

    def close(self):
        if self._process is not None:
            process, self._process = self._process, None
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            _kill_group(process)
            process.stdout.close()

    def _started(self):
        if self._process is None:
            started = time.monotonic()
            with (self._folder / "engine.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        str(PYTHON), str(DRIVER), str(self._folder / "locks"),
                        json.dumps(asdict(self.spec)),
                    ],
                    cwd=self._folder,
                    env=environment(self._folder),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )  # fmt: skip
            list(self._messages(self._process))
            self.load_s = time.monotonic() - started
        return self._process

    def _messages(self, process):
        for line in process.stdout:
            message = json.loads(line)
            if "end" not in message:
                yield message
                continue
            if message["end"] == "EngineDied":
                raise EngineDied(message["error"])
            if "error" in message:
                raise RuntimeError(f"{message['end']}: {message['error']}")
            return
        log = (self._folder / "engine.log").read_text(errors="replace")
        raise RuntimeError(f"the engine's process ended:\n{log[-4000:]}")


class Server:
    """`vllm serve` on a port that stays the same over restarts."""

    def __init__(self, spec: ModelSpec, folder: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.model = SERVED
        self.load_s = 0.0
        self._spec = spec
        self._folder = folder
        self._process = None

    def start(self):
        """Start it and wait until it answers."""
        started = time.monotonic()
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self._folder,
                env=environment(self._folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() - started > LOAD_S:
                log = (self._folder / "server.log").read_text(errors="replace")
                self.kill()
                raise RuntimeError(f"`vllm serve` does not answer:\n{log[-4000:]}")
            time.sleep(0.3)
        self.load_s = time.monotonic() - started

    def is_ready(self) -> bool:
        """Tell whether it answers now."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/health", timeout=5
            ) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        """End it and its engine at once, as a machine that fails does."""
        if self._process is not None:
            _kill_group(self._process)
            self._process = None

    def _command(self):
        return [
            str(PYTHON), str(SERVE), "serve", self._spec.model,
            "--served-model-name", SERVED,
            "--host", "127.0.0.1",
            "--port", str(self.port),
            "--dtype", "float32",
            "--enforce-eager",
            "--enable-prefix-caching",
            # On a CPU half a prompt and a seed end vLLM 0.32.
            "--no-enable-chunked-prefill",
            "--max-num-batched-tokens", "4096",
            "--max-model-len", str(self._spec.max_model_tokens),
            "--max-num-seqs", "512",
            # P of the allowed tokens alone, and no sampling habits of the model's.
            "--logprobs-mode", "processed_logprobs",
            "--generation-config", "vllm",
            "--disable-log-stats",
            "--no-enable-log-requests",
            "--disable-uvicorn-access-log",
        ]  # fmt: skip


def _kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)


def _free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
