"""`farm export`: labels as files for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import say

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

app = typer.Typer(help="Labels as files.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Labels as files for other programs."""


@app.command("labels")
def export_labels(
    loop: Annotated[str, typer.Argument(help="The loop's name or id.")],
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
