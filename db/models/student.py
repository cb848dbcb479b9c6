"""Students and what they, voters, rules and baselines scored."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Now


class Student(Base):
    """A trained checkpoint, its recipe and its lineage. Fold -1 is the main student."""

    __tablename__ = "students"
    __table_args__ = (
        UniqueConstraint("round_id", "recipe", "seed", "fold"),
        Index(
            "ix_students_trained_text_ids", "trained_text_ids", postgresql_using="gin"
        ),
    )

    id: Mapped[Id]
    round_id: Mapped[int | None] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE")
    )
    recipe: Mapped[str]
    seed: Mapped[int]
    fold: Mapped[int] = mapped_column(server_default="-1")
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("students.id", ondelete="SET NULL")
    )
    recipe_config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    label_source: Mapped[str]
    artifact_hash: Mapped[str]
    checkpoint_id: Mapped[str]
    manifest_hash: Mapped[str]
    # The texts it saw itself; its ancestors saw theirs.
    trained_text_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    num_steps: Mapped[int]
    num_tokens: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Now]


class Score(Base):
    """One measured value of one subject, by suite, stratum, rule set and definition."""

    __tablename__ = "scores"
    __table_args__ = (
        CheckConstraint(
            "subject_kind IN ('student', 'voter', 'rule', 'baseline')", "subject_kind"
        ),
        # Every null is a value of its own meaning: own threshold, all texts.
        UniqueConstraint(
            "round_id",
            "subject_kind",
            "subject",
            "suite",
            "stratum",
            "rule_set",
            "definition",
            "override",
            "target_keep_rate",
            "step",
            "metric",
            "text_id",
            name="uq_scores_key",
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_scores_text_id", "text_id"),
        Index("ix_scores_student_id", "student_id"),
    )

    id: Mapped[Id]
    # None: a student from elsewhere, which no round trained.
    round_id: Mapped[int | None] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE")
    )
    subject_kind: Mapped[str]
    # A student's id as text, a voter's or rule's name, or a baseline's name.
    subject: Mapped[str]
    student_id: Mapped[int | None] = mapped_column(
        ForeignKey("students.id", ondelete="CASCADE")
    )
    suite: Mapped[str]
    stratum: Mapped[str]
    rule_set: Mapped[str]
    definition: Mapped[str]
    override: Mapped[str]
    target_keep_rate: Mapped[float | None]
    step: Mapped[int] = mapped_column(server_default="0")
    metric: Mapped[str]
    text_id: Mapped[int | None] = mapped_column(
        ForeignKey("texts.id", ondelete="CASCADE")
    )
    value: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    n: Mapped[int] = mapped_column(BigInteger)
