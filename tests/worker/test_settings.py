import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from worker.settings import WorkerSettings

NEEDED = {
    "FARM_DATABASE_URL": "postgresql://none",
    "FARM_BROKER_URL": "redis://none",
    "FARM_ARTIFACTS": "file:///none",
}


def worker(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FARM_")}
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_settings_come_from_the_environment(monkeypatch):
    for name, value in (NEEDED | {"FARM_LEASE_S": "7.5"}).items():
        monkeypatch.setenv(name, value)

    settings = WorkerSettings()

    assert settings.database_url.get_secret_value() == "postgresql://none"
    assert settings.lease_s == 7.5
    assert "postgresql" not in repr(settings)


@pytest.mark.parametrize("name", ["FARM_LEASE_S", "FARM_HEARTBEAT_S", "FARM_RESEND_S"])
def test_times_are_positive(monkeypatch, name):
    for key, value in (NEEDED | {name: "0"}).items():
        monkeypatch.setenv(key, value)

    with pytest.raises(ValidationError, match="greater than 0"):
        WorkerSettings()


@pytest.mark.slow  # starts Python
def test_missing_settings_are_named_and_end_with_code_2():
    result = worker("relay")

    assert result.returncode == 2
    for name in NEEDED:
        assert f"{name}: Field required" in result.stderr
    assert "set them" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow  # starts Python
@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"FARM_DATABASE_URL": "mysql://none"}, ["relay"], "expected 'postgresql://'"),
        ({}, ["start", "--queue", "train", "--slots", "2"], "found --slots 2"),
        ({"FARM_LEASE_S": "soon"}, ["relay"], "FARM_LEASE_S: Input should be a valid"),
    ],
)
def test_a_mistake_ends_with_code_2_and_no_traceback(changes, arguments, message):
    result = worker(*arguments, **(NEEDED | changes))

    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
