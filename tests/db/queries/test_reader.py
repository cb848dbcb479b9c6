"""What `farm_reader` may do: read the views and call two functions, nothing else."""

import pytest

from db.engine import make_engine
from db.errors import QueryRefused
from db.queries.reader import reader_url, run_query


@pytest.fixture(scope="module")
def reader(postgres_url):
    engine = make_engine(reader_url(postgres_url), application_name="farm sql")
    yield engine
    engine.dispose()


def run(reader, query, timeout_s=5.0, max_rows=100):
    return run_query(reader, query, timeout_s=timeout_s, max_rows=max_rows)


VIEWS = (
    "label_quality",
    "round_summary",
    "voter_quality",
    "ensemble_paradox",
    "student_scores",
    "queue_depth",
    "round_costs",
)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read(reader, view):
    table = run(reader, f"SELECT * FROM {view}")

    assert table.rows == []
    assert len(table.columns) >= 5


def test_both_functions_can_be_called(reader):
    words = run(reader, "SELECT word, category FROM must_keep('exit code 137')")
    rate = run(reader, "SELECT mk_in_ref('exit code 137', 'exit 137')")

    assert ("137", "number") in words.rows
    assert rate.rows == [(1.0,)]


@pytest.mark.parametrize(
    "query",
    [
        "select 1 as x;",
        "VALUES (1)",
        "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
        "select 1 -- a comment",
        "select 1 where 'a%b' like '%:x%' or 7 % 2 = 1",
    ],
)
def test_any_single_reading_query_runs_as_it_is_written(reader, query):
    assert run(reader, query).rows == [(1,)]


def test_more_rows_than_allowed_are_cut_and_said_to_be(reader):
    query = "SELECT x FROM generate_series(1, 3) AS x"

    assert run(reader, query, max_rows=2).rows == [(1,), (2,)]
    assert run(reader, query, max_rows=2).truncated
    assert not run(reader, query, max_rows=3).truncated


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT * FROM jobs", "permission denied for table jobs"),
        ("SELECT content FROM texts", "permission denied for table texts"),
        ("SELECT * FROM pg_authid", "permission denied"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
        ("SELECT pg_ls_dir('/')", "permission denied"),
        ("SELECT lo_create(0)", "read-only transaction"),
        ("SELECT nextval('jobs_id_seq')", "permission denied|read-only"),
        ("DELETE FROM jobs", "syntax error"),
        ("WITH x AS (DELETE FROM jobs RETURNING 1) SELECT * FROM x", "data-modifying"),
        ("SELECT * FROM label_quality FOR UPDATE", "permission denied|FOR UPDATE"),
        ("SELECT 1 INTO TEMP t", "INTO|read-only"),
        ("CREATE TEMP TABLE t (x int)", "syntax error"),
        ("DO $$ BEGIN END $$", "syntax error"),
        ("COPY (SELECT 1) TO PROGRAM 'id'", "syntax error"),
        ("SET ROLE postgres", "syntax error"),
        ("SELECT set_config('role', 'postgres', false)", "permission denied"),
        ("SELECT set_config('session_authorization', 'postgres', false)", "permission"),
        ("SELECT set_config('transaction_read_only', 'off', true)", "read-write mode"),
        ("SELECT 1; DROP TABLE jobs", "multiple commands"),
        ("SELECT 1; COMMIT; DROP TABLE jobs", "multiple commands"),
        ("EXPLAIN ANALYZE SELECT 1", "syntax error"),
        ("", "syntax error"),
        ("SELECT 1/0", "division by zero"),
        ("SELECT '\0'", "NUL"),
    ],
)
def test_anything_else_is_refused_by_postgres(reader, query, why):
    with pytest.raises(QueryRefused, match=why):
        run(reader, query)


def test_a_mistake_is_explained_with_the_names_of_the_views(reader):
    with pytest.raises(QueryRefused, match=r'"labels_quality".*the views are label_q'):
        run(reader, "SELECT * FROM labels_quality")


def test_a_query_is_stopped_at_its_time_limit(reader):
    with pytest.raises(QueryRefused, match=r"statement timeout.*time limit"):
        run(reader, "SELECT pg_sleep(9)", timeout_s=0.05)


def test_no_function_lifts_the_limit_of_its_own_query(reader):
    query = "SELECT set_config('statement_timeout', '0', false), pg_sleep(9)"

    with pytest.raises(QueryRefused, match="statement timeout"):
        run(reader, query, timeout_s=0.05)


def test_settings_of_one_query_do_not_reach_the_next(reader):
    run(reader, "SELECT set_config('search_path', 'pg_catalog', false)")

    assert run(reader, "SELECT current_setting('search_path')").rows == [("public",)]


def test_the_owners_connection_is_refused(postgres_engine):
    with pytest.raises(QueryRefused, match="expected farm_reader"):
        run(postgres_engine, "SELECT 1")


def test_the_readers_url_holds_no_password_of_the_owner():
    url = reader_url("postgresql://ann:secret@db:5432/farm?sslmode=require")

    assert url.startswith("postgresql+psycopg://farm_reader:")
    assert url.endswith("@db:5432/farm?sslmode=require")
    assert "secret" not in url
    assert reader_url("postgresql://ann@db/farm") == (
        "postgresql+psycopg://farm_reader@db/farm"
    )
