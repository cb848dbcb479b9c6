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


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory):
    """A tiny student of the client's chunk length, trained on nothing."""
    import torch

    from kompress.config import StudentConfig
    from kompress.students import Student
    from kompress.students.model import StudentModel
    from kompress.students.tokenizer import WordTokenizer, train_tokenizer

    texts = ["disk is full at 0x1F", "all is well with the disk"] * 20
    config = StudentConfig(
        num_layers=1, hidden_size=32, num_heads=2, intermediate_size=32,
        span_channels=4, vocab_size=300,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = StudentModel(config)
    student = Student.from_model(
        model,
        WordTokenizer(train_tokenizer(texts, vocab_size=300)),
        recipe={"name": "v4"},
        lineage={"parent": None, "seed": 3, "num_steps": 7, "num_tokens": 99},
    )
    folder = tmp_path_factory.mktemp("student") / "tiny"
    student.save(folder)
    return folder
