"""Votes: immutable, one byte a word."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now


class Vote(Base):
    """One voter's P(keep) for every word of one text.

    Code c stands for (c + 1/2) / 255; 255 is an abstention.
    """

    __tablename__ = "votes"
    __table_args__ = (
        CheckConstraint("num_samples >= 1", "num_samples"),
        Index(
            "uq_votes_text_id_voter_id_replicate",
            "text_id",
            "voter_id",
            "replicate",
            unique=True,
        ),
        Index("ix_votes_voter_id", "voter_id"),
    )

    id: Mapped[Id]
    text_id: Mapped[int] = mapped_column(ForeignKey("texts.id", ondelete="CASCADE"))
    voter_id: Mapped[int] = mapped_column(ForeignKey("voters.id"))
    replicate: Mapped[int] = mapped_column(server_default="0")
    num_samples: Mapped[int] = mapped_column(server_default="1")
    codes: Mapped[bytes] = mapped_column(LargeBinary)


class RoundVote(Base):
    """Which votes a round used; views and refits read votes only through it."""

    __tablename__ = "round_votes"
    __table_args__ = (Index("ix_round_votes_vote_id", "vote_id"),)

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    vote_id: Mapped[int] = mapped_column(
        ForeignKey("votes.id", ondelete="CASCADE"), primary_key=True
    )


class Answer(Base):
    """What a paid request returned, apart from the votes that a parser reads in it."""

    __tablename__ = "answers"

    text_id: Mapped[int] = mapped_column(
        ForeignKey("texts.id", ondelete="CASCADE"), primary_key=True
    )
    request_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    replicate: Mapped[int] = mapped_column(primary_key=True, server_default="0")
    body: Mapped[bytes] = mapped_column(LargeBinary)
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    created_at: Mapped[Now]


class Reservation(Base):
    """A paid request that is on its way: whose it is, and what it may cost at most.

    Made before the request is sent and deleted with its answer's arrival, so that
    nobody asks the same twice and a budget counts what is still open. One whose job
    runs no more, or in a later attempt, was lost: its maximum is spent, not useful.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("usd >= 0 AND input_tokens >= 0 AND output_tokens >= 0", "max"),
        Index("ix_reservations_job_id", "job_id"),
    )

    text_id: Mapped[int] = mapped_column(
        ForeignKey("texts.id", ondelete="CASCADE"), primary_key=True
    )
    request_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    replicate: Mapped[int] = mapped_column(primary_key=True, server_default="0")
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    usd: Mapped[float]
    reserved_at: Mapped[Now]
