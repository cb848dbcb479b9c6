# ruff: noqa: FAST003  # a dependency reads {id}
"""Students: what they are made of and what they scored."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.deps import DbSession
from api.schemas import StudentOut
from db.models import Student
from db.queries import loops, students, views

router = APIRouter(tags=["students"])


def find_student(
    session: DbSession, key: Annotated[int, Path(alias="id", ge=1, lt=2**63)]
) -> Student:
    """Find the student that a path names.

    Raises:
        NotFound: there is none.
    """
    return students.get_student(session, key)


@router.get("/v1/students/{id}")
def get_student(
    student: Annotated[Student, Depends(find_student)], session: DbSession
) -> StudentOut:
    """Show a student: recipe, lineage, and its rows of the view `student_scores`."""
    loop, number, scores = None, None, []
    if student.round_id is not None:
        loop, number = loops.place_of(session, student.round_id)
        rows = views.student_scores(session, loop, number)
        scores = [row for row in rows if row["student"] == student.id]
    return StudentOut(
        id=student.id,
        loop=loop,
        round=number,
        recipe=student.recipe,
        seed=student.seed,
        fold=student.fold,
        parent_id=student.parent_id,
        label_source=student.label_source,
        artifact_hash=student.artifact_hash,
        checkpoint_id=student.checkpoint_id,
        manifest_hash=student.manifest_hash,
        num_texts=len(student.trained_text_ids),
        num_steps=student.num_steps,
        num_tokens=student.num_tokens,
        recipe_config=student.recipe_config,
        created_at=student.created_at,
        scores=scores,
    )
