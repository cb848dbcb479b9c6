from pathlib import Path

import pytest

from api.errors import InvalidSettings
from api.settings import ApiSettings, load_settings


def test_the_environment_is_read_with_its_prefix(monkeypatch, tmp_path):
    monkeypatch.setenv("FARM_API_PORT", "9001")
    monkeypatch.setenv("FARM_HOME", str(tmp_path))

    settings = load_settings()

    assert settings.api_port == 9001
    assert settings.artifacts_url == f"file://{tmp_path}/artifacts"


def test_a_variable_set_to_nothing_counts_as_unset(monkeypatch):
    monkeypatch.setenv("FARM_API_PORT", "")
    monkeypatch.setenv("FARM_ARTIFACTS", "")

    assert load_settings().api_port == ApiSettings().api_port


def test_what_a_command_line_says_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("FARM_HOME", str(tmp_path))

    assert load_settings(home=Path("/other")).home == Path("/other")


def test_a_wrong_value_is_named_by_its_variable_and_no_secret_is_shown(monkeypatch):
    monkeypatch.setenv("FARM_API_PORT", "many")
    monkeypatch.setenv("FARM_DATABASE_URL", "postgresql://farm:hunter2@db/farm")

    with pytest.raises(InvalidSettings, match=r"FARM_API_PORT: .*integer") as caught:
        load_settings()

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(ApiSettings(api_port=1))


def test_the_home_is_the_clones_wherever_a_command_is_called(tmp_path, monkeypatch):
    monkeypatch.delenv("FARM_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    clone = Path(__file__).parents[2]

    assert load_settings().home == clone / ".farm"
    (tmp_path / ".farm" / "postgres").mkdir(parents=True)
    # A farm that was made here before is found.
    assert load_settings().home == tmp_path / ".farm"
