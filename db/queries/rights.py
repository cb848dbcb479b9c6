"""What `farm_reader` may not do beside reading: the fence around its session.

What Postgres gives to everybody is taken back in the farm's database: temporary tables,
and all built-in functions that change something (advisory locks, settings, large
objects, messages in the WAL). Some of it needs a superuser. What every login may do and
nobody can take away (`SET`) is bounded from outside, by `end_overlong`.
"""

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

READER = "farm_reader"
# No transaction of the reader lasts longer, whatever its session says.
MAX_READER_S = 60.0
MAX_CONNECTIONS = 10
# Where a session begins; a login may change all but the last for itself.
SETTINGS = {
    "default_transaction_read_only": "on",
    "search_path": "public",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "transaction_timeout": "60s",
    # A query ends with whoever asked for it.
    "client_connection_check_interval": "2s",
    "temp_file_limit": "256MB",
}
# Built-in functions that are volatile and harm nobody.
HARMLESS = (
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "gen_random_uuid",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "random",
    "random_normal",
    "setseed",
    "timeofday",
    "uuidv4",
    "uuidv7",
)

_IS_THERE = text("""
    SELECT r.rolconnlimit, current_database() AS database,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
           (SELECT tableowner FROM pg_tables
            WHERE schemaname = 'public' AND tablename = 'jobs') AS owner
    FROM pg_roles r WHERE r.rolname = 'farm_reader'
""")
_SET = text("""
    SELECT unnest(setconfig) FROM pg_db_role_setting
    WHERE setrole = CAST('farm_reader' AS regrole) AND setdatabase = 0
""")
_CAN_SET = text("""
    SELECT name FROM pg_settings
    WHERE name = ANY(CAST(:names AS text[]))
      AND (context <> 'superuser'
           OR has_parameter_privilege(current_user, name, 'SET'))
""")
# Two that migrate one database at once would change the same rows.
_ONE_AT_A_TIME = text("LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE")
_EVERYBODYS = text("""
    SELECT format('%I.%I(%s)', n.nspname, p.proname,
                  pg_get_function_identity_arguments(p.oid))
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_type t ON t.oid = p.prorettype
    WHERE n.nspname = 'pg_catalog' AND p.provolatile = 'v'
      AND p.proname <> ALL(CAST(:harmless AS text[]))
      -- Not what an index or a language calls.
      AND (t.typtype <> 'p' OR t.typname IN ('void', 'record', 'anyelement'))
      -- What everybody got when the database was made, and has or its owner lacks.
      AND NOT EXISTS (
          SELECT FROM pg_init_privs i
          WHERE i.classoid = CAST('pg_proc' AS regclass) AND i.objoid = p.oid)
      AND (p.proacl IS NULL
           OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0)
           OR NOT has_function_privilege(CAST(:owner AS name), p.oid, 'EXECUTE'))
    ORDER BY p.oid
""")
_HAS_TEMPORARY = text("""
    SELECT EXISTS (
        SELECT FROM pg_database d,
             aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        WHERE d.datname = current_database()
          AND a.grantee = 0 AND a.privilege_type = 'TEMPORARY'
    )
""")
_IS_MEMBER = text("SELECT pg_has_role(current_user, 'farm_reader', 'USAGE')")
_OVERLONG = text("""
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))
    FROM pg_stat_activity
    WHERE usename = 'farm_reader' AND datname = current_database()
      AND pg_has_role(current_user, usesysid, 'USAGE')
      AND xact_start < clock_timestamp() - make_interval(secs => :max_s)
""")


def fence_reader(connection: Connection) -> list[str]:
    """Take from `farm_reader` what it needs not, as far as this login may.

    Nothing happens before the migration that makes the role. Safe to repeat.

    Args:
        connection: of the tables' owner, or of a superuser for its database; the
            caller commits.

    Returns:
        What only a superuser could do and was not done, for people; empty if the
        fence is whole.
    """
    connection.execute(_ONE_AT_A_TIME)
    here = connection.execute(_IS_THERE).one_or_none()
    if here is None:
        return []
    quote = connection.dialect.identifier_preparer.quote_identifier
    owner, database = quote(here.owner), quote(here.database)
    left = _bound_sessions(connection, here.rolconnlimit)
    if connection.execute(_HAS_TEMPORARY).scalar_one():
        _run(connection, f"GRANT TEMPORARY ON DATABASE {database} TO {owner}")
        _run(connection, f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    values = {"harmless": list(HARMLESS), "owner": here.owner}
    functions = list(connection.execute(_EVERYBODYS, values).scalars())
    if here.is_superuser:
        for function in functions:
            _run(connection, f"GRANT EXECUTE ON FUNCTION {function} TO {owner}")
            _run(connection, f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
    elif functions:
        left.append(f"{len(functions)} built-in functions that change something")
    return left


def end_overlong(session: Session, *, max_s: float = MAX_READER_S) -> int:
    """End the reader's sessions whose transaction lasts too long; returns how many.

    Args:
        session: of the tables' owner.
        max_s: how long a transaction may last, in seconds.
    """
    return int(session.execute(_OVERLONG, {"max_s": max_s}).scalar_one())


def _bound_sessions(connection: Connection, num_connections: int) -> list[str]:
    """Set where sessions begin and how many there may be; gives what it may not set."""
    names = {"names": list(SETTINGS)}
    can_set = set(connection.execute(_CAN_SET, names).scalars())
    found = dict(each.split("=", 1) for each in connection.execute(_SET).scalars())
    # Only what differs: roles belong to the cluster, and others may fence theirs now.
    wanted = {
        name: value
        for name, value in SETTINGS.items()
        if name in can_set and found.get(name) != value
    }
    for name, value in wanted.items():
        _run(connection, f"ALTER ROLE {READER} SET {name} = '{value}'")
    if num_connections != MAX_CONNECTIONS:
        _run(connection, f"ALTER ROLE {READER} CONNECTION LIMIT {MAX_CONNECTIONS}")
    if not connection.execute(_IS_MEMBER).scalar_one():
        # To end its sessions one has to be a member of the role.
        _run(connection, f"GRANT {READER} TO CURRENT_USER WITH INHERIT TRUE")
    return sorted(set(SETTINGS) - can_set)


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
