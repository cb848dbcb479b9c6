"""What the farm remembers of its work: costs, failures, events, keys."""

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now


class Cost(Base):
    """What one attempt spent, and how much of it was of use."""

    __tablename__ = "costs"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('seconds', 'input_tokens', 'output_tokens', 'usd', "
            "'train_tokens', 'flop')",
            "kind",
        ),
    )

    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    attempt: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    spent: Mapped[float]
    useful: Mapped[float]


class Spending(Base):
    """USD that loops with a budget have spent; the sum of a loop's rows is exact.

    A row a cost, until whoever reads the budget makes one of many.
    """

    __tablename__ = "spending"
    __table_args__ = (Index("ix_spending_loop_id", "loop_id"),)

    id: Mapped[Id]
    loop_id: Mapped[int] = mapped_column(ForeignKey("loops.id", ondelete="CASCADE"))
    usd: Mapped[Decimal] = mapped_column(Numeric)


class Failure(Base):
    """A text that a voter or a stage could not handle: never a silent gap."""

    __tablename__ = "failures"
    __table_args__ = (
        UniqueConstraint(
            "text_id",
            "voter_id",
            "stage",
            "attempt",
            "round_id",
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_failures_round_id", "round_id"),
        Index("ix_failures_voter_id", "voter_id"),
    )

    id: Mapped[Id]
    text_id: Mapped[int] = mapped_column(ForeignKey("texts.id", ondelete="CASCADE"))
    voter_id: Mapped[int | None] = mapped_column(ForeignKey("voters.id"))
    stage: Mapped[str]
    attempt: Mapped[int]
    round_id: Mapped[int | None] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE")
    )
    error: Mapped[str]
    created_at: Mapped[Now]


class Event(Base):
    """The audit trail: who did what to which loop, round or job."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_loop_id_id", "loop_id", "id"),)

    id: Mapped[Id]
    at: Mapped[Now]
    actor: Mapped[str]
    kind: Mapped[str]
    loop_id: Mapped[int | None] = mapped_column(
        ForeignKey("loops.id", ondelete="CASCADE")
    )
    round_id: Mapped[int | None] = mapped_column(BigInteger)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")


class ApiKey(Base):
    """The hash of a key; the key itself is shown once and never stored."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    # First characters of the key, to find its row.
    prefix: Mapped[str] = mapped_column(unique=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Now]
    last_used_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
