"""How far a job came before it lost its lease: getting further forgives lost leases."""

from collections.abc import Sequence

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN furthest_done bigint NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE jobs DROP COLUMN furthest_done")
