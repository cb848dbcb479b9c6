"""Migrations on a real Postgres: up, down, up, and no drift from the models."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.engine import driver_url, make_engine
from db.errors import SchemaOutdated
from db.migrate import (
    check,
    current_revision,
    downgrade,
    head_revision,
    require_current,
    upgrade,
)
from db.queries.reader import reader_password

ROOT = Path(__file__).parents[2]


def test_the_migrated_database_is_what_the_models_say(postgres_url):
    assert check(postgres_url) == []


def test_a_column_that_no_migration_adds_is_reported(database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE voters DROP COLUMN kind")

    assert "kind" in "".join(check(database_url))


def test_a_database_goes_up_down_and_up_again(empty_database_url):
    upgrade(empty_database_url)
    downgrade(empty_database_url, "base")
    with psycopg.connect(empty_database_url) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'v') AND relname <> 'alembic_version'"
        ).fetchall()
    upgrade(empty_database_url)

    assert left == []
    assert check(empty_database_url) == []


def test_a_current_database_is_accepted(session):
    require_current(session)

    assert current_revision(session) == head_revision()


@pytest.mark.parametrize(
    ("revision", "fix"),
    [("0002", "migrate the database"), ("9999", "update this program")],
)
def test_a_database_at_another_revision_is_refused_with_the_fix(session, revision, fix):
    session.execute(
        text("UPDATE alembic_version SET version_num = :v"), {"v": revision}
    )

    with pytest.raises(SchemaOutdated, match=fix):
        require_current(session)


def test_an_empty_database_is_refused_with_the_fix(empty_database_url):
    engine = make_engine(empty_database_url)

    with (
        Session(engine) as session,
        pytest.raises(SchemaOutdated, match="migrate the database"),
    ):
        require_current(session)
    engine.dispose()


@pytest.mark.slow
def test_a_migration_gives_up_a_lock_after_seconds(database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE loops")

        with pytest.raises(OperationalError, match="lock timeout"):
            downgrade(database_url, "base")


def test_the_reader_gets_a_password_derived_from_the_owners(database_url):
    owner = driver_url(database_url).set(password="a'b")

    upgrade(owner.render_as_string(hide_password=False))

    with psycopg.connect(database_url) as connection:
        stored = connection.execute(
            "SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid "
            "WHERE rolname = 'farm_reader'"
        ).fetchone()
    assert stored == (True,)
    assert reader_password(owner) not in {"a'b", None}
    assert reader_password(owner.set(password="a'c")) != reader_password(owner)


def test_those_who_migrate_at_once_take_turns(empty_database_url):
    code = (
        "import sys; from db.migrate import upgrade\n"
        "print('ready', flush=True); sys.stdin.readline(); upgrade(sys.argv[1])"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, empty_database_url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in starters:
        assert process.stdout.readline() == "ready\n"
    for process in starters:
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=120)[1] for process in starters]

    assert [process.returncode for process in starters] == [0, 0, 0], errors
