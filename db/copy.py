"""Bulk writes: binary COPY to a staging table, then one key-ordered insert.

Rows are inserted in the order of their key: two transactions that insert the same keys
in different orders would deadlock.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from psycopg import sql
from sqlalchemy.orm import Session

OnConflict = Literal["nothing", "add", "replace"]


def copy_rows(
    session: Session,
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[Any]],
    *,
    key: Sequence[str],
    on_conflict: OnConflict = "nothing",
) -> int:
    """Insert many rows at once, safe against others that insert the same keys.

    Args:
        session: the session whose transaction the rows belong to.
        table: the table's name.
        columns: Postgres type of each column, in the order of a row's values.
        rows: the rows; of several with one key, `nothing` takes any one, the other
            two refuse.
        key: the columns of the unique key, in its order.
        on_conflict: what to do with a row whose key exists: keep the old row, add the
            new numbers (arrays element by element) to it, or replace its values.

    Returns:
        How many rows were inserted or changed.
    """
    found = list(rows)
    if not found:
        return 0
    cursor = psycopg_connection(session).cursor()
    with staged_rows(session, columns, found) as staging, cursor:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        cursor.execute(
            sql.SQL(
                "INSERT INTO {table} ({names}) SELECT {names} FROM {staging} "
                "ORDER BY {key} ON CONFLICT ({key}) DO {action}"
            ).format(
                table=sql.Identifier(table),
                names=names,
                staging=staging,
                key=sql.SQL(", ").join(map(sql.Identifier, key)),
                action=_action(table, columns, key, on_conflict),
            )
        )
        return cursor.rowcount


@contextmanager
def staged_rows(
    session: Session, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]
) -> Iterator[sql.Identifier]:
    """Copy rows to a temporary table that lives as long as the transaction.

    Args:
        session: the session whose transaction sees the table.
        columns: Postgres type of each column, in the order of a row's values.
        rows: the rows.

    Yields:
        The table's name, for use in composed SQL.
    """
    name = sql.Identifier(f"staging_{uuid.uuid4().hex}")
    definition = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
        for column, kind in columns.items()
    )
    with psycopg_connection(session).cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(name, definition)
        )
        statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(name)
        with cursor.copy(statement) as copy:
            # Binary COPY does not convert: an int must be sent as the column's own.
            copy.set_types(list(columns.values()))
            for row in rows:
                copy.write_row(row)
        yield name


def psycopg_connection(session: Session) -> psycopg.Connection[Any]:
    """Give the driver's connection of a session's present transaction."""
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError(
            f"the session runs on {type(connection).__name__}; expected psycopg 3; "
            "make the engine with db.engine.make_engine"
        )
    return connection


def _action(
    table: str, columns: Mapping[str, str], key: Sequence[str], on_conflict: OnConflict
) -> sql.Composable:
    if on_conflict == "nothing":
        return sql.SQL("NOTHING")
    return sql.SQL("UPDATE SET {}").format(
        sql.SQL(", ").join(
            sql.SQL("{} = {}").format(
                sql.Identifier(column), _new_value(table, column, kind, on_conflict)
            )
            for column, kind in columns.items()
            if column not in key
        )
    )


def _new_value(
    table: str, column: str, kind: str, on_conflict: OnConflict
) -> sql.Composable:
    old, new = sql.Identifier(table, column), sql.Identifier("excluded", column)
    if on_conflict == "replace":
        return new
    if not kind.endswith("[]"):
        return sql.SQL("{} + {}").format(old, new)
    return sql.SQL(
        "(SELECT array_agg(pair.a + pair.b ORDER BY pair.i) "
        "FROM unnest({}, {}) WITH ORDINALITY AS pair (a, b, i))"
    ).format(old, new)
