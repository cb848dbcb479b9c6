"""The must-keep rules inside Postgres."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0002"
down_revision = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent / "functions"
FILES = ("must_keep_v01.sql", "mk_in_ref_v01.sql")


def upgrade() -> None:
    options = {"no_parameters": True}
    for name in FILES:
        sql = (FOLDER / name).read_text()
        op.get_bind().exec_driver_sql(sql, execution_options=options)


def downgrade() -> None:
    op.execute("DROP FUNCTION mk_in_ref(text, text)")
    op.execute("DROP FUNCTION must_keep(text)")
