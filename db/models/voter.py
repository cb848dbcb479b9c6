"""Voters: whatever votes on words."""

import datetime as dt
from typing import Any

from sqlalchemy import DateTime, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now


class Voter(Base):
    """A voter's name and everything that decides its votes."""

    __tablename__ = "voters"
    __table_args__ = (UniqueConstraint("name", "fingerprint"),)

    id: Mapped[Id]
    name: Mapped[str]
    # SHA-256, hex, over the sorted JSON of `parts`.
    fingerprint: Mapped[str]
    kind: Mapped[str]
    params: Mapped[dict[str, Any]] = mapped_column(JSONB)
    parts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    # Content hash of the fitted snapshot in the artifact store, '' if none.
    snapshot_hash: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[Now]
    quarantined_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
