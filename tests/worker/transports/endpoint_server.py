"""A real HTTP server that speaks the protocol of chat completions, and fails on demand.

What it answers is decided for each request by `server.decide(number, body)`: a `Reply`,
or None for a correct answer. Nothing about it knows the code under test.
"""

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Of the letters that protocols force.
TOKENS = {"K": 45, "D": 38, "A": 35, "B": 36, "T": 54}
LETTERS = {number: letter for letter, number in TOKENS.items()}


@dataclass(frozen=True)
class Reply:
    """What is sent instead of a correct answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    # Bytes of the body after which the connection is cut; None to send it all.
    cut_at: int | None = None


Decide = Callable[[int, dict[str, Any]], Reply | None]


class EndpointServer(ThreadingHTTPServer):
    """Counts what it is asked; `decide` may be replaced at any time."""

    request_queue_size = 1_024
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.decide: Decide = lambda number, body: None
        self.delay_s = 0.0
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.sent_at: list[float] = []
        self.paths: list[str] = []
        self.num_open = self.most_open = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def num_asked(self) -> int:
        return len(self.bodies)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EndpointServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self._send(Reply(404))

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.paths.append(self.path)
        if self.path == "/tokenize":
            token = TOKENS.get(body["prompt"])
            tokens = [1, 2] if token is None else [token]
            self._send(Reply(body=json.dumps({"tokens": tokens}).encode()))
            return
        with server.lock:
            number = len(server.bodies)
            server.bodies.append(body)
            server.headers.append({k.lower(): v for k, v in self.headers.items()})
            server.sent_at.append(time.monotonic())
            server.num_open += 1
            server.most_open = max(server.most_open, server.num_open)
        reply = server.decide(number, body)
        time.sleep(server.delay_s if reply is None else reply.delay_s)
        with server.lock:
            server.num_open -= 1
        self._send(reply or Reply(body=json.dumps(completion(body)).encode()))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.cut_at is None:
            self.wfile.write(reply.body)
            return
        self.wfile.write(reply.body[: reply.cut_at])
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def completion(body: dict[str, Any], *, p_first: float = 0.75) -> dict[str, Any]:
    """Answer correctly, as vLLM 0.32 does: P of the first choice is `p_first`."""
    num_samples = body.get("n", 1)
    ids = body.get("allowed_token_ids", [])
    num_tokens = body["max_tokens"] if ids else 2
    choices = []
    for index in range(num_samples):
        choice: dict[str, Any] = {"index": index, "logprobs": None}
        if ids:
            letter = LETTERS[ids[0]]
            choice["message"] = {"role": "assistant", "content": letter * num_tokens}
            choice["finish_reason"] = "length"
        else:
            text = f"echo {body['messages'][1]['content']}"
            choice["message"] = {"role": "assistant", "content": text}
            choice["finish_reason"] = "stop"
        if ids and body.get("logprobs"):
            choice["logprobs"] = {"content": [_token(ids, p_first)] * num_tokens}
        choices.append(choice)
    usage = {"prompt_tokens": 11, "completion_tokens": num_tokens * num_samples}
    return {"object": "chat.completion", "choices": choices, "usage": usage}


def _token(ids: list[int], p_first: float) -> dict[str, Any]:
    rest = (1 - p_first) / max(1, len(ids) - 1)
    top = [
        {"token": f"token_id:{token}", "logprob": math.log(p_first if i == 0 else rest)}
        for i, token in enumerate(ids)
    ]
    return top[0] | {"top_logprobs": top}


@contextmanager
def running_server(port: int = 0) -> Iterator[EndpointServer]:
    """Serve on a port of its own until the block ends."""
    server = EndpointServer(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
