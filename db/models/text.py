"""Texts by content, and what the must-keep rules say of their words."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, LargeBinary
from sqlalchemy import Text as SqlText
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now


class Text(Base):
    """A content-addressed string."""

    __tablename__ = "texts"
    __table_args__ = (CheckConstraint("octet_length(sha256) = 32", "sha256_size"),)

    id: Mapped[Id]
    sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    content: Mapped[str] = mapped_column(SqlText)
    num_words: Mapped[int]
    num_bytes: Mapped[int]
    created_at: Mapped[Now]


class TextStrata(Base):
    """One code a word (its place in `kompress.types.STRATA`), by rule set.

    Under `farm` a code is the word's stratum; under another rule set a plain word is 0
    and a must-keep word has farm's category, or `other` where farm has none.
    """

    __tablename__ = "text_strata"

    text_id: Mapped[int] = mapped_column(
        ForeignKey("texts.id", ondelete="CASCADE"), primary_key=True
    )
    rule_set: Mapped[str] = mapped_column(primary_key=True)
    rule_version: Mapped[str] = mapped_column(primary_key=True)
    split_version: Mapped[str] = mapped_column(primary_key=True)
    codes: Mapped[bytes] = mapped_column(LargeBinary)
    # Words per stratum, in `STRATA` order.
    num_words: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    num_must_keep: Mapped[int] = mapped_column(BigInteger)
