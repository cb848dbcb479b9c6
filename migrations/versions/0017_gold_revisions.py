"""Gold may be replaced: a new revision, which loops that began before do not see."""

from collections.abc import Sequence

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE gold
            ADD COLUMN revision int NOT NULL DEFAULT 1,
            ADD COLUMN seq bigint NOT NULL DEFAULT 0,
            DROP CONSTRAINT pk_gold,
            ADD CONSTRAINT pk_gold PRIMARY KEY (text_id, origin, revision)
    """)
    op.execute("CREATE INDEX ix_gold_seq ON gold (seq) WHERE seq > 0")
    op.execute("ALTER TABLE loops ADD COLUMN gold_seq bigint NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE loops DROP COLUMN gold_seq")
    op.execute("DROP INDEX ix_gold_seq")
    # What was said first is what loops were begun with.
    op.execute("DELETE FROM gold WHERE revision > 1")
    op.execute("""
        ALTER TABLE gold
            DROP CONSTRAINT pk_gold,
            DROP COLUMN revision,
            DROP COLUMN seq,
            ADD CONSTRAINT pk_gold PRIMARY KEY (text_id, origin)
    """)
