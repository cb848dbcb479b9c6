"""Loops, rounds, and what a round selected."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now
from kompress.decisions import Decisions, as_json, from_json
from kompress.stop_reason import StopReason, stop_as_json, stop_from_json


class DecisionsColumn(TypeDecorator[Decisions]):
    """A JSON column that Python reads and writes as `Decisions`."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(
        self,
        value: Decisions | None,
        dialect: object,  # noqa: ARG002  # SQLAlchemy's
    ) -> Mapping[str, Any] | None:
        """Lay decisions out to be stored."""
        return None if value is None else as_json(value)

    def process_result_value(
        self,
        value: Mapping[str, Any] | None,
        dialect: object,  # noqa: ARG002
    ) -> Decisions | None:
        """Parse what is stored."""
        return None if value is None else from_json(value)


class StopColumn(TypeDecorator[StopReason]):
    """A JSON column that Python reads and writes as a `StopReason`."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: StopReason | None,
        dialect: object,  # noqa: ARG002  # SQLAlchemy's
    ) -> Mapping[str, Any] | None:
        """Lay a reason out to be stored."""
        return None if value is None else stop_as_json(value)

    def process_result_value(
        self,
        value: Mapping[str, Any] | None,
        dialect: object,  # noqa: ARG002
    ) -> StopReason | None:
        """Parse what is stored."""
        return None if value is None else stop_from_json(value)


class Loop(Base):
    """An experiment: an immutable config over a pinned corpus."""

    __tablename__ = "loops"
    __table_args__ = (
        CheckConstraint(
            "status IN ('running', 'paused', 'cancelled', 'stopped')", "status"
        ),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpora.id"))
    # Documents with a greater seq do not exist for this loop.
    corpus_seq: Mapped[int] = mapped_column(BigInteger)
    # Replacements of gold with a greater seq do not exist for this loop.
    gold_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    # Greater first.
    priority: Mapped[int] = mapped_column(server_default="0")
    status: Mapped[str] = mapped_column(server_default="running")
    # A code, and the figures behind it where there are any.
    stop_reason: Mapped[str] = mapped_column(server_default="")
    stop: Mapped[StopReason | None] = mapped_column(StopColumn)
    promoted_student_id: Mapped[int | None] = mapped_column(
        ForeignKey("students.id", use_alter=True, ondelete="SET NULL")
    )
    created_at: Mapped[Now]
    finished_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class Round(Base):
    """One iteration of a loop; its row's lock orders the ends of its jobs."""

    __tablename__ = "rounds"
    __table_args__ = (
        UniqueConstraint("loop_id", "number"),
        CheckConstraint("open_jobs >= 0", "open_jobs"),
        CheckConstraint(
            "status IN ('running', 'finished', 'cancelled', 'failed')", "status"
        ),
    )

    id: Mapped[Id]
    loop_id: Mapped[int] = mapped_column(ForeignKey("loops.id", ondelete="CASCADE"))
    number: Mapped[int]
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(server_default="running")
    # A code, and the figures behind it where there are any.
    stop_reason: Mapped[str] = mapped_column(server_default="")
    stop: Mapped[StopReason | None] = mapped_column(StopColumn)
    # The stage and wave whose jobs are open, and how many of them are.
    stage: Mapped[str] = mapped_column(server_default="select")
    wave: Mapped[int] = mapped_column(server_default="0")
    open_jobs: Mapped[int] = mapped_column(server_default="0")
    # What decided the round: voters by name, budgets, promotions (invariant 6).
    decisions: Mapped[Decisions] = mapped_column(DecisionsColumn, server_default="{}")
    created_at: Mapped[Now]
    finished_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class Selection(Base):
    """A document that a round labels: why, with what probability, what came of it."""

    __tablename__ = "selections"
    __table_args__ = (
        CheckConstraint("role IN ('train', 'audit')", "role"),
        CheckConstraint("probability > 0 AND probability <= 1", "probability"),
        Index("ix_selections_document_id", "document_id"),
    )

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    # Audit documents get every voter, never train, and stay outside the estimate.
    role: Mapped[str]
    random_slice: Mapped[bool] = mapped_column(server_default="false")
    # Inclusion probability, random slice included; 1 for audit documents.
    probability: Mapped[float]
    # Must-keep words (farm) of the consensus: what mk_in_ref_corpus is made of.
    num_must_keep: Mapped[int | None]
    num_must_keep_kept: Mapped[int | None]


class ShardDocument(Base):
    """Which documents a wave's shard holds: frozen when the wave is planned."""

    __tablename__ = "shard_documents"
    __table_args__ = (Index("ix_shard_documents_document_id", "document_id"),)

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    wave: Mapped[int] = mapped_column(primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
