"""Endpoints of hosted models: how many requests all workers together may have open."""

import datetime as dt

from sqlalchemy import CheckConstraint, DateTime, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Now


class Endpoint(Base):
    """The concurrency that an endpoint bears: halved by refusals, grown by answers."""

    __tablename__ = "endpoints"
    __table_args__ = (CheckConstraint("concurrency >= 1", "concurrency"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    concurrency: Mapped[float]
    # Nobody sends before: what `Retry-After` said.
    paused_until: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    # Refusals of one burst count once.
    reduced_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[Now]


class EndpointWorker(Base):
    """What one worker may have open at an endpoint, until its lease ends."""

    __tablename__ = "endpoint_workers"
    __table_args__ = (CheckConstraint("slots >= 0", "slots"),)

    endpoint: Mapped[str] = mapped_column(
        ForeignKey("endpoints.name", ondelete="CASCADE"), primary_key=True
    )
    worker: Mapped[str] = mapped_column(primary_key=True)
    slots: Mapped[int]
    lease_until: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
