"""Known truth about texts, from planted facts or people."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Now


class Gold(Base):
    """Truth per word and the planted facts, by who knows it; a revision for each time
    that somebody changed their mind.
    """

    __tablename__ = "gold"
    __table_args__ = (
        CheckConstraint("use IN ('calibrate', 'evaluate')", "use"),
        Index("ix_gold_seq", "seq", postgresql_where=text("seq > 0")),
    )

    text_id: Mapped[int] = mapped_column(
        ForeignKey("texts.id", ondelete="CASCADE"), primary_key=True
    )
    origin: Mapped[str] = mapped_column(primary_key=True)
    # The greatest counts, 1 is what was said first.
    revision: Mapped[int] = mapped_column(primary_key=True, server_default="1")
    # Numbers replacements in the order of their commits; 0 is none. Loops do not see
    # those that came after they had begun (`loops.gold_seq`).
    seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    use: Mapped[str]
    codes: Mapped[bytes] = mapped_column(LargeBinary)
    question: Mapped[str] = mapped_column(server_default="")
    # [{"name": …, "words": [word numbers]}]
    facts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    created_at: Mapped[Now]
