"""One client cannot take the service away from all others."""

import socket
import threading
import time

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from api import problems
from api.limits import ClientLimits, FailedLogins, TimedProtocol


def make_app(**limits):
    app = FastAPI()
    problems.install(app)
    app.add_middleware(ClientLimits, **limits)

    @app.get("/healthz")
    async def check_health() -> str:
        return "ok"

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    return app


class Hurried(TimedProtocol):
    headers_s = 1.0


@pytest.fixture
def serve():
    """Run an app on a port of its own; give (connect, port)."""
    servers = []

    def start(app, http=TimedProtocol):
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, http=http, log_level="error")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return server.servers[0].sockets[0].getsockname()[1]

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def send():
    """Open a connection, send something, give the connection."""
    opened = []

    def start(port, data):
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        opened[-1].sendall(data)
        return opened[-1]

    yield start
    for connection in opened:
        connection.close()


def read(connection):
    """Read until the server closes, or a whole answer is there."""
    found = b""
    while chunk := connection.recv(65_536):
        found += chunk
        if b"\r\n\r\n" in found:
            break
    return found


def test_a_body_that_does_not_come_is_given_up(serve, send):
    port = serve(make_app(idle_s=0.2))

    idle = send(port, b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")

    assert read(idle).startswith(b"HTTP/1.1 408")


def test_a_body_that_drips_is_given_up(serve, send):
    port = serve(make_app(idle_s=0.3))
    slow = send(port, b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n")

    began = time.monotonic()
    # A byte now and then is no 1,024 a second, though the connection is never idle.
    for _ in range(20):
        time.sleep(0.05)
        try:
            slow.sendall(b"x")
        except OSError:
            break

    assert read(slow).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 5


def test_a_body_that_comes_is_read_however_long_it_takes(serve, send):
    port = serve(make_app(idle_s=2))
    steady = send(
        port, b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 10240\r\n\r\n"
    )

    for _ in range(10):
        time.sleep(0.3)
        steady.sendall(b"x" * 1_024)

    assert read(steady).startswith(b"HTTP/1.1 200")


def test_more_requests_than_the_limit_are_sent_away_and_health_is_not(serve, send):
    port = serve(make_app(max_requests=1, idle_s=20))
    held = send(port, b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
    deadline = time.monotonic() + 10
    refused = b""
    # The first request has to be there before a second is one too many.
    while not refused.startswith(b"HTTP/1.1 503") and time.monotonic() < deadline:
        refused = read(
            send(port, b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        )
    health = read(send(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
    held.sendall(b"abc")

    assert refused.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 5" in refused.lower()
    assert health.startswith(b"HTTP/1.1 200")
    assert read(held).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nHost:"])
def test_a_connection_without_a_request_is_closed(serve, send, begun):
    port = serve(make_app(), Hurried)

    assert read(send(port, begun)) == b""


def test_a_second_request_that_does_not_end_is_closed(serve, send):
    port = serve(make_app(), Hurried)
    connection = send(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read(connection).startswith(b"HTTP/1.1 200")

    connection.sendall(b"GET /healthz HTTP/1.1\r\n")

    while connection.recv(65_536):  # the end of the answer; then it is closed
        pass


def test_a_long_answer_is_not_cut_by_the_time_for_headers(serve, send):
    app = make_app()

    @app.get("/slow")
    def slow() -> str:
        time.sleep(2.0)
        return "done"

    port = serve(app, Hurried)

    answer = read(send(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"))

    assert answer.startswith(b"HTTP/1.1 200")


def test_wrong_keys_empty_a_bucket_that_time_fills():
    failures = FailedLogins(max_failures=3, refill_s=0.5)
    for _ in range(3):
        assert failures.wait_s("a") == 0
        failures.count("a")

    assert 0 < failures.wait_s("a") <= 0.5
    assert failures.wait_s("b") == 0
    time.sleep(0.6)
    assert failures.wait_s("a") == 0


def test_an_app_in_a_test_client_answers():
    with TestClient(make_app()) as client:
        assert client.post("/size", content=b"abc").json() == 3
