"""`farm gold`: known truth about documents."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, print_json, say, warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.queries.corpora import DocumentRow
    from kompress.types import Gold

app = typer.Typer(help="Gold: known truth about documents.", no_args_is_help=True)

FORMAT = '{"id": "doc-1", "keep": [1, 0, null, …], "question": "…", "facts": […]}'


@dataclass(frozen=True, slots=True)
class _BadRow:
    number: int
    reason: str


@app.command("add")
def add_gold(
    corpus: Annotated[str, typer.Argument(help="The corpus of the documents.")],
    file: Annotated[Path, typer.Argument(help=f"NDJSON, a line each: {FORMAT}")],
    origin: Annotated[str, typer.Option(help="Who knows; one gold a text and origin.")],
    as_json: AsJson = False,
) -> None:
    """Add gold: keep says for each word 1 (keep), 0 (drop) or null (unknown).

    The document's split decides the use: calibrate in train, evaluate elsewhere.
    """
    from api.cli.connection import open_session
    from db.queries import corpora, gold

    bad: list[_BadRow] = []
    rows: list[tuple[int, Gold]] = []
    with open_session() as session:
        documents = _documents(session, corpora.get_corpus(session, corpus))
        for number, line in _read_lines(file):
            made = _make_gold(number, line, documents, origin)
            if isinstance(made, _BadRow):
                bad.append(made)
            else:
                rows.append(made)
        gold.store_gold(session, rows)
    if as_json:
        lines = [{"line": row.number, "reason": row.reason} for row in bad]
        print_json({"stored": len(rows), "bad": lines})
    else:
        for row in bad:
            warn(f"{file} line {row.number}: {row.reason}")
        say(
            f"{corpus}: gold of {origin} for {len(rows)} documents, "
            f"{len(bad)} bad lines"
        )
    if bad:
        raise typer.Exit(2)


def _documents(session: "Session", corpus: Any) -> dict[str, "DocumentRow"]:
    from db.queries import corpora

    rows = corpora.documents(session, corpus.id, corpus.last_seq)
    return {row.external_id: row for row in rows}


def _read_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line


def _make_gold(
    number: int, line: bytes, documents: dict[str, "DocumentRow"], origin: str
) -> "tuple[int, Gold] | _BadRow":
    import numpy as np

    from kompress.corpora.splits import assign_gold_use
    from kompress.types import DROP, KEEP, UNKNOWN, Fact, Gold

    try:
        row = json.loads(line)
        name, keep = row["id"], row["keep"]
        codes = [UNKNOWN if k is None else KEEP if k else DROP for k in keep]
        facts = tuple(
            Fact(str(fact["name"]), tuple(map(int, fact["words"])))
            for fact in row.get("facts", ())
        )
    except (ValueError, KeyError, TypeError) as error:
        return _BadRow(number, f"cannot be read ({error!r}); expected {FORMAT}")
    document = documents.get(str(name))
    if document is None:
        return _BadRow(
            number,
            f"no document has the id {name!r}; expected one of this corpus; add it "
            "with `farm corpus add` first",
        )
    if len(codes) != document.num_words:
        return _BadRow(
            number,
            f"keep has {len(codes)} values, {name!r} has {document.num_words} words; "
            "make one for each word of text.split()",
        )
    if any(word >= document.num_words or word < 0 for f in facts for word in f.words):
        return _BadRow(number, f"a fact names words beyond 0..{document.num_words - 1}")
    use = assign_gold_use(document.group_id, document.split)
    question = str(row.get("question") or "")
    codes_N = np.array(codes, dtype=np.uint8)
    return document.text_id, Gold(origin, use, codes_N, question, facts)
