"""Scores of students that no round trained, and what training spends."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0004"
down_revision = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

VIEWS = Path(db.__file__).resolve().parent / "views"
KINDS = "kind IN ('seconds', 'input_tokens', 'output_tokens', 'usd')"
MORE_KINDS = (
    "kind IN ('seconds', 'input_tokens', 'output_tokens', 'usd', "
    "'train_tokens', 'flop')"
)


def upgrade() -> None:
    op.alter_column("scores", "round_id", nullable=True)
    _replace_kinds(MORE_KINDS)
    _replace_view("student_scores_v02.sql")


def downgrade() -> None:
    _replace_view("student_scores_v01.sql")
    op.execute("DELETE FROM costs WHERE kind IN ('train_tokens', 'flop')")
    _replace_kinds(KINDS)
    op.execute("DELETE FROM scores WHERE round_id IS NULL")
    op.alter_column("scores", "round_id", nullable=False)


def _replace_kinds(condition: str) -> None:
    op.drop_constraint(op.f("ck_costs_kind"), "costs")
    op.create_check_constraint(op.f("ck_costs_kind"), "costs", condition)


def _replace_view(name: str) -> None:
    op.execute("DROP VIEW student_scores")
    sql = (VIEWS / name).read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
    op.execute("GRANT SELECT ON student_scores TO farm_reader")
