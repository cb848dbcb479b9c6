import json

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from db.engine import make_engine, make_sessions


class Farm:
    """Runs commands as a person would, and keeps what they print."""

    def __init__(self):
        self.runner = CliRunner()

    def __call__(self, *arguments, stdin=None, exit_code=0):
        result = self.runner.invoke(app, list(map(str, arguments)), input=stdin)
        assert result.exit_code == exit_code, result.output
        assert "Traceback" not in result.output
        return result

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json").stdout)

    def mistake(self, *arguments):
        return self(*arguments, exit_code=2).stderr


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("READER_URL", "BROKER_URL", "ARTIFACTS", "API_KEY"):
        monkeypatch.delenv(f"FARM_{name}", raising=False)
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def farm(home, database_url, monkeypatch):
    monkeypatch.setenv("FARM_DATABASE_URL", database_url)
    return Farm()


@pytest.fixture
def sessions(database_url):
    engine = make_engine(database_url)
    yield make_sessions(engine)
    engine.dispose()


@pytest.fixture
def ndjson(tmp_path):
    def write(*rows, name="docs.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write
