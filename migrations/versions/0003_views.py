"""The views that people query, and the role that may read them and nothing else."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0003"
down_revision = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent / "views"
VIEWS = (
    "label_quality",
    "round_summary",
    "voter_quality",
    "ensemble_paradox",
    "student_scores",
    "queue_depth",
    "round_costs",
)
FUNCTIONS = ("must_keep(text)", "mk_in_ref(text, text)")

# Roles belong to the cluster: another database of it may have made this one already,
# perhaps at the same moment.
ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'farm_reader') THEN
        CREATE ROLE farm_reader LOGIN NOINHERIT CONNECTION LIMIT 20;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;
ALTER ROLE farm_reader SET default_transaction_read_only = on;
ALTER ROLE farm_reader SET statement_timeout = '30s';
ALTER ROLE farm_reader SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE farm_reader SET search_path = public;
"""


def upgrade() -> None:
    options = {"no_parameters": True}
    for view in VIEWS:
        sql = (FOLDER / f"{view}_v01.sql").read_text()
        op.get_bind().exec_driver_sql(sql, execution_options=options)
    op.get_bind().exec_driver_sql(ROLE, execution_options=options)
    op.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    op.execute("GRANT USAGE ON SCHEMA public TO farm_reader")
    op.execute(f"GRANT SELECT ON {', '.join(VIEWS)} TO farm_reader")
    for function in FUNCTIONS:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO farm_reader")


def downgrade() -> None:
    # The role stays: another database may grant to it. Its rights here go.
    for function in FUNCTIONS:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM farm_reader")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC")
    op.execute(f"DROP VIEW {', '.join(reversed(VIEWS))}")
    op.execute("REVOKE USAGE ON SCHEMA public FROM farm_reader")
