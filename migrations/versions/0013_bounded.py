"""The must-keep functions refuse what is larger than any text of the farm."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0013"
down_revision = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent / "functions"


def upgrade() -> None:
    _run("bounded_v01.sql")
    op.execute("REVOKE EXECUTE ON FUNCTION bounded(text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION bounded(text) TO farm_reader")
    _run("must_keep_v02.sql")
    _run("mk_in_ref_v02.sql")


def downgrade() -> None:
    _run("must_keep_v01.sql")
    _run("mk_in_ref_v01.sql")
    op.execute("DROP FUNCTION bounded(text)")


def _run(name: str) -> None:
    sql = (FOLDER / name).read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
