"""Load the student that a command names."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kompress.students.student import Student


@contextmanager
def open_student(which: str, *, engine: str = "torch") -> "Iterator[Student]":
    """Load a student by id, by `promoted`, or from a folder.

    Args:
        which: the id, `promoted`, or the folder, exported or not.
        engine: what shall score.

    Raises:
        NotFound: no such student.
        InvalidInput: its artifact is not where FARM_ARTIFACTS points.
        InvalidCheckpoint: its files are incomplete or altered.
        InvalidConfig: no engine is called that.
    """
    from kompress.students.student import load

    if Path(which).is_dir():
        yield load(Path(which), engine=engine)
        return
    from api.artifacts import fetch_artifact
    from api.cli.connection import open_session
    from api.cli.named import find_student
    from api.settings import load_settings
    from kompress.students.checkpoint import unpack

    with open_session() as session:
        digest = find_student(session, which).artifact_hash
    with tempfile.TemporaryDirectory(prefix="farm-student-") as folder:
        unpack(fetch_artifact(load_settings().artifacts_url, digest), Path(folder))
        yield load(Path(folder), engine=engine)
