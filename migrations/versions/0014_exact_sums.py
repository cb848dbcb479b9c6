"""Views whose sums of fractions do not depend on the order of rows."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0014"
down_revision = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent / "views"
# View, what it was, what it becomes.
VIEWS = (
    ("round_summary", "v02", "v03"),
    ("round_costs", "v01", "v02"),
    ("voter_correlation", "v01", "v02"),
)


def upgrade() -> None:
    for view, _, version in VIEWS:
        _replace(view, version)


def downgrade() -> None:
    for view, version, _ in VIEWS:
        _replace(view, version)


def _replace(view: str, version: str) -> None:
    op.execute(f"DROP VIEW {view}")
    sql = (FOLDER / f"{view}_{version}.sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
    op.execute(f"GRANT SELECT ON {view} TO farm_reader")
