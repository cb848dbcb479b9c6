"""`farm gold`: known truth about documents."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, print_json, say, warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.queries.corpora import DocumentRow
    from kompress.corpora.lines import BadLine
    from kompress.types import Fact, Gold

app = typer.Typer(help="Gold: known truth about documents.", no_args_is_help=True)

FORMAT = '{"id": "doc-1", "keep": [1, 0, null, …], "question": "…", "facts": […]}'


@app.command("add")
def add_gold(
    corpus: Annotated[str, typer.Argument(help="The corpus of the documents.")],
    file: Annotated[Path, typer.Argument(help=f"NDJSON, a line each: {FORMAT}")],
    origin: Annotated[str, typer.Option(help="Who knows; one gold a text and origin.")],
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Let the origin change its mind; loops that began keep the old gold.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add gold: keep says for each word 1 (keep), 0 (drop) or null (unknown).

    The document's split decides the use: calibrate in train, evaluate elsewhere.
    """
    from api.cli.connection import actor, open_session
    from db.queries import corpora, gold, records

    with open_session(start=True) as session:
        documents = _documents(session, corpora.get_corpus(session, corpus))
        rows, bad = _read(file, documents, origin)
        replaced = 0
        if replace:
            replaced = gold.replace_gold(session, rows)
            detail = {"corpus": corpus, "origin": origin, "num_texts": replaced}
            records.add_event(session, actor(), "gold_replaced", detail=detail)
        else:
            gold.store_gold(session, rows)
    if as_json:
        lines = [{"line": row.number, "reason": row.reason} for row in bad]
        print_json({"stored": len(rows), "replaced": replaced, "bad": lines})
    else:
        for row in bad:
            warn(f"{file} line {row.number}: {row.reason}")
        say(
            f"{corpus}: gold of {origin} for {len(rows)} documents"
            f"{f', {replaced} replaced' if replace else ''}, {len(bad)} bad lines"
        )
    if bad:
        raise typer.Exit(2)


def _read(
    file: Path, documents: dict[str, list["DocumentRow"]], origin: str
) -> "tuple[list[tuple[int, Gold]], list[BadLine]]":
    """Read the good rows, and why the others are bad."""
    from kompress.corpora.lines import BadLine
    from kompress.corpora.readers import read_rows

    rows: list[tuple[int, Gold]] = []
    bad: list[BadLine] = []
    with file.open("rb") as stream:
        for number, row in read_rows(stream):
            made = (
                row
                if isinstance(row, BadLine)
                else _make_gold(number, row, documents, origin)
            )
            if isinstance(made, BadLine):
                bad.append(made)
            else:
                rows.append(made)
    return rows, bad


def _documents(session: "Session", corpus: Any) -> dict[str, list["DocumentRow"]]:
    from db.queries import corpora

    found: dict[str, list[DocumentRow]] = {}
    for row in corpora.documents(session, corpus.id, corpus.last_seq):
        found.setdefault(row.external_id, []).append(row)
    return found


def _make_gold(
    number: int,
    row: dict[str, Any],
    documents: dict[str, list["DocumentRow"]],
    origin: str,
) -> "tuple[int, Gold] | BadLine":
    import numpy as np

    from kompress.corpora.lines import BadLine
    from kompress.corpora.splits import assign_gold_use
    from kompress.types import Gold

    try:
        name, keep = row["id"], row["keep"]
        codes = _read_keep(keep)
        facts = tuple(map(_read_fact, row.get("facts") or ()))
        question = _read_text(row.get("question") or "", "question")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return BadLine(number, f"cannot be read ({error!r}); expected {FORMAT}")
    named = documents.get(str(name), [])
    if len(named) > 1:
        return BadLine(
            number,
            f"{len(named)} documents share the id {name!r}; expected one: give each "
            "text an id of its own",
        )
    if not named:
        return BadLine(
            number,
            f"no document has the id {name!r}; expected one of this corpus; add it "
            "with `farm corpus add` first",
        )
    (document,) = named
    if len(codes) != document.num_words:
        return BadLine(
            number,
            f"keep has {len(codes)} values, {name!r} has {document.num_words} words; "
            "make one for each word of text.split()",
        )
    if any(word >= document.num_words or word < 0 for f in facts for word in f.words):
        return BadLine(number, f"a fact names words beyond 0..{document.num_words - 1}")
    use = assign_gold_use(document.group_id, document.split)
    codes_N = np.array(codes, dtype=np.uint8)
    return document.text_id, Gold(origin, use, codes_N, question, facts)


def _read_keep(keep: Any) -> list[int]:
    """Read a code for each word; nothing but 0, 1, true, false and null has one."""
    from kompress.types import DROP, KEEP, UNKNOWN

    if not isinstance(keep, list):
        raise TypeError(f"keep is {json.dumps(keep)[:40]}")
    for place, value in enumerate(keep):
        # 1.0 and "1" are no answers of a person who was asked yes or no.
        if value is not None and not (isinstance(value, int) and value in (0, 1)):
            raise ValueError(f"keep has {json.dumps(value)[:40]} for word {place}")
    return [UNKNOWN if k is None else KEEP if k else DROP for k in keep]


def _read_fact(fact: Any) -> "Fact":
    """Read one fact: a name, and the places of its words."""
    from kompress.types import Fact

    words = fact["words"]
    if not isinstance(words, list) or not all(type(word) is int for word in words):
        raise TypeError(f"the words of a fact are {json.dumps(words)[:40]}")
    return Fact(_read_text(fact["name"], "name"), tuple(words))


def _read_text(value: Any, field: str) -> str:
    """Read a text that the database can hold."""
    if not isinstance(value, str):
        raise TypeError(f"{field} is {json.dumps(value)[:40]}")
    value.encode()  # a lone surrogate is a ValueError
    if "\0" in value:
        raise ValueError(f"{field} holds NUL")
    return value
