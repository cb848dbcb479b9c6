"""What `farm_reader` may not do: ways out of its views, through each of its doors."""

import time

import psycopg
import pytest
from sqlalchemy import text

from db.engine import driver_url, make_engine
from db.errors import QueryRefused
from db.queries.dispatch import choose_hints
from db.queries.reader import reader_url, run_query
from db.queries.reservations import settle
from db.queries.rights import MAX_CONNECTIONS, SETTINGS, end_overlong, fence_reader

RELAYS_OLD_KEY = 0x6B6F6D70
DENIED = "permission denied"

# Through `farm sql`: one query in a read-only transaction.
QUERIES = [
    # Tables, files, passwords.
    ("SELECT * FROM jobs", "permission denied for table jobs"),
    ("SELECT content FROM texts", "permission denied for table texts"),
    ("SELECT hash FROM api_keys", DENIED),
    ("TABLE locks", DENIED),
    ("SELECT * FROM pg_authid", DENIED),
    ("SELECT * FROM pg_hba_file_rules", DENIED),
    ("SELECT * FROM pg_locks", DENIED),
    ("SELECT pg_read_file('/etc/passwd')", DENIED),
    ("SELECT pg_ls_dir('/')", DENIED),
    ("SELECT pg_stat_file('/etc/passwd')", DENIED),
    ("SELECT lo_import('/etc/passwd')", DENIED),
    ("SELECT query_to_xml('SELECT * FROM jobs', true, true, '')", DENIED),
    ("SELECT table_to_xml('jobs', true, true, '')", f"{DENIED}|unsupported XML"),
    ("SELECT database_to_xml(true, true, '') IS NULL FROM jobs", DENIED),
    # Locks.
    (f"SELECT pg_advisory_lock({RELAYS_OLD_KEY})", DENIED),
    (f"SELECT pg_advisory_xact_lock({RELAYS_OLD_KEY})", DENIED),
    (f"SELECT pg_try_advisory_lock({RELAYS_OLD_KEY})", DENIED),
    ("SELECT pg_advisory_lock_shared(1, 2)", DENIED),
    ("SELECT pg_try_advisory_xact_lock(x) FROM generate_series(1, 9) x", DENIED),
    ("SELECT * FROM label_quality FOR UPDATE", "permission denied|FOR UPDATE"),
    # The disk, the WAL, the queue of notices.
    ("SELECT lo_create(0)", DENIED),
    ("SELECT lo_from_bytea(0, 'x')", DENIED),
    ("SELECT pg_logical_emit_message(false, 'x', repeat('x', 99))", DENIED),
    ("SELECT pg_notify('x', 'y')", DENIED),
    ("SELECT pg_export_snapshot()", DENIED),
    ("SELECT 1 INTO TEMP t", "INTO|read-only"),
    ("CREATE TEMP TABLE t (x int)", "syntax error"),
    ("SELECT nextval('events_id_seq')", DENIED),
    ("SELECT setval('events_id_seq', 1)", DENIED),
    # Limits and roles.
    ("SELECT set_config('statement_timeout', '0', false)", DENIED),
    ("SELECT set_config('transaction_timeout', '0', false)", DENIED),
    ("SELECT set_config('transaction_read_only', 'off', true)", DENIED),
    ("SELECT set_config('work_mem', '64GB', true)", DENIED),
    ("SELECT set_config('temp_file_limit', '-1', false)", DENIED),
    ("SELECT set_config('search_path', 'pg_catalog', false)", DENIED),
    ("SELECT set_config('role', 'postgres', false)", DENIED),
    ("SELECT set_config('session_authorization', 'postgres', false)", DENIED),
    ("SET ROLE postgres", "syntax error"),
    # Other sessions, the server.
    ("SELECT pg_terminate_backend(1)", DENIED),
    ("SELECT pg_cancel_backend(1)", DENIED),
    ("SELECT pg_reload_conf()", DENIED),
    ("SELECT pg_rotate_logfile()", DENIED),
    ("SELECT pg_switch_wal()", DENIED),
    ("SELECT pg_stat_reset()", DENIED),
    ("SELECT pg_create_restore_point('x')", DENIED),
    # Another kind of statement, or a second one.
    ("DELETE FROM jobs", "syntax error"),
    ("WITH x AS (DELETE FROM jobs RETURNING 1) SELECT * FROM x", "data-modifying"),
    ("DO $$ BEGIN END $$", "syntax error"),
    ("COPY (SELECT 1) TO PROGRAM 'id'", "syntax error"),
    ("EXPLAIN ANALYZE SELECT 1", "syntax error"),
    ("SELECT 1; DROP TABLE jobs", "multiple commands"),
    ("SELECT 1; COMMIT; DROP TABLE jobs", "multiple commands"),
    ("", "syntax error"),
    ("SELECT 1/0", "division by zero"),
    ("SELECT '\0'", "NUL"),
]
# Through a login of its own, which may leave its read-only default.
STATEMENTS = [
    "CREATE TEMP TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 9)",
    "SELECT 1 AS x INTO TEMP t",
    "CREATE TEMP VIEW v AS SELECT 1",
    "CREATE TEMP SEQUENCE s",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE t (x int)",
    "CREATE SCHEMA s",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE mate",
    "INSERT INTO events (actor) VALUES ('x')",
    "UPDATE jobs SET status = 'done'",
    "TRUNCATE votes",
    "DROP VIEW label_quality",
    "LOCK TABLE jobs",
    "LOCK TABLE locks IN ACCESS SHARE MODE",
    "LOCK TABLE label_quality IN EXCLUSIVE MODE",
    "COPY (SELECT 1) TO '/tmp/x'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET temp_file_limit = -1",
    "ALTER ROLE farm_reader SET temp_file_limit = -1",
    "ALTER ROLE farm_reader CONNECTION LIMIT -1",
    "ALTER ROLE farm_reader SUPERUSER",
    "ALTER DATABASE farm SET statement_timeout = 0",
    "COMMENT ON VIEW label_quality IS 'x'",
    "REINDEX TABLE jobs",
    "SELECT lo_put(lo_create(0), 0, 'x')",
    f"SELECT pg_advisory_lock({RELAYS_OLD_KEY})",
    f"DO $$ BEGIN PERFORM pg_advisory_lock({RELAYS_OLD_KEY}); END $$",
    "DO $$ BEGIN PERFORM set_config('statement_timeout', '0', false); END $$",
    "SELECT pg_logical_emit_message(false, 'x', repeat('x', 99))",
]


