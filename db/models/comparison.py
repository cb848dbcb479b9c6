"""Candidate references and the judgments between two of them."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id


class Candidate(Base):
    """A reference that could stand for a text, as a keep mask or as a rewrite."""

    __tablename__ = "candidates"
    __table_args__ = (
        Index(
            "uq_candidates_text_id_origin_replicate",
            "text_id",
            "origin",
            "replicate",
            unique=True,
        ),
    )

    id: Mapped[Id]
    text_id: Mapped[int] = mapped_column(ForeignKey("texts.id", ondelete="CASCADE"))
    origin: Mapped[str]
    replicate: Mapped[int] = mapped_column(server_default="0")
    reference: Mapped[str]
    # Packed keep bits (numpy.packbits), None where the reference rewrites.
    keep: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Calibrated quality in [0, 1] by the newest fit, and its standard error.
    quality: Mapped[float | None]
    quality_se: Mapped[float | None]
    # What the verifier said; None: not looked at.
    is_sound: Mapped[bool | None]


class Comparison(Base):
    """P(A), P(B), P(tie) of one voter on one pair, in one order."""

    __tablename__ = "comparisons"
    __table_args__ = (
        CheckConstraint("candidate_a_id <> candidate_b_id", "two_candidates"),
        CheckConstraint("p_a >= 0 AND p_b >= 0 AND p_tie >= 0", "probabilities"),
        Index("ix_comparisons_candidate_b_id", "candidate_b_id"),
        Index("ix_comparisons_voter_id", "voter_id"),
    )

    # A stands first in the prompt: the pair's order is the order of these columns.
    candidate_a_id: Mapped[int] = mapped_column(
        ForeignKey("candidates.id", ondelete="CASCADE"), primary_key=True
    )
    candidate_b_id: Mapped[int] = mapped_column(
        ForeignKey("candidates.id", ondelete="CASCADE"), primary_key=True
    )
    voter_id: Mapped[int] = mapped_column(ForeignKey("voters.id"), primary_key=True)
    replicate: Mapped[int] = mapped_column(primary_key=True, server_default="0")
    p_a: Mapped[float]
    p_b: Mapped[float]
    p_tie: Mapped[float]
