"""Labels, and the integers that every rate of them is made of."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base


class Label(Base):
    """The posterior per word of one text in one round, by source.

    The key starts with the round, so a loop's labels lie together and drop cheaply.
    """

    __tablename__ = "labels"
    __table_args__ = (Index("ix_labels_text_id", "text_id"),)

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    text_id: Mapped[int] = mapped_column(
        ForeignKey("texts.id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[str] = mapped_column(primary_key=True)
    # Little-endian float16, N words each.
    mean: Mapped[bytes] = mapped_column(LargeBinary)
    sd: Mapped[bytes] = mapped_column(LargeBinary)


class LabelCount(Base):
    """Words and kept words of a round's labels and votes, by kind and category.

    Every text with that label or vote in the round; `kind` and `category` include
    `all`; the category `plain` holds the words that no rule caught. Recountable from
    votes and labels.
    """

    __tablename__ = "label_counts"

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(primary_key=True)
    rule_set: Mapped[str] = mapped_column(primary_key=True)
    rule_version: Mapped[str] = mapped_column(primary_key=True)
    num_documents: Mapped[int] = mapped_column(BigInteger)
    num_words: Mapped[int] = mapped_column(BigInteger)
    num_kept: Mapped[int] = mapped_column(BigInteger)
    num_must_keep: Mapped[int] = mapped_column(BigInteger)
    num_must_keep_kept: Mapped[int] = mapped_column(BigInteger)
