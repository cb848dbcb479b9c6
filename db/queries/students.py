"""Students: trained checkpoints, unique by round, recipe, seed and fold."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.errors import Conflict, NotFound
from db.models import Loop, Round, Student
from kompress.types import Score

MAIN_FOLD = -1


@dataclass(frozen=True, slots=True)
class NewStudent:
    """A trained student to store.

    Attributes:
        round_id: its round, None for an imported one.
        recipe: the recipe's name.
        seed: the training seed.
        label_source: the labels it was trained on.
        artifact_hash: content hash of its checkpoint in the artifact store.
        checkpoint_id: the id that people see.
        manifest_hash: content hash of its training manifest.
        trained_text_ids: texts it saw itself; its ancestors saw theirs.
        num_steps: optimiser steps.
        num_tokens: real tokens trained on.
        fold: the fold left out, `MAIN_FOLD` for the main student.
        parent_id: the student its training started from.
        recipe_config: the resolved recipe.
        trained_digests: SHA-256 in hex of further texts that it saw itself; those not
            stored here are passed over.
    """

    round_id: int | None
    recipe: str
    seed: int
    label_source: str
    artifact_hash: str
    checkpoint_id: str
    manifest_hash: str
    trained_text_ids: Sequence[int]
    num_steps: int
    num_tokens: int
    fold: int = MAIN_FOLD
    parent_id: int | None = None
    recipe_config: dict[str, Any] = field(default_factory=dict)
    trained_digests: Sequence[str] = ()


_TEXTS = text("SELECT id FROM texts WHERE sha256 = ANY(:digests)")
_SCORES = text("""
    SELECT suite, stratum, metric, value, n, rule_set, definition, override,
           target_keep_rate, step, ci_low, ci_high
    FROM scores
    WHERE student_id = :student_id AND subject_kind = 'student' AND text_id IS NULL
    ORDER BY suite, stratum, rule_set, definition, override,
             target_keep_rate NULLS FIRST, step, metric, round_id
""")


def store_student(session: Session, student: NewStudent) -> int:
    """Store a student, or find the one that is there, and give its id.

    Raises:
        Conflict: another checkpoint holds this round, recipe, seed and fold.
    """
    added = session.scalar(
        insert(Student)
        .values(**_values(session, student))
        .on_conflict_do_nothing()
        .returning(Student.id)
    )
    if added is not None:
        return int(added)
    found = session.scalars(
        select(Student).where(
            Student.round_id == student.round_id,
            Student.recipe == student.recipe,
            Student.seed == student.seed,
            Student.fold == student.fold,
        )
    ).one()
    if found.artifact_hash != student.artifact_hash:
        raise Conflict(
            f"student {found.id} (recipe {found.recipe}, seed {found.seed}, fold "
            f"{found.fold}) holds checkpoint {found.artifact_hash[:12]}, not "
            f"{student.artifact_hash[:12]}; train another seed or recipe"
        )
    return found.id


def import_student(session: Session, student: NewStudent) -> int:
    """Store a student that no round trained, and give its id."""
    values = _values(session, student)
    return int(
        session.scalars(insert(Student).values(**values).returning(Student.id)).one()
    )


def find_imported(session: Session, artifact_hash: str) -> int | None:
    """Find the student that no round trained and that holds a checkpoint."""
    query = select(Student.id).where(
        Student.round_id.is_(None), Student.artifact_hash == artifact_hash
    )
    return session.scalar(query.order_by(Student.id).limit(1))


def own_scores(session: Session, student_id: int) -> list[Score]:
    """Load what a student scored over all texts of its suites, in any round or none."""
    rows = session.execute(_SCORES, {"student_id": student_id})
    return [Score(**row) for row in rows.mappings()]


def get_student(session: Session, student_id: int) -> Student:
    """Find a student by id.

    Raises:
        NotFound: no student has that id.
    """
    student = session.get(Student, student_id)
    if student is None:
        raise NotFound(f"no student has id {student_id}; see the list of students")
    return student


def list_students(
    session: Session,
    loop: str | None = None,
    *,
    after_id: int = 0,
    limit: int | None = None,
) -> list[Student]:
    """List students by id, of one loop (by name) or of all, imported ones included."""
    query = select(Student).where(Student.id > after_id)
    query = query.order_by(Student.id).limit(limit)
    if loop is not None:
        query = (
            query.join(Round, Round.id == Student.round_id)
            .join(Loop, Loop.id == Round.loop_id)
            .where(Loop.name == loop)
        )
    return list(session.scalars(query))


def round_students(session: Session, round_id: int) -> list[Student]:
    """List a round's students, main ones first, then by fold, recipe and seed."""
    query = select(Student).where(Student.round_id == round_id)
    order = (Student.fold, Student.recipe, Student.seed)
    return list(session.scalars(query.order_by(*order)))


def main_students(
    session: Session, loop_id: int, *, before_round: int | None = None
) -> list[Student]:
    """List a loop's main students in the order of their rounds.

    Args:
        session: the session.
        loop_id: the loop.
        before_round: only of rounds with a smaller number; None for all.
    """
    query = (
        select(Student)
        .join(Round, Round.id == Student.round_id)
        .where(Round.loop_id == loop_id, Student.fold == MAIN_FOLD)
        .order_by(Round.number, Student.id)
    )
    if before_round is not None:
        query = query.where(Round.number < before_round)
    return list(session.scalars(query))


def _values(session: Session, student: NewStudent) -> dict[str, Any]:
    """Give a row's values; digests of texts become the ids of those stored here."""
    values = asdict(student)
    digests = [bytes.fromhex(digest) for digest in values.pop("trained_digests")]
    seen = set(student.trained_text_ids)
    if digests:
        seen |= set(session.scalars(_TEXTS, {"digests": digests}))
    return values | {"trained_text_ids": sorted(seen)}
