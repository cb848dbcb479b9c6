# ruff: noqa: FAST003  # a dependency reads {id}
"""Students: what they are made of and what they scored."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from api.deps import AfterId, DbSession, PageSize
from api.schemas import StudentListedOut, StudentOut, StudentsOut
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


@router.get("/v1/students")
def list_students(
    session: DbSession,
    loop: Annotated[str, Query(description="Only this loop's, by name or id.")] = "",
    after_id: AfterId = 0,
    limit: PageSize = 100,
) -> StudentsOut:
    """List students, oldest first; those of folds and imported ones too."""
    name = loops.get_loop(session, loop).name if loop else None
    rows = students.list_students(session, name, after_id=after_id, limit=limit)
    places: dict[int | None, tuple[str | None, int | None]] = {None: (None, None)}
    for row in rows:
        if row.round_id is not None and row.round_id not in places:
            places[row.round_id] = loops.place_of(session, row.round_id)
    return StudentsOut(
        students=[
            StudentListedOut(**_heads(row, *places[row.round_id])) for row in rows
        ],
        next_after_id=rows[-1].id if rows else after_id,
    )


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
        **_heads(student, loop, number),
        artifact_hash=student.artifact_hash,
        manifest_hash=student.manifest_hash,
        num_texts=len(student.trained_text_ids),
        recipe_config=student.recipe_config,
        scores=scores,
    )


def _heads(student: Student, loop: str | None, number: int | None) -> dict[str, Any]:
    """Lay out what a listing shows of a student."""
    return {
        "id": student.id,
        "loop": loop,
        "round": number,
        "recipe": student.recipe,
        "seed": student.seed,
        "fold": student.fold,
        "parent_id": student.parent_id,
        "label_source": student.label_source,
        "checkpoint_id": student.checkpoint_id,
        "num_steps": student.num_steps,
        "num_tokens": student.num_tokens,
        "created_at": student.created_at,
    }
