"""Known truth about texts, from planted facts or people."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Now


class Gold(Base):
    """Truth per word and the planted facts, by who knows it."""

    __tablename__ = "gold"
    __table_args__ = (CheckConstraint("use IN ('calibrate', 'evaluate')", "use"),)

    text_id: Mapped[int] = mapped_column(
        ForeignKey("texts.id", ondelete="CASCADE"), primary_key=True
    )
    origin: Mapped[str] = mapped_column(primary_key=True)
    use: Mapped[str]
    codes: Mapped[bytes] = mapped_column(LargeBinary)
    question: Mapped[str] = mapped_column(server_default="")
    # [{"name": …, "words": [word numbers]}]
    facts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    created_at: Mapped[Now]
