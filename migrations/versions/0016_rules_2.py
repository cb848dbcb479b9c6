"""Version 2 of the must-keep rules; counts and views say by which version they are."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

import db

revision = "0016"
down_revision = "0015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(db.__file__).resolve().parent
# View, what it was, what it becomes.
VIEWS = (
    ("label_quality", "v01", "v02"),
    ("round_summary", "v03", "v04"),
)
KEY = "round_id, source, kind, category, rule_set"


def upgrade() -> None:
    _run("functions/must_keep_v03.sql")
    op.execute("ALTER TABLE label_counts ADD COLUMN rule_version text")
    # What every count so far was made by.
    op.execute("""
        UPDATE label_counts SET rule_version = CASE rule_set
            WHEN 'farm' THEN '1' WHEN 'headroom-0.42' THEN '0.42.0' ELSE 'r0' END
    """)
    op.execute("ALTER TABLE label_counts ALTER COLUMN rule_version SET NOT NULL")
    _set_key(f"{KEY}, rule_version")
    for view, _, version in VIEWS:
        _replace(view, version)


def downgrade() -> None:
    for view, version, _ in VIEWS:
        _replace(view, version)
    # What two versions of the rules counted is one count again.
    op.execute(f"""
        CREATE TEMP TABLE counted ON COMMIT DROP AS
        SELECT {KEY}, min(rule_version) AS rule_version,
            sum(num_documents) AS num_documents, sum(num_words) AS num_words,
            sum(num_kept) AS num_kept, sum(num_must_keep) AS num_must_keep,
            sum(num_must_keep_kept) AS num_must_keep_kept
        FROM label_counts GROUP BY {KEY}
    """)  # noqa: S608  # our own names
    op.execute("DELETE FROM label_counts")
    op.execute(f"""
        INSERT INTO label_counts ({KEY}, rule_version, num_documents, num_words,
            num_kept, num_must_keep, num_must_keep_kept)
        SELECT * FROM counted
    """)  # noqa: S608
    _set_key(KEY)
    op.execute("ALTER TABLE label_counts DROP COLUMN rule_version")
    _run("functions/must_keep_v02.sql")


def _set_key(columns: str) -> None:
    op.execute("ALTER TABLE label_counts DROP CONSTRAINT pk_label_counts")
    op.execute(
        "ALTER TABLE label_counts ADD CONSTRAINT pk_label_counts "
        f"PRIMARY KEY ({columns})"
    )


def _replace(view: str, version: str) -> None:
    op.execute(f"DROP VIEW {view}")
    _run(f"views/{view}_{version}.sql")
    op.execute(f"GRANT SELECT ON {view} TO farm_reader")


def _run(name: str) -> None:
    sql = (FOLDER / name).read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
