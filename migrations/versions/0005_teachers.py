"""Reservations of paid requests, limits of endpoints, verified candidates."""

from collections.abc import Sequence

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE reservations (
            text_id bigint NOT NULL,
            request_fingerprint text NOT NULL,
            replicate integer DEFAULT 0 NOT NULL,
            job_id bigint NOT NULL,
            attempt integer NOT NULL,
            input_tokens integer NOT NULL,
            output_tokens integer NOT NULL,
            usd double precision NOT NULL,
            reserved_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT pk_reservations
                PRIMARY KEY (text_id, request_fingerprint, replicate),
            CONSTRAINT ck_reservations_max
                CHECK (usd >= 0 AND input_tokens >= 0 AND output_tokens >= 0),
            CONSTRAINT fk_reservations_text_id FOREIGN KEY (text_id)
                REFERENCES texts (id) ON DELETE CASCADE,
            CONSTRAINT fk_reservations_job_id FOREIGN KEY (job_id)
                REFERENCES jobs (id) ON DELETE CASCADE
        )
    """)
    op.execute("CREATE INDEX ix_reservations_job_id ON reservations (job_id)")
    op.execute("""
        CREATE TABLE endpoints (
            name text NOT NULL,
            concurrency double precision NOT NULL,
            paused_until timestamptz,
            reduced_at timestamptz,
            updated_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT pk_endpoints PRIMARY KEY (name),
            CONSTRAINT ck_endpoints_concurrency CHECK (concurrency >= 1)
        )
    """)
    op.execute("""
        CREATE TABLE endpoint_workers (
            endpoint text NOT NULL,
            worker text NOT NULL,
            slots integer NOT NULL,
            lease_until timestamptz NOT NULL,
            CONSTRAINT pk_endpoint_workers PRIMARY KEY (endpoint, worker),
            CONSTRAINT ck_endpoint_workers_slots CHECK (slots >= 0),
            CONSTRAINT fk_endpoint_workers_endpoint FOREIGN KEY (endpoint)
                REFERENCES endpoints (name) ON DELETE CASCADE
        )
    """)
    op.execute("ALTER TABLE candidates ADD COLUMN is_sound boolean")


def downgrade() -> None:
    op.execute("ALTER TABLE candidates DROP COLUMN is_sound")
    op.execute("DROP TABLE endpoint_workers")
    op.execute("DROP TABLE endpoints")
    op.execute("DROP TABLE reservations")
