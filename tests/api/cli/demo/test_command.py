import fcntl

import pytest
from typer.testing import CliRunner

from api import embedded
from api.cli.main import app


@pytest.mark.slow
def test_the_demo_starts_a_farm_where_none_runs(home, monkeypatch):
    monkeypatch.delenv("FARM_DATABASE_URL", raising=False)
    (home / "logs").mkdir(parents=True)
    try:
        # Somebody else's farm, so that the demo ends once it has its database.
        with (home / "stack.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            result = CliRunner().invoke(app, ["demo"])

        assert result.exit_code == 2
        assert f"a farm is running in {home}" in " ".join(result.stderr.split())
        assert embedded.status(home)["postgres"]
    finally:
        embedded.stop(home)
