"""Let `round_summary` measure by the rule sets that a round's config names."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0011"
down_revision = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent / "views"


def upgrade() -> None:
    _replace_view("v02")


def downgrade() -> None:
    _replace_view("v01")


def _replace_view(version: str) -> None:
    op.execute("DROP VIEW round_summary")
    sql = (FOLDER / f"round_summary_{version}.sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
    op.execute("GRANT SELECT ON round_summary TO farm_reader")
