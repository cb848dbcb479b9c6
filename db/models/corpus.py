"""Corpora and the place of a text in one."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now


class Corpus(Base):
    """A named set of documents that only grows, `seq` by `seq`."""

    __tablename__ = "corpora"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    external_ok: Mapped[bool] = mapped_column(server_default="false")
    # The last `seq` given out; appends take numbers under this row's lock.
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[Now]


class Document(Base):
    """A text's place in a corpus."""

    __tablename__ = "documents"
    __table_args__ = (
        CheckConstraint("split IN ('train', 'audit', 'held_out')", "split"),
        Index("uq_documents_corpus_id_text_id", "corpus_id", "text_id", unique=True),
        Index("uq_documents_corpus_id_seq", "corpus_id", "seq", unique=True),
        Index("ix_documents_corpus_id_group_id", "corpus_id", "group_id"),
        Index("ix_documents_text_id", "text_id"),
    )

    id: Mapped[Id]
    corpus_id: Mapped[int] = mapped_column(ForeignKey("corpora.id", ondelete="CASCADE"))
    text_id: Mapped[int] = mapped_column(ForeignKey("texts.id", ondelete="CASCADE"))
    seq: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    external_id: Mapped[str]
    group_id: Mapped[str]
    split: Mapped[str]
    created_at: Mapped[Now]


class DocumentBand(Base):
    """MinHash bands of stored documents: how an upload finds its near-duplicates."""

    __tablename__ = "document_bands"
    __table_args__ = (Index("ix_document_bands_document_id", "document_id"),)

    corpus_id: Mapped[int] = mapped_column(
        ForeignKey("corpora.id", ondelete="CASCADE"), primary_key=True
    )
    band: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
