"""What /openapi.json promises is what the service does, for drawn requests too."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import uvicorn
from pydantic import SecretStr

from api import queue
from api.app import create_app
from api.embedded import start_redis, stop_redis
from api.intake import ingest
from api.limits import TimedProtocol
from kompress.config import LoopConfig, parse_config
from kompress.types import Document

PROBLEM = "application/problem+json"
EXCLUDED = (
    # What a loop's config may hold is more than a JSON schema says: a body that fits
    # the schema may still be refused, with the reason.
    "positive_data_acceptance",
)


@pytest.fixture
def served(settings, sessions, config):
    """Serve a farm with a loop and a broker; give its address and count answers."""
    # What the example of the description names: drawn requests start loops on it.
    ingest(sessions, "logs", [Document("one two", "log", "a", split="train")])
    with sessions.begin() as session:
        queue.start_loop(session, "x", "logs", parse_config(LoopConfig, config))
    # Short: a Unix socket's path may hold about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    broker = {"broker_url": SecretStr(start_redis(folder / "redis"))}
    app = create_app(settings.model_copy(update=broker))
    counts = Counter()
    server = uvicorn.Server(
        uvicorn.Config(
            counting(app, counts), port=0, http=TimedProtocol, log_level="error"
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", counts
    server.should_exit = True
    thread.join(10)
    stop_redis(folder / "redis")
    shutil.rmtree(folder)


def counting(app, counts):
    """Count an app's answers by status."""

    async def count(scope, receive, send):
        async def note(message):
            if message["type"] == "http.response.start":
                counts[message["status"]] += 1
            await send(message)

        await app(scope, receive, note)

    return count


def draw_requests(url, folder, *options):
    """Let Schemathesis ask; give its exit code and its report."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            "from schemathesis.cli import schemathesis; schemathesis()",
            *("run", f"{url}/openapi.json", "--no-color", "--no-shrink"),
            *("--exclude-checks", ",".join(EXCLUDED), "--continue-on-failure"),
            *("--generation-database", "none", "--warnings", "off", *options),
        ],
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.api.ndjson",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=1_800,
    )
    return done.returncode, done.stdout[-8_000:] + done.stderr[-2_000:]


def check(served, folder, options, key):
    """Draw requests, with a key or without; give how many were answered, by status."""
    url, counts = served
    header = ("-H", f"Authorization: Bearer {key}") if key else ()

    status, report = draw_requests(url, folder, *options, *header)

    assert status == 0, report
    assert [code for code in counts if code >= 500] == []
    return counts


def test_every_operation_names_its_problems_and_its_key(stranger):
    schema = stranger.get("/openapi.json").json()
    assert schema["security"] == [{"key": []}]
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"

    start = schema["paths"]["/v1/loops"]["post"]["responses"]

    assert set(start) == {
        *("201", "400", "401", "404", "408", "409", "413", "422", "429", "500", "503")
    }
    assert all(set(start[code]["content"]) == {PROBLEM} for code in start if code > "3")
    assert schema["paths"]["/healthz"]["get"]["security"] == []
    assert "415" in schema["paths"]["/v1/corpora/{name}/documents"]["post"]["responses"]


def test_the_page_of_the_api_opens_without_a_key_and_loads_nothing_from_afar(stranger):
    page = stranger.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)

    assert page.status_code == 200
    assert len(loaded) == 3
    assert all(path.startswith("/openapi-assets/") for path in loaded)
    assert [stranger.get(path).status_code for path in loaded] == [200] * 3


@pytest.mark.slow
@pytest.mark.parametrize("has_key", [True, False])
def test_drawn_requests_get_what_the_schema_says(served, api_key, tmp_path, has_key):
    options = (
        "--max-examples",
        "5",
        "--seed",
        "1",
        "--phases",
        "examples,coverage,fuzzing",
    )

    counts = check(served, tmp_path, options, api_key if has_key else "")

    assert counts.total() >= 200
    assert (counts[201] > 0) is has_key
    # With a key requests reach the routes; without one only health answers well.
    reached = counts[200] + counts[201] + counts[404] + counts[409] + counts[422]
    assert (reached >= 100) is has_key


@pytest.mark.requests
@pytest.mark.parametrize("has_key", [True, False])
def test_thousands_of_requests_get_what_the_schema_says(
    served, api_key, tmp_path, has_key
):
    counts = check(
        served, tmp_path, ("--max-examples", "300"), api_key if has_key else ""
    )

    by_status = {int(code): number for code, number in sorted(counts.items())}
    sys.stdout.write(f"\n{counts.total():,} answers, by status {by_status}\n")
    assert counts.total() >= 2_000
