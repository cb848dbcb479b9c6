import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from api import embedded
from worker.flower import basic_auth

PATHS = ("/", "/workers", "/tasks", "/metrics", "/healthcheck", "/api/workers", "/none",
         "/static/favicon.ico", "/api/task/types")  # fmt: skip


def test_the_header_is_that_of_the_rfc():
    # RFC 7617, section 2
    assert basic_auth("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_a_missing_password_is_named(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "worker.flower"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert "FARM_FLOWER_PASSWORD" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def flower_url(tmp_path_factory):
    home = tmp_path_factory.mktemp("flower")
    broker_url = embedded.start_redis(home / "redis")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.flower", "--port", str(port)],
        env={
            **os.environ,
            "FARM_DATABASE_URL": "postgresql://nobody@/none",
            "FARM_BROKER_URL": broker_url,
            "FARM_ARTIFACTS": (home / "artifacts").as_uri(),
            "FARM_FLOWER_USER": "ann",
            "FARM_FLOWER_PASSWORD": "secret",
        },
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while status(url + "/") == 0:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)
        embedded.stop_redis(home / "redis")
    assert process.returncode == 0


def status(url, header=None):
    request = urllib.request.Request(url, headers=header or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


@pytest.mark.slow  # starts Flower
def test_every_url_of_flower_asks_for_the_password(flower_url):
    wrong = {"Authorization": basic_auth("ann", "wrong")}

    without = {path: status(flower_url + path) for path in PATHS}
    with_wrong = {path: status(flower_url + path, wrong) for path in PATHS}

    assert set(without.values()) == {401}
    assert set(with_wrong.values()) == {401}


@pytest.mark.slow  # starts Flower
def test_the_password_opens_flower(flower_url):
    right = {"Authorization": basic_auth("ann", "secret")}

    found = {path: status(flower_url + path, right) for path in PATHS}

    assert found.pop("/none") == 404
    assert set(found.values()) == {200}