@pytest.fixture(scope="module")
def reader(postgres_url):
    engine = make_engine(reader_url(postgres_url), application_name="farm sql")
    yield engine
    engine.dispose()


@pytest.fixture
def login(postgres_url):
    url = driver_url(reader_url(postgres_url)).set(drivername="postgresql")
    with psycopg.connect(
        url.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        yield connection


def test_there_are_at_least_fifty_escapes():
    assert len(QUERIES) + len(STATEMENTS) >= 50


@pytest.mark.parametrize(("query", "why"), QUERIES)
def test_a_query_that_is_no_reading_of_views_is_refused(reader, query, why):
    with pytest.raises(QueryRefused, match=why):
        run_query(reader, query, timeout_s=5.0, max_rows=10)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_login_that_may_write_still_may_not(login, statement):
    login.execute("SET default_transaction_read_only = off")

    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        login.transaction(),
    ):
        login.execute(statement)


def test_a_session_begins_with_its_limits(login):
    found = {name: login.execute(f"SHOW {name}").fetchone()[0] for name in SETTINGS}

    assert found == SETTINGS | {
        "idle_in_transaction_session_timeout": "1min",
        "transaction_timeout": "1min",
    }


def test_a_sort_that_would_fill_the_disk_is_stopped(login):
    login.execute("SET work_mem = '64kB'")
    query = (
        "SELECT * FROM repeat('x', 300000) p, generate_series(1, 99999) x ORDER BY x"
    )

    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        login.execute(query)


def test_there_is_a_limit_on_connections(session):
    limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'farm_reader'"

    assert session.scalar(text(limit)) == MAX_CONNECTIONS


def test_a_login_that_lifted_its_limits_is_ended(session, login):
    login.execute("SET statement_timeout = 0")
    login.execute("SET idle_in_transaction_session_timeout = 0")
    login.execute("SET transaction_timeout = 0")
    login.execute("BEGIN")
    login.execute("SELECT 1")
    time.sleep(0.1)

    early = end_overlong(session, max_s=60.0)
    late = end_overlong(session, max_s=0.05)

    assert (early, late) == (0, 1)
    with pytest.raises(psycopg.OperationalError):
        login.execute("SELECT 1")


def test_an_idle_login_stays(session, login):
    login.execute("SELECT 1")

    assert end_overlong(session, max_s=0.0) == 0
    assert login.execute("SELECT 1").fetchone() == (1,)


def test_no_advisory_lock_stops_the_farm(postgres_engine, session):
    with postgres_engine.connect() as other:
        for key in (RELAYS_OLD_KEY, RELAYS_OLD_KEY + 1):
            other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        session.execute(text("SET LOCAL lock_timeout = '100ms'"))

        assert choose_hints(session) == []
        assert settle(session) == 0


def test_rights_that_a_copy_forgot_are_taken_again(database_url):
    temporary = (
        "SELECT has_database_privilege('farm_reader', current_database(), 'TEMP')"
    )
    engine = make_engine(database_url)
    with engine.begin() as connection:
        before = connection.execute(text(temporary)).scalar_one()
        left = fence_reader(connection)
        after = connection.execute(text(temporary)).scalar_one()
    engine.dispose()

    assert (before, after, left) == (True, False, [])


def test_an_owner_who_is_no_superuser_says_what_it_could_not_take(database_url):
    engine = make_engine(database_url)
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE plain_owner CREATEROLE"))
        connection.execute(text("GRANT farm_reader TO plain_owner WITH ADMIN OPTION"))
        name = engine.url.database
        connection.execute(text(f"ALTER DATABASE {name} OWNER TO plain_owner"))
        connection.execute(text("ALTER TABLE jobs OWNER TO plain_owner"))
        connection.execute(text("ALTER TABLE alembic_version OWNER TO plain_owner"))
        connection.execute(text("ALTER ROLE farm_reader RESET temp_file_limit"))
        as_superuser = fence_reader(connection)
        connection.execute(
            text("GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO PUBLIC")
        )
        connection.execute(text("SET LOCAL ROLE plain_owner"))

        left = fence_reader(connection)

        is_temporary = connection.execute(
            text("SELECT has_database_privilege('farm_reader', :name, 'TEMP')"),
            {"name": name},
        ).scalar_one()
        num_ended = end_overlong(connection, max_s=60.0)
        connection.rollback()
    engine.dispose()

    assert (as_superuser, num_ended) == ([], 0)
    assert left == ["temp_file_limit", "1 built-in functions that change something"]
    assert not is_temporary
