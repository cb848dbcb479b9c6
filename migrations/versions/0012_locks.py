"""Locks as rows that only the owner can lock."""

from collections.abc import Sequence

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE locks (
            name text NOT NULL,
            CONSTRAINT pk_locks PRIMARY KEY (name)
        )
    """)
    op.execute("INSERT INTO locks (name) VALUES ('relay'), ('reservations')")


def downgrade() -> None:
    op.execute("DROP TABLE locks")
