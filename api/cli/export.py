"""`farm export`: labels and students as files for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import LoopName, StudentName
from api.cli.output import AsJson, print_json, say, warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.types import Score

MERGED = "merged.pt"

app = typer.Typer(help="Labels and students as files.", no_args_is_help=True)


@app.command("labels")
def export_labels(
    loop: LoopName,
    out: Annotated[Path, typer.Option(help="A file named .jsonl or .parquet.")],
    number: Annotated[
        int | None, typer.Option("--round", help="The round; default: the last.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="Default: the labels that the round trained on.")
    ] = "",
) -> None:
    """Write a round's labels, a document a row.

    Columns: id, kind, split, text, keep (a boolean a word), mean and sd (of P(keep)),
    and reference (the kept words).
    """
    from api.cli.connection import open_session
    from api.errors import InvalidInput

    if out.suffix not in (".jsonl", ".parquet"):
        raise InvalidInput(
            f"--out is {str(out)!r}; expected a name that ends in .jsonl or .parquet"
        )
    with open_session() as session:
        rows, name = _read_rows(session, loop, number, source)
    import polars as pl

    frame = pl.DataFrame(rows)
    if out.suffix == ".jsonl":
        frame.write_ndjson(out)
    else:
        frame.write_parquet(out)
    say(f"{out}: {len(rows)} documents with labels {name}")


@app.command("student")
def export_student(
    student: StudentName,
    out: Annotated[Path, typer.Option("--out", "-o", help="A new or an empty folder.")],
    repo_id: Annotated[
        str, typer.Option(help="Its name on a hub, org/name; default: made up.")
    ] = "",
    hf_cache: Annotated[
        Path | None,
        typer.Option(help="Also lay out an offline hub cache here, for HF_HOME."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a student as files that headroom, transformers and a hub take."""
    from api.cli.loading import open_student
    from kompress.export.headroom import export
    from kompress.export.hub_cache import write_hub_cache

    row_id, scores, label_source = _look_up(student)
    with open_student(student) as loaded:
        exported = export(
            loaded,
            out,
            repo_id or f"kompress-farm/student-{row_id or loaded.id[:12]}",
            scores=scores,
            label_source=label_source,
        )
    if hf_cache is not None:
        write_hub_cache(exported, hf_cache)
    if as_json:
        print_json(
            {
                "folder": exported.folder,
                "repo_id": exported.repo_id,
                "checkpoint_id": exported.student_id,
                "hf_home": hf_cache,
                "files": exported.digests,
            }
        )
        return
    say(f"{out}: {exported.repo_id}, {len(exported.digests)} files")
    if not (out / MERGED).exists():
        warn("without merged.pt: a student with one head is for the ONNX backend")
    if hf_cache is not None:
        say(
            f"{hf_cache}: set HF_HOME={hf_cache} HF_HUB_OFFLINE=1 and "
            f"model_id={exported.repo_id} for headroom"
        )


def _look_up(student: str) -> "tuple[int | None, list[Score], str]":
    """Give a stored student's id, scores and label source; a folder has none."""
    from api.cli.connection import open_session
    from api.cli.named import find_student
    from db.queries import students

    if Path(student).is_dir():
        return None, [], ""
    with open_session() as session:
        row = find_student(session, student)
        return row.id, students.own_scores(session, row.id), row.label_source


def _read_rows(
    session: "Session", loop: str, number: int | None, source: str
) -> tuple[list[dict[str, Any]], str]:
    from db.errors import NotFound
    from db.queries import corpora, labels, loops, texts
    from kompress.words import join_kept

    found = loops.get_loop(session, loop)
    rounds = {row.number: row for row in loops.rounds_of(session, found.id)}
    number = max(rounds) if number is None else number
    if number not in rounds:
        raise NotFound(
            f"loop {found.name!r} has no round {number}; expected one of {list(rounds)}"
        )
    name = source or str(rounds[number].config["label_source"])
    posterior = labels.load_labels(session, rounds[number].id, name)
    if not posterior:
        raise NotFound(
            f"round {number} of {found.name!r} has no labels {name!r} (yet); `farm "
            "quality` lists the sources of each round; choose one with --source"
        )
    documents = corpora.documents(session, found.corpus_id, found.corpus_seq)
    labelled = [document for document in documents if document.text_id in posterior]
    content = texts.load_texts(session, [d.text_id for d in labelled])
    rows = []
    for document in labelled:
        label, text = posterior[document.text_id], content[document.text_id]
        rows.append(
            {
                "id": document.external_id,
                "kind": document.kind,
                "split": document.split,
                "text": text,
                "keep": label.keep_N.tolist(),
                "mean": label.mean_N.astype(float).tolist(),
                "sd": label.sd_N.astype(float).tolist(),
                "reference": join_kept(text, label.keep_N),
            }
        )
    return rows, f"{name} of round {number}"
