"""Bulk writes into a table of their own."""

import pytest
from sqlalchemy import text

from db.copy import copy_rows

COLUMNS = {"name": "text", "part": "int4", "total": "int8", "bins": "int8[]"}
KEY = ("name", "part")


@pytest.fixture
def table(session):
    session.execute(
        text("""
            CREATE TEMP TABLE counts (
                name text, part int, total bigint, bins bigint[],
                UNIQUE NULLS NOT DISTINCT (name, part)
            )
        """)
    )
    return "counts"


def rows_of(session):
    found = session.execute(text("SELECT name, part, total, bins FROM counts"))
    return sorted(tuple(row) for row in found)


def test_rows_of_a_known_key_are_left_alone(session, table):
    copy_rows(session, table, COLUMNS, [("a", 1, 5, [1])], key=KEY)

    added = copy_rows(
        session, table, COLUMNS, [("b", 2, 6, [2]), ("a", 1, 9, [9])], key=KEY
    )

    assert added == 1
    assert rows_of(session) == [("a", 1, 5, [1]), ("b", 2, 6, [2])]


def test_numbers_add_up_and_arrays_add_element_by_element(session, table):
    for row in (
        ("a", 1, 5, [1, 0, 2]),
        ("a", 1, 7, [10, 1, 0]),
        ("b", 1, 1, [0, 0, 0]),
    ):
        copy_rows(session, table, COLUMNS, [row], key=KEY, on_conflict="add")

    assert rows_of(session) == [("a", 1, 12, [11, 1, 2]), ("b", 1, 1, [0, 0, 0])]


def test_replacing_takes_the_new_values(session, table):
    copy_rows(session, table, COLUMNS, [("a", 1, 5, [1])], key=KEY)
    copy_rows(
        session, table, COLUMNS, [("a", 1, 6, None)], key=KEY, on_conflict="replace"
    )

    assert rows_of(session) == [("a", 1, 6, None)]


def test_a_null_in_the_key_is_a_value_of_its_own(session, table):
    for _ in range(2):
        copy_rows(session, table, COLUMNS, [("a", None, 1, [1])], key=KEY)

    assert rows_of(session) == [("a", None, 1, [1])]


def test_rows_go_in_in_the_order_of_their_key(session, table):
    copy_rows(
        session,
        table,
        COLUMNS,
        [("b", 1, 0, []), ("a", 2, 0, []), ("a", 1, 0, [])],
        key=KEY,
    )

    stored = session.execute(text("SELECT name, part FROM counts ORDER BY ctid"))
    assert [tuple(row) for row in stored] == [("a", 1), ("a", 2), ("b", 1)]


def test_no_staging_table_outlives_its_insert(session, table):
    copy_rows(session, table, COLUMNS, [], key=KEY)

    left = text("SELECT count(*) FROM pg_class WHERE relname LIKE 'staging%'")
    assert session.scalar(left) == 0
