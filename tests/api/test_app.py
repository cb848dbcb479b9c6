import socket
import threading
import time

import pytest
import uvicorn

from api.app import MAX_UPLOADS, create_app
from api.errors import InvalidSettings
from api.limits import ClientLimits
from api.settings import ApiSettings

ROUTES = {
    ("post", "/v1/corpora/{name}/documents"),
    ("get", "/v1/corpora"),
    ("get", "/v1/loops"),
    ("get", "/v1/students"),
    ("get", "/v1/jobs"),
    ("post", "/v1/loops"),
    ("get", "/v1/loops/{id}"),
    ("post", "/v1/loops/{id}/rounds"),
    ("post", "/v1/loops/{id}/pause"),
    ("post", "/v1/loops/{id}/resume"),
    ("post", "/v1/loops/{id}/cancel"),
    ("get", "/v1/loops/{id}/quality"),
    ("get", "/v1/loops/{id}/events"),
    ("get", "/v1/students/{id}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


def test_the_routes_are_those_of_the_contract(client):
    paths = client.get("/openapi.json").json()["paths"]

    found = {(method, path) for path, item in paths.items() for method in item}
    assert found == ROUTES


def test_a_service_without_a_database_says_what_to_set():
    with pytest.raises(InvalidSettings, match="FARM_DATABASE_URL is not set"):
        create_app(ApiSettings())


def test_a_full_pool_is_503_with_retry_after_and_health_does_not_wait(client):
    pool = client.app.state.services.sessions.kw["bind"].pool
    pool._timeout = 0.1
    held = [pool.connect() for _ in range(pool.size() + pool._max_overflow)]

    answer = client.get("/v1/loops")
    health = client.get("/healthz")
    for connection in held:
        connection.close()

    assert (answer.status_code, health.status_code) == (503, 200)
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/v1/loops").status_code == 200


def test_as_many_idle_uploads_as_there_are_slots_block_nobody_for_long(
    settings, api_key
):
    app = create_app(settings)
    (limits,) = [entry for entry in app.user_middleware if entry.cls is ClientLimits]
    limits.kwargs["idle_s"] = 0.5
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()[:2]
    head = (
        "POST /v1/corpora/c/documents HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {api_key}\r\nContent-Length: "
    )

    def upload(size, body):
        opened = socket.create_connection(address, timeout=10)
        opened.sendall(f"{head}{size}\r\n\r\n".encode() + body)
        return opened

    idle = [upload(999, b"") for _ in range(MAX_UPLOADS)]
    time.sleep(0.2)
    body = b'{"text": "one two"}'
    opened = [upload(len(body), body), *idle]
    answers = [one.recv(99) for one in opened]
    for one in opened:
        one.close()
    server.should_exit = True
    thread.join(10)

    assert [answer[:12] for answer in answers] == [
        b"HTTP/1.1 200",
        *[b"HTTP/1.1 408"] * MAX_UPLOADS,
    ]
