"""`farm student`, and how commands get hold of a student."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, show

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.students import Student

app = typer.Typer(help="Students: the trained compressors.", no_args_is_help=True)

PROMOTED = "promoted"
COLUMNS = ("id", "loop", "round", "fold", "promoted", "recipe", "seed",
           "label_source", "num_tokens", "num_steps", "parent_id", "checkpoint_id",
           "created_at")  # fmt: skip


@app.command("list")
def list_students(
    loop: Annotated[str, typer.Option(help="Only this loop's.")] = "",
    folds: Annotated[
        bool, typer.Option("--folds", help="Also those that leave out a fold.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List students, oldest first."""
    from api.cli.connection import open_session
    from db.queries import loops, students

    with open_session() as session:
        names = {row.id: row for row in loops.list_loops(session)}
        found = loops.get_loop(session, loop).name if loop else None
        of_round = {
            row.id: (loop_row.name, row.number)
            for loop_row in names.values()
            for row in loops.rounds_of(session, loop_row.id)
        }
        promoted = {row.promoted_student_id for row in names.values()}
        rows = [
            _as_row(student, of_round, promoted)
            for student in students.list_students(session, found)
            if folds or student.fold == students.MAIN_FOLD
        ]
    empty = "no students yet; a round of a loop trains one"
    show(rows, as_json=as_json, empty=empty, columns=COLUMNS)


@contextmanager
def open_student(which: str) -> "Iterator[Student]":
    """Load a student by id, by `promoted`, or from a folder.

    Raises:
        NotFound: no such student.
        InvalidInput: its artifact is not where FARM_ARTIFACTS points.
        InvalidCheckpoint: its files are incomplete or altered.
    """
    from kompress.students import load

    if Path(which).is_dir():
        yield load(Path(which))
        return
    from api.cli.connection import open_session
    from kompress.students.checkpoint import unpack

    with open_session() as session:
        digest = find_student(session, which).artifact_hash
    with tempfile.TemporaryDirectory(prefix="farm-student-") as folder:
        unpack(_fetch(digest), Path(folder))
        yield load(Path(folder))


def find_student(session: "Session", which: str) -> Any:
    """Find a student's row by id, or the one that was promoted last.

    Raises:
        NotFound: there is none, or `which` is no id.
    """
    from db.errors import NotFound
    from db.queries import loops, students

    if which == PROMOTED:
        for loop in loops.list_loops(session):  # newest first
            if loop.promoted_student_id is not None:
                return students.get_student(session, loop.promoted_student_id)
        raise NotFound(
            "no student was promoted yet; a loop promotes one when it stops; name a "
            "student by its id, see `farm student list`"
        )
    if not which.isdigit():
        raise NotFound(
            f"no student is called {which!r}; expected an id of `farm student list`, "
            f"{PROMOTED!r}, or a student's folder"
        )
    return students.get_student(session, int(which))


def _fetch(digest: str) -> bytes:
    import fsspec

    from api.errors import InvalidInput
    from api.settings import load_settings

    url = load_settings().artifacts_url
    files, root = fsspec.core.url_to_fs(url)
    try:
        return bytes(files.cat_file(f"{root.rstrip('/')}/{digest[:2]}/{digest}"))
    except FileNotFoundError as error:
        raise InvalidInput(
            f"the student's file {digest[:12]}… is not under {url}; expected what the "
            "workers wrote; set FARM_ARTIFACTS to their folder"
        ) from error


def _as_row(
    student: Any, of_round: dict[int, tuple[str, int]], promoted: set[int | None]
) -> dict[str, Any]:
    loop, number = of_round.get(student.round_id, (None, None))
    names = ("id", "fold", "recipe", "seed", "label_source", "num_tokens", "num_steps",
             "parent_id", "checkpoint_id", "artifact_hash", "created_at")  # fmt: skip
    row = {name: getattr(student, name) for name in names}
    row["checkpoint_id"] = row["checkpoint_id"][:12]
    return {"loop": loop, "round": number, "promoted": student.id in promoted, **row}
