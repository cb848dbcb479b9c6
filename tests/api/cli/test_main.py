import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from api.cli.main import FarmGroup, app
from kompress import VERSION

COMMANDS = {
    "demo", "up", "migrate", "corpus", "gold", "key", "voter", "student", "loop",
    "round", "job", "worker", "status", "quality", "sql", "compress", "eval", "export",
    "paradox",
}  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_help_names_every_command_of_the_contract():
    lines = run("--help").stdout.splitlines()

    assert {line.split()[0] for line in lines if line.strip()} >= COMMANDS


def test_help_starts_fast_and_loads_nothing_heavy():
    code = (
        "import sys, api.cli.main\n"
        "heavy = {'torch', 'numpy', 'sqlalchemy', 'pydantic', 'polars', 'celery'}\n"
        "print(heavy & set(sys.modules))"
    )
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout == "set()\n"
    # 0.3 s alone on a core; tests share theirs.
    assert time.monotonic() - started < 5


def test_an_unknown_flag_is_a_mistake_not_a_bug():
    result = run("corpus", "list", "--jsno")

    assert result.exit_code == 2
    assert "--jsno" in result.stderr
    assert "--json" in result.stderr


@pytest.fixture
def broken():
    import typer

    broken = typer.Typer(cls=FarmGroup, pretty_exceptions_enable=False)

    @broken.command()
    def divide() -> None:
        1 / 0  # noqa: B018

    @broken.command()
    def missing() -> None:
        open("/does/not/exist")  # noqa: SIM115, PTH123

    return broken


def test_a_bug_is_one_line_with_a_log_that_holds_the_traceback(broken, home):
    result = CliRunner().invoke(broken, ["divide"])

    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    (log,) = (home / "logs").iterdir()
    assert str(log) in result.stderr
    assert "Traceback" in log.read_text()


def test_a_missing_file_is_named_without_a_traceback(broken, home):
    result = CliRunner().invoke(broken, ["missing"])

    assert result.exit_code == 2
    assert result.stderr.startswith("/does/not/exist: no such file")


def test_a_database_that_is_away_is_a_mistake(monkeypatch, home):
    monkeypatch.setenv("FARM_DATABASE_URL", "postgresql://x@127.0.0.1:1/none")

    result = run("corpus", "list")

    assert result.exit_code == 2
    assert "FARM_DATABASE_URL" in result.stderr


def test_a_wrong_variable_is_named_without_its_value(monkeypatch, home):
    monkeypatch.setenv("FARM_API_PORT", "many")

    result = run("corpus", "list")

    assert result.exit_code == 2
    assert "FARM_API_PORT" in result.stderr


def test_a_database_one_migration_behind_names_the_fix(
    monkeypatch, home, empty_database_url
):
    monkeypatch.setenv("FARM_DATABASE_URL", empty_database_url)

    behind = run("corpus", "list")
    migrated = run("migrate")
    after = run("corpus", "list")

    assert behind.exit_code == 2
    assert "farm migrate" in behind.stderr
    assert migrated.exit_code == 0
    assert after.exit_code == 0


def test_a_number_of_over_64_bits_is_a_mistake(farm):
    assert "64 bits" in farm.mistake("job", "show", "9" * 20)
    assert "no loop is called" in farm.mistake("loop", "show", "9" * 20)
    assert "no loop is called" in farm.mistake("loop", "show", "9" * 5_000)


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",), ("loop", "list"), ("job", "list"), ("corpus", "list"),
        ("student", "list"), ("voter", "list"), ("quality",), ("sql", "select 1"),
        ("key", "list"), ("worker", "list"),
    ],
)  # fmt: skip
def test_a_command_that_reads_starts_no_farm(home, monkeypatch, arguments):
    monkeypatch.delenv("FARM_DATABASE_URL", raising=False)

    result = CliRunner().invoke(app, list(arguments))

    assert result.exit_code == 2
    assert f"no farm runs in {home}" in " ".join(result.stderr.split())
    assert not home.exists()


def test_the_program_is_called_farm_and_says_its_version():
    command = [sys.executable, "-m", "api.cli"]
    found = [
        subprocess.run([*command, *asked], capture_output=True, text=True, check=True)
        for asked in (["-h"], ["--version"], ["loop", "list", "-h"])
    ]
    said = [each.stdout for each in found]

    assert said[0].startswith("Usage: farm [OPTIONS] COMMAND")
    assert said[1] == f"farm {VERSION}\n"
    assert said[2].startswith("Usage: farm loop list")
