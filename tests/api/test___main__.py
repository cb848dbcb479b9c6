import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.limits import HEADERS_S


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow
def test_the_service_closes_a_connection_whose_request_does_not_end(database_url):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "api", "--port", str(port)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "FARM_DATABASE_URL": database_url},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                slow = socket.create_connection(("127.0.0.1", port), HEADERS_S + 10)
                break
            except ConnectionRefusedError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with slow:
            slow.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
            assert slow.recv(99) == b""
    finally:
        process.terminate()
        process.wait(20)
