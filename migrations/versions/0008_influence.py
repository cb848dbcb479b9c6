"""How much a document's label changes what a student says of it."""

from collections.abc import Sequence

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE residuals
            ADD COLUMN influence double precision,
            ADD COLUMN predicted_influence double precision
    """)


def downgrade() -> None:
    op.execute("""
        ALTER TABLE residuals
            DROP COLUMN influence,
            DROP COLUMN predicted_influence
    """)
