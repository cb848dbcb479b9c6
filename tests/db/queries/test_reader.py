"""What `farm_reader` may do: read the views and call two functions, nothing else."""

import time

import pytest

from db.engine import make_engine
from db.errors import QueryRefused
from db.queries.reader import GRACE_S, reader_url, run_query
from kompress.corpora.lines import MAX_TEXT_BYTES


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


def test_a_mistake_is_explained_with_the_names_of_the_views(reader):
    with pytest.raises(QueryRefused, match=r'"labels_quality".*the views are label_q'):
        run(reader, "SELECT * FROM labels_quality")


def test_a_query_is_stopped_at_its_time_limit(reader):
    with pytest.raises(QueryRefused, match=r"statement timeout.*time limit"):
        run(reader, "SELECT pg_sleep(9)", timeout_s=0.05)


@pytest.mark.serial
def test_planning_and_running_share_one_limit(reader):
    # Postgres computes the constant while it plans: two limits would be four seconds.
    query = "SELECT mk_in_ref(repeat('disk full ', 800000), 'x'), pg_sleep(9)"
    started = time.monotonic()

    with pytest.raises(QueryRefused, match="time limit"):
        run(reader, query, timeout_s=0.3)

    assert time.monotonic() - started < 0.3 + GRACE_S + 0.5


@pytest.mark.serial
def test_a_query_that_no_limit_stops_loses_its_connection(reader):
    # translate() looks at no limit before its end, some seconds from here.
    query = "SELECT length(translate(repeat('a', 30000000), repeat('z', 99), ''))"
    started = time.monotonic()

    with pytest.raises(QueryRefused, match="time limit"):
        run(reader, query, timeout_s=0.1)

    assert time.monotonic() - started < 0.1 + GRACE_S + 0.5


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 60.5, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(reader, timeout_s):
    with pytest.raises(QueryRefused, match="at most 60"):
        run(reader, "SELECT 1", timeout_s=timeout_s)


@pytest.mark.parametrize("function", ["mk_in_ref(body, '')", "mk_in_ref('', body)"])
def test_a_text_larger_than_any_of_the_farm_is_refused(reader, function):
    query = f"SELECT {function} FROM repeat('a', {MAX_TEXT_BYTES + 1}) AS t (body)"

    with pytest.raises(QueryRefused, match="8388609 bytes; expected at most 8388608"):
        run(reader, query)


def test_a_text_of_the_largest_size_is_taken(reader):
    query = f"SELECT mk_in_ref('7', repeat('a', {MAX_TEXT_BYTES - 2}) || ' 7')"

    assert run(reader, query).rows == [(1.0,)]


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
