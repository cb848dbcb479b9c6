"""`farm corpus`: documents in, listed, forgotten."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from api.cli.losses import show_losses
from api.cli.output import AsJson, print_json, say, show, warn

if TYPE_CHECKING:
    from api.intake import IngestReport
    from kompress.corpora.lines import BadLine
    from kompress.types import Document

app = typer.Typer(help="Corpora: named sets of documents.", no_args_is_help=True)
app.command("losses")(show_losses)

CHUNK_BYTES = 2**20
MAX_BAD_SHOWN = 20
MISTAKE = 2

NewCorpus = Annotated[str, typer.Argument(help="The corpus; made if it is new.")]
Files = Annotated[
    list[Path], typer.Argument(help="NDJSON (may be packed), .traj; - is stdin.")
]
References = Annotated[
    str,
    typer.Option(
        metavar="ORIGIN",
        help="The files hold pairs of text and reference; whose references.",
    ),
]
FileFormat = Annotated[
    str,
    typer.Option(
        "--format",
        help="Of references: auto, jsonl, parquet, datasets (folder), headroom.",
    ),
]
Kind = Annotated[str, typer.Option(help="With --references: every document's kind.")]
ExternalOk = Annotated[
    bool,
    typer.Option("--external-ok", help="A new corpus' texts may go to hosted models."),
]


@app.command("add")
def add_documents(
    name: NewCorpus,
    files: Files,
    references: References = "",
    file_format: FileFormat = "auto",
    kind: Kind = "",
    external_ok: ExternalOk = False,
    as_json: AsJson = False,
) -> None:
    """Add documents: {"text": …} and, if you like, id, kind, group_id, split.

    With --references also what somebody kept of each text: {"text": …, "reference":
    …}, or prompt and compressed_prompt, original and compressed …; parquet, folders of
    `datasets`, headroom's logs. `farm corpus losses` then says what they lost, and a
    voter of kind `references` makes silver labels of them.

    Bad lines are reported by number and good ones kept; the same file again adds
    nothing. Exit code 2 if there were bad lines.
    """
    from api.cli.connection import open_sessions
    from api.intake import ingest
    from db.queries import corpora

    if not references and (kind or file_format != "auto"):
        raise typer.BadParameter(
            "--kind and --format go with --references; expected the references' "
            "origin, for example --references c3"
        )
    num_bad = 0
    reports = []
    with open_sessions(start=True) as sessions:
        if external_ok:
            with sessions.begin() as session:
                corpora.create_corpus(session, name, external_ok=True)
        for path in files:
            with _documents(path, references, file_format, kind) as documents:
                report = ingest(sessions, name, documents)
            num_bad += report.num_bad
            reports.append(_as_row(str(path), report))
            if not as_json:
                _print_report(name, str(path), report)
    if as_json:
        print_json(reports)
    if num_bad:
        raise typer.Exit(MISTAKE)


@app.command("sample")
def add_sample(
    name: Annotated[str, typer.Argument(help="The corpus; made if new.")] = "sample",
    generated: Annotated[
        int, typer.Option(min=0, help="Generated documents with gold to add.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the generated documents.")] = 0,
) -> None:
    """Add the outputs of real tools that come with the farm."""
    from api.cli.connection import open_sessions
    from api.intake import ingest_sample

    with open_sessions(start=True) as sessions:
        report = ingest_sample(sessions, name, generated=generated, seed=seed)
    _print_report(name, "the sample", report)


@app.command("list")
def list_corpora(as_json: AsJson = False) -> None:
    """List corpora with their documents by split."""
    from api.cli.connection import open_session
    from db.queries import corpora

    with open_session() as session:
        rows = [
            {
                "name": corpus.name,
                "documents": corpus.num_documents,
                **{
                    split: corpus.documents.get(split, 0)
                    for split in ("train", "audit", "held_out")
                },
                "words": corpus.num_words,
                "external_ok": corpus.external_ok,
            }
            for corpus in corpora.list_corpora(session)
        ]
    show(
        rows,
        as_json=as_json,
        empty="no corpora yet; `farm corpus add NAME FILE` or `farm corpus sample`",
    )


@app.command("forget")
def forget_text(
    which: Annotated[
        str, typer.Argument(help="A text's SHA-256, or a document's own id.")
    ],
    corpus: Annotated[
        str, typer.Option(help="Look for the id in this corpus only.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a text everywhere, and list the students that saw it."""
    from dataclasses import asdict

    from api.cli.connection import open_session
    from db.queries import corpora

    if not yes:
        typer.confirm(f"Delete {which} with its votes, labels and gold?", abort=True)
    is_hash = len(which) == 64 and all(c in "0123456789abcdef" for c in which.lower())
    with open_session() as session:
        report = corpora.forget_text(
            session,
            sha256=bytes.fromhex(which) if is_hash else None,
            external_id=None if is_hash else which,
            corpus_id=corpora.get_corpus(session, corpus).id if corpus else None,
        )
    if as_json:
        print_json(asdict(report))
        return
    say(f"deleted {report.texts} texts, {report.documents} documents")
    show(
        [asdict(student) for student in report.students],
        as_json=False,
        empty="no student was trained on it",
    )
    if report.students:
        warn("these students saw it; train them again if it must be gone from them")


