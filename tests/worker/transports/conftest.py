"""An endpoint that can fail, and transports connected to it."""

import json
import tomllib

import pytest

from tests.worker.transports.asked import SPEC
from tests.worker.transports.endpoint_server import running_server
from worker.settings import WorkerSettings
from worker.transports.openai_endpoint import OpenAIEndpoint


@pytest.fixture
def server(monkeypatch):
    # What fails is asked again soon.
    monkeypatch.setattr("worker.transports.openai_endpoint.FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr("worker.transports.openai_endpoint.LAST_BACKOFF_S", 0.1)
    with running_server() as server:
        yield server


@pytest.fixture
def connect(server, sessions, tmp_path):
    """Make transports to the server, with the operator's settings as given."""
    made = []

    def make(spec=SPEC, **given):
        vllm = {"forced_tokens": True, "logprobs": True}
        lines = {"url": server.url, "models": ["micro"]} | vllm | given
        path = tmp_path / "endpoints.toml"
        path.write_text(
            "[e]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in lines.items())
        )
        assert tomllib.loads(path.read_text())
        settings = WorkerSettings(
            database_url="postgresql://none",
            broker_url="redis://none",
            artifacts=f"file://{tmp_path}",
            endpoints=path,
        )
        made.append(OpenAIEndpoint(spec, settings, sessions, "w1"))
        return made[-1]

    yield make
    for transport in made:
        transport.close()
