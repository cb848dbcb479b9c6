"""`farm student`: the trained compressors, listed, and taken in from elsewhere."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, print_json, say, show, warn

if TYPE_CHECKING:
    from db.queries.students import NewStudent
    from kompress.students import Student

app = typer.Typer(help="Students: the trained compressors.", no_args_is_help=True)

IMPORTED = "imported"
PROBE = "error[E0308]: mismatched types in src/main.rs:42 but do not retry"
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


@app.command("import")
def import_student(
    folder: Annotated[
        str,
        typer.Argument(
            help="A checkpoint's folder: an export, a ModernBERT, a kompress "
            "(merged.pt or model.safetensors); or a hub name, org/name."
        ),
    ],
    name: Annotated[
        str, typer.Option(help="What to call it; default: its recipe's name.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Take a checkpoint from elsewhere; nothing is stored unless it scores a text."""
    from api.artifacts import put_artifact
    from api.cli.connection import open_session
    from api.settings import load_settings
    from db.queries import students

    url = load_settings().artifacts_url
    new, blob = _read_checkpoint(folder, name)
    with open_session(start=True) as session:
        known = students.find_imported(session, new.artifact_hash)
        if known is None:
            put_artifact(url, blob)
            known = students.import_student(session, new)
            message = f"student {known} ({new.recipe})"
        else:
            message = f"student {known} holds this checkpoint already"
    if as_json:
        print_json({"id": known, "checkpoint_id": new.checkpoint_id})
        return
    say(f"{message}; for example `farm compress FILE --student {known}`")


def _read_checkpoint(source: str, name: str) -> "tuple[NewStudent, bytes]":
    """Load a foreign checkpoint, score a text with it and pack it as one of ours."""
    import hashlib

    from db.queries.students import NewStudent
    from kompress.export.headroom import check_export
    from kompress.students.checkpoint import EXPORT, LINEAGE, pack
    from kompress.students.pretrained import load_pretrained

    if (Path(source) / EXPORT).is_file():
        check_export(Path(source))
    student = load_pretrained(source)
    _check_scores(student, source)
    with tempfile.TemporaryDirectory(prefix="farm-student-") as folder:
        student.save(Path(folder))
        blob = pack(Path(folder))
        manifest = hashlib.sha256((Path(folder) / LINEAGE).read_bytes()).hexdigest()
    lineage = student.lineage
    if random := lineage.get("random_heads"):
        warn(
            f"{source} has no {', '.join(random)}: started at random, so train this "
            f"student (a recipe with parent = student/ID) before using it"
        )
    new = NewStudent(
        round_id=None,
        recipe=name or str(student.recipe.get("name") or Path(source).name),
        seed=int(lineage.get("seed") or 0),
        label_source=IMPORTED,
        artifact_hash=hashlib.sha256(blob).hexdigest(),
        checkpoint_id=student.id,
        manifest_hash=manifest,
        trained_text_ids=(),
        trained_digests=tuple(map(str, lineage.get("texts") or ())),
        num_steps=int(lineage.get("num_steps") or 0),
        num_tokens=int(lineage.get("num_tokens") or 0),
        recipe_config=student.recipe,
    )
    return new, blob


def _check_scores(student: "Student", source: str) -> None:
    """Refuse a student whose scores are no scores.

    Raises:
        InvalidCheckpoint: a score is not a number in [0, 1].
    """
    from kompress.errors import InvalidCheckpoint

    (score_N,) = student.score([PROBE])
    if (
        len(score_N) != len(PROBE.split())
        or not ((score_N >= 0) & (score_N <= 1)).all()
    ):
        raise InvalidCheckpoint(
            f"{source} scores {PROBE!r} as {score_N}; expected a number in [0, 1] a "
            "word; its weights are damaged; get them again"
        )


def _as_row(
    student: Any, of_round: dict[int, tuple[str, int]], promoted: set[int | None]
) -> dict[str, Any]:
    loop, number = of_round.get(student.round_id, (None, None))
    names = ("id", "fold", "recipe", "seed", "label_source", "num_tokens", "num_steps",
             "parent_id", "checkpoint_id", "artifact_hash", "created_at")  # fmt: skip
    row = {name: getattr(student, name) for name in names}
    row["checkpoint_id"] = row["checkpoint_id"][:12]
    return {"loop": loop, "round": number, "promoted": student.id in promoted, **row}
