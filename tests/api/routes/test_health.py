import shutil
import tempfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from api.embedded import start_redis, stop_redis
from api.errors import InvalidSettings
from api.routes.health import ping_broker


@pytest.fixture
def broker_url():
    # Short: a Unix socket's path may hold about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    yield start_redis(folder / "redis")
    stop_redis(folder / "redis")
    shutil.rmtree(folder)


def test_the_process_answers_without_a_key_and_without_a_broker(stranger):
    assert stranger.get("/healthz").json() == {"status": "ok"}

    ready = stranger.get("/readyz")

    assert ready.status_code == 503
    assert ready.headers["content-type"] == "application/problem+json"
    assert ready.json()["checks"]["database"] == "ok"
    assert "does not answer" in ready.json()["checks"]["broker"]
    assert "nowhere" not in ready.text


def test_a_migrated_database_and_a_broker_that_answers_are_ready(settings, broker_url):
    update = {"broker_url": SecretStr(broker_url)}
    with TestClient(create_app(settings.model_copy(update=update))) as client:
        ready = client.get("/readyz")

    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"


@pytest.mark.parametrize("url", ["", "amqp://host"])
def test_a_broker_that_is_not_redis_is_named(url):
    with pytest.raises(InvalidSettings, match="FARM_BROKER_URL"):
        ping_broker(url)
