"""How good voters and rules were in a round, as integers first."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base

TRUTHS = "truth IN ('gold', 'leave_one_out', 'must_keep')"


class VoterStat(Base):
    """One voter's counts in one stratum against one truth."""

    __tablename__ = "voter_stats"
    __table_args__ = (CheckConstraint(TRUTHS, "truth"),)

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    voter: Mapped[str] = mapped_column(primary_key=True)
    stratum: Mapped[str] = mapped_column(primary_key=True)
    truth: Mapped[str] = mapped_column(primary_key=True)
    num_keep_kept: Mapped[int] = mapped_column(BigInteger)
    num_keep_dropped: Mapped[int] = mapped_column(BigInteger)
    num_drop_kept: Mapped[int] = mapped_column(BigInteger)
    num_drop_dropped: Mapped[int] = mapped_column(BigInteger)
    # Words equal to the consensus without this voter, and how many were compared.
    num_agreed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    num_compared: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Vote codes 0..255 of words that are truly kept, and of those truly dropped.
    keep_codes: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    drop_codes: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    # Mean weight in the round's rule; both rates once a rule fits them.
    weight: Mapped[float | None]
    fitted_sensitivity: Mapped[float | None]
    fitted_specificity: Mapped[float | None]
    ece: Mapped[float | None]


class RuleStat(Base):
    """One aggregation rule's counts in one stratum, beside its best voter.

    A voter alone is the rule `voter(NAME)`. Against must-keep all keep as many words of
    each text as the consensus does, and best_value is a recall.
    """

    __tablename__ = "rule_stats"
    __table_args__ = (CheckConstraint(TRUTHS, "truth"),)

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    rule: Mapped[str] = mapped_column(primary_key=True)
    stratum: Mapped[str] = mapped_column(primary_key=True)
    truth: Mapped[str] = mapped_column(primary_key=True)
    num_keep_kept: Mapped[int] = mapped_column(BigInteger)
    num_keep_dropped: Mapped[int] = mapped_column(BigInteger)
    num_drop_kept: Mapped[int] = mapped_column(BigInteger)
    num_drop_dropped: Mapped[int] = mapped_column(BigInteger)
    best_voter: Mapped[str] = mapped_column(server_default="")
    best_value: Mapped[float | None]
    # Interval of rule minus best voter, bootstrapped over document groups.
    difference_low: Mapped[float | None]
    difference_high: Mapped[float | None]


class VotePattern(Base):
    """A shard's counts of joint votes: what the rules that learn are fitted to."""

    __tablename__ = "vote_patterns"

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    shard: Mapped[int] = mapped_column(primary_key=True)
    # `VotePatterns.to_bytes`: a numpy archive of integers.
    patterns: Mapped[bytes]


class RuleFit(Base):
    """What a rule that learns has learned in a round."""

    __tablename__ = "rule_fits"

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    rule: Mapped[str] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class VoterPair(Base):
    """How two voters' votes fall together in one stratum, by truth."""

    __tablename__ = "voter_pairs"
    __table_args__ = (CheckConstraint("truth IN ('keep', 'drop', 'unknown')", "truth"),)

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    # `voter` stands before `other` in the round's panel.
    voter: Mapped[str] = mapped_column(primary_key=True)
    other: Mapped[str] = mapped_column(primary_key=True)
    stratum: Mapped[str] = mapped_column(primary_key=True)
    truth: Mapped[str] = mapped_column(primary_key=True)
    num_both_keep: Mapped[int] = mapped_column(BigInteger)
    num_voter_keeps: Mapped[int] = mapped_column(BigInteger)
    num_other_keeps: Mapped[int] = mapped_column(BigInteger)
    num_both_drop: Mapped[int] = mapped_column(BigInteger)


class Residual(Base):
    """What the students still get wrong about a document."""

    __tablename__ = "residuals"

    round_id: Mapped[int] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    measured: Mapped[float | None]
    predicted: Mapped[float | None]
    # How much its label changes what a student says: as measured, and predicted.
    influence: Mapped[float | None]
    predicted_influence: Mapped[float | None]