@contextmanager
def _documents(
    path: Path, origin: str, file_format: str, kind: str
) -> "Iterator[Iterable[Document | BadLine]]":
    """Read a file's documents, with their references if they have an origin."""
    from kompress.corpora.readers import read_documents

    if not origin:
        with _opened(path) as stream:
            yield read_documents(_chunks(stream, path))
        return
    from kompress.corpora import references

    if file_format not in references.FORMATS:
        raise typer.BadParameter(
            f"found format {file_format!r}; expected one of "
            f"{', '.join(references.FORMATS)}"
        )
    if str(path) == "-":
        found = references.read_jsonl(_chunks(sys.stdin.buffer, path))
    else:
        path.stat()  # a missing file is named now, not as a bad format
        found = references.read_references(path, cast("Any", file_format))
    yield references.to_documents(found, origin, kind=kind)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with path.open("rb") as stream:
        yield stream


def _chunks(stream: BinaryIO, path: Path) -> Iterable[bytes]:
    """Read in pieces, with a progress bar where someone watches."""
    if not sys.stderr.isatty() or str(path) == "-":
        yield from iter(lambda: stream.read(CHUNK_BYTES), b"")
        return
    size = path.stat().st_size
    with typer.progressbar(length=size, label=str(path), file=sys.stderr) as bar:
        for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
            yield chunk
            bar.update(len(chunk))


def _as_row(source: str, report: "IngestReport") -> dict[str, object]:
    return {
        "file": source,
        "added": report.added,
        "duplicates": report.duplicates,
        "references": report.num_references,
        "giant_words": report.giant,
        "num_bad": report.num_bad,
        "bad": [{"line": line.number, "reason": line.reason} for line in report.bad],
    }


def _print_report(name: str, source: str, report: "IngestReport") -> None:
    for line in report.bad[:MAX_BAD_SHOWN]:
        warn(f"{source} line {line.number}: {line.reason}")
    if report.num_bad > MAX_BAD_SHOWN:
        warn(
            f"… and {report.num_bad - MAX_BAD_SHOWN} more bad lines (--json lists them)"
        )
    for kind, share in report.giant.items():
        warn(
            f"{source}: {share:.0%} of the characters of kind {kind!r} lie in words of "
            "over 64, each one unit to the student: all of it is kept or nothing"
        )
    parts = [f"{report.added} added", f"{report.duplicates} there already"]
    if report.num_references:
        parts.append(f"{report.num_references} references added")
    if report.num_bad:
        parts.append(f"{report.num_bad} bad lines left out")
    if report.num_moved:
        parts.append(f"{report.num_moved} laid into their group's split")
    say(f"{name}: {', '.join(parts)} (from {source})")
