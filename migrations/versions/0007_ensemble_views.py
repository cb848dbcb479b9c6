"""What a panel of voters is worth, whose errors fall together, reliability diagrams."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0007"
down_revision = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent / "views"
ADDED = ("ensemble_diversity", "voter_correlation")


def upgrade() -> None:
    op.execute("DROP VIEW voter_quality")
    _create_view("voter_quality", "v02")
    for view in ADDED:
        _create_view(view, "v01")


def downgrade() -> None:
    op.execute(f"DROP VIEW {', '.join(ADDED)}, voter_quality")
    _create_view("voter_quality", "v01")


def _create_view(view: str, version: str) -> None:
    sql = (FOLDER / f"{view}_{version}.sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
    op.execute(f"GRANT SELECT ON {view} TO farm_reader")
