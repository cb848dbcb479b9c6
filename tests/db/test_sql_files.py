"""Versioned SQL files: the database holds the newest, released ones never change."""

import hashlib
import re
from pathlib import Path

import pytest
from sqlalchemy import text

ROOT = Path(__file__).resolve().parents[2]
# Lines as `sha256sum` writes them.
RELEASED = ROOT / "tests" / "golden" / "released_sql.sha256"


def newest(folder: str) -> dict[str, Path]:
    versions: dict[str, Path] = {}
    for path in sorted((ROOT / "db" / folder).glob("*_v*.sql")):
        versions[re.sub(r"_v\d+$", "", path.stem)] = path
    return versions


def run_file(session, path):
    session.connection().exec_driver_sql(
        path.read_text(), execution_options={"no_parameters": True}
    )


@pytest.mark.parametrize("name", sorted(newest("views")))
def test_a_view_in_postgres_is_its_newest_file(session, name):
    definition = text("SELECT pg_get_viewdef(CAST(:name AS regclass), true)")
    migrated = session.scalar(definition, {"name": name})

    session.execute(text(f"DROP VIEW {name}"))
    run_file(session, newest("views")[name])

    assert session.scalar(definition, {"name": name}) == migrated


@pytest.mark.parametrize("name", sorted(newest("functions")))
def test_a_function_in_postgres_is_its_newest_file(session, name):
    definition = text("SELECT pg_get_functiondef(CAST(:name AS regproc))")
    migrated = session.scalar(definition, {"name": name})

    run_file(session, newest("functions")[name])

    assert session.scalar(definition, {"name": name}) == migrated


def test_every_view_and_function_has_a_file(session):
    found = session.scalars(
        text("""
            SELECT relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
            UNION ALL
            SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        """)
    )

    assert sorted(found) == sorted([*newest("views"), *newest("functions")])


def test_a_released_file_never_changes():
    changed = []
    for line in RELEASED.read_text().splitlines():
        expected, path = line.split()
        if hashlib.sha256((ROOT / path).read_bytes()).hexdigest() != expected:
            changed.append(path)

    assert changed == [], "add a _v02 file or a migration instead"


def test_every_sql_file_is_in_the_list_of_released_ones():
    folders = ("db/views", "db/functions", "migrations/schema")
    found = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).glob("*.sql")
    }

    assert found == {line.split()[1] for line in RELEASED.read_text().splitlines()}
