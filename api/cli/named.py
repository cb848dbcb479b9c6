"""What a command names: a loop by name or id, a student by id or as a folder."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.models import Loop
    from db.models import Student as StudentRow

PROMOTED = "promoted"


def find_loop(session: "Session", which: str, *, without: str = "") -> "Loop":
    """Find a loop by name or id; '' is the newest.

    Args:
        session: of the farm's database.
        which: what was named.
        without: what can be done where there is no loop yet, for the message.

    Raises:
        NotFound: there is none.
    """
    from db.errors import NotFound
    from db.queries import loops

    if which:
        return loops.get_loop(session, which)
    newest = loops.list_loops(session)
    if not newest:
        raise NotFound(
            f"there is no loop yet; `farm loop start CORPUS` starts one{without}"
        )
    return newest[0]


def find_student(session: "Session", which: str) -> "StudentRow":
    """Find a student's row by id, or the one that was promoted last.

    Raises:
        NotFound: there is none, or `which` is no id.
    """
    from db.errors import NotFound
    from db.ids import parse_id
    from db.queries import loops, students

    if which == PROMOTED:
        for loop in loops.list_loops(session):  # newest first
            if loop.promoted_student_id is not None:
                # Another loop may have promoted one since somebody last looked.
                typer.echo(
                    f"student {loop.promoted_student_id}, promoted by loop {loop.name}",
                    err=True,
                )
                return students.get_student(session, loop.promoted_student_id)
        raise NotFound(
            "no student was promoted yet; a loop promotes one when it stops; name a "
            "student by its id, see `farm student list`"
        )
    student_id = parse_id(which)
    if student_id is None:
        raise NotFound(
            f"no student is called {which[:120]!r}; expected an id of "
            f"`farm student list`, {PROMOTED!r}, or a student's folder"
        )
    return students.get_student(session, student_id)
