"""docs/design.md says what is there: views, tables, routes, settings, commands."""

import re
from dataclasses import fields

import pytest
import typer

import db.models
from api.cli.main import app
from api.settings import ApiSettings
from db.kinds import STAGES
from db.models.base import Base
from db.settings import DatabaseSettings
from kompress.aggregation import AGGREGATORS
from kompress.decisions import Decisions
from tests.db.queries.test_views import COLUMNS
from tests.docs.pages import ROOT, read
from tests.docs.test_references import sections
from worker.settings import WorkerSettings

CODE = re.compile(r"`([^`]+)`")


def first_column(part):
    """Give what stands in backticks in the first column of a part's tables."""
    rows = re.findall(r"^\| (.*?) \|", part, re.MULTILINE)
    return [name for row in rows for name in CODE.findall(row)]


def views():
    """Give the columns that section 5 lists for each view, in order."""
    parts = re.split(r"^### (\w+)$", sections()["5"], flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    found.pop("Functions")
    return {view: first_column(part) for view, part in found.items()}


def names(folder):
    """Name the views or functions that have a SQL file."""
    return {p.name[: -len("_v01.sql")] for p in (ROOT / "db" / folder).glob("*.sql")}


def test_the_design_describes_every_view():
    files = {
        path.name[: -len("_v01.sql")] for path in (ROOT / "db/views").glob("*.sql")
    }

    assert set(views()) == files == set(COLUMNS)


@pytest.mark.parametrize("view", COLUMNS)
def test_the_design_describes_every_column_in_order(view):
    # A test of the views holds the same list against a migrated database.
    assert views()[view] == COLUMNS[view].split(", ")


def test_the_design_describes_every_function():
    part = sections()["5"].split("### Functions")[1]
    files = {
        path.name[: -len("_v01.sql")] for path in (ROOT / "db/functions").glob("*")
    }

    assert {name.split("(")[0] for name in first_column(part)} == files


def test_the_design_describes_every_table():
    part = sections()["4"].split("### ")[0]

    assert set(first_column(part)) == set(Base.metadata.tables)


def test_the_design_describes_every_decision_of_a_round():
    part = sections()["4"].split("### Decisions of a round")[1]

    assert first_column(part) == [field.name for field in fields(Decisions)]


def test_the_design_describes_every_route():
    found = set()
    for path in (ROOT / "api" / "routes").glob("*.py"):
        prefix = re.search(r'APIRouter\(.*prefix="([^"]*)"', read(path))
        for method, route in re.findall(r'@router\.(\w+)\(\s*"([^"]*)"', read(path)):
            found.add(f"{method.upper()} {prefix.group(1) if prefix else ''}{route}")

    assert set(first_column(sections()["7"])) == found


def test_the_design_describes_every_setting():
    fields = {
        name
        for settings in (ApiSettings, WorkerSettings, DatabaseSettings)
        for name in settings.model_fields
    }

    assert set(first_column(sections()["8"])) == {f"FARM_{n.upper()}" for n in fields}


def test_the_design_describes_every_command():
    part = CODE.findall(sections()["6"])
    named = {" ".join(re.findall(r"^farm|(?<= )[a-z]+", name)) for name in part}

    assert set(commands(typer.main.get_command(app), "farm")) <= named


def commands(command, path):
    """List the paths of a group's commands, `farm corpus add` and so on."""
    children = getattr(command, "commands", None)
    if children is None:
        return [path]
    return [
        found
        for name, child in children.items()
        if not child.hidden
        for found in commands(child, f"{path} {name}")
    ]


def test_the_design_gives_the_formula_of_every_rule():
    part = sections()["9"].split("### From votes to labels")[1]

    assert set(AGGREGATORS) <= set(first_column(part))


def test_the_design_describes_every_stage():
    assert set(STAGES) <= set(CODE.findall(sections()["9"]))


def test_the_models_of_all_tables_are_loaded():
    # Tables are known once their module is imported; the package imports them all.
    assert db.models.__name__ == "db.models"
    assert len(Base.metadata.tables) > 30
