"""A service on a database of its own, and a client that has a key."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.orm import Session, sessionmaker

from api.app import create_app
from api.settings import ApiSettings
from db.queries import keys

CONFIG = {
    "base": {"voters": [{"name": "salience", "kind": "salience"}]},
    "stop": {"max_rounds": 1},
}


@pytest.fixture
def settings(database_url: str) -> ApiSettings:
    # An address that nothing listens on, so that no test finds a broker by chance.
    return ApiSettings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr("redis+socket:///nowhere/redis.sock?virtual_host=0"),
    )


@pytest.fixture
def api_key(sessions: sessionmaker[Session]) -> str:
    with sessions.begin() as session:
        return keys.create_key(session, "tests")


@pytest.fixture
def stranger(settings: ApiSettings) -> Iterator[TestClient]:
    """A client without a key, on a farm without keys unless `api_key` is asked for."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient, api_key: str) -> TestClient:
    """A client that has a key."""
    stranger.headers["Authorization"] = f"Bearer {api_key}"
    return stranger


@pytest.fixture
def config() -> dict[str, object]:
    """The smallest config of a loop."""
    return CONFIG
