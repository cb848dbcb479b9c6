"""Jobs (the truth about work) and the workers that do them."""

import datetime as dt
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now


class Job(Base):
    """A unit of work; a Celery message is only a hint that this row exists."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("round_id", "stage", "wave", "voter", "shard"),
        CheckConstraint(
            "status IN ('pending', 'running', 'done', 'failed', 'cancelled', 'split')",
            "status",
        ),
        Index(
            "ix_jobs_pending",
            "queue",
            "run_after",
            postgresql_where=text("status = 'pending'"),
        ),
        Index(
            "ix_jobs_running",
            "lease_until",
            postgresql_where=text("status = 'running'"),
        ),
        # What the relay may send next, and what it has sent.
        Index(
            "ix_jobs_unsent",
            "round_id",
            "queue",
            "id",
            postgresql_where=text("status = 'pending' AND sent_at IS NULL"),
        ),
        Index(
            "ix_jobs_sent",
            "queue",
            "sent_at",
            postgresql_where=text("status = 'pending' AND sent_at IS NOT NULL"),
        ),
        {
            "postgresql_with": {
                "autovacuum_vacuum_scale_factor": "0",
                "autovacuum_vacuum_threshold": "500",
            }
        },
    )

    id: Mapped[Id]
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"))
    stage: Mapped[str]
    wave: Mapped[int] = mapped_column(server_default="0")
    voter: Mapped[str] = mapped_column(server_default="")
    shard: Mapped[int] = mapped_column(server_default="0")
    queue: Mapped[str]
    args: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    args_version: Mapped[int] = mapped_column(server_default="1")
    status: Mapped[str] = mapped_column(server_default="pending")
    attempt: Mapped[int] = mapped_column(server_default="0")
    worker: Mapped[str] = mapped_column(server_default="")
    run_after: Mapped[Now]
    # When a hint was last sent for the present pending spell; None: not yet.
    sent_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    lease_until: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    # Seconds that one attempt may take before its process exits.
    deadline_s: Mapped[int] = mapped_column(server_default="3600")
    # Errors park a job; lost leases are counted apart and end in a split.
    num_errors: Mapped[int] = mapped_column(server_default="0")
    num_lost_leases: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str] = mapped_column(server_default="")
    progress_done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    progress_total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # How far any attempt came that lost its lease.
    furthest_done: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[Now]
    started_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class Worker(Base):
    """A live worker process: what it takes and how many at once."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    queues: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    slots: Mapped[int]
    version: Mapped[str]
    # Takes no new job, finishes the ones it has.
    draining: Mapped[bool] = mapped_column(server_default="false")
    # Hands back even the jobs it has.
    stopping: Mapped[bool] = mapped_column(server_default="false")
    started_at: Mapped[Now]
    heartbeat_at: Mapped[dt.datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
