"""`farm compress` and `farm eval`: a student at work, and its figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import AsJson, print_json, print_table, say, warn

if TYPE_CHECKING:
    from kompress.evaluation.suites import Suite
    from kompress.types import Score

SUITES = ("dense", "agent", "planted")
Which = Annotated[
    str, typer.Option("--student", help="An id, `promoted`, or a student's folder.")
]


def compress_file(
    file: Annotated[Path, typer.Argument(help="The text to shorten, UTF-8.")],
    student: Which = "promoted",
    keep_rate: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Keep this share of the words."),
    ] = None,
    override: Annotated[
        str,
        typer.Option(help="Rule set whose words stay whatever their score, or none."),
    ] = "headroom-0.42",
    as_json: AsJson = False,
) -> None:
    """Shorten a text by whole words; the text to stdout, figures to stderr."""
    from api.cli.student import open_student
    from api.cli.voter import read_text

    text = read_text(file)
    rules = None if override in ("none", "") else override
    with open_student(student) as loaded:
        short = loaded.compress(text, override=rules, keep_rate=keep_rate)
        student_id = loaded.id
    num_words, num_kept = len(short.keep_N), int(short.keep_N.sum())
    if as_json:
        print_json(
            {
                "text": short.text,
                "num_words": num_words,
                "num_kept": num_kept,
                "keep_rate": num_kept / num_words,
                "override": rules or "",
                "student": student_id,
            }
        )
        return
    say(short.text)
    typer.echo(
        f"kept {num_kept} of {num_words} words ({num_kept / num_words:.1%}), override "
        f"{rules or 'none'}",
        err=True,
    )


def evaluate_student(
    student: Annotated[str, typer.Argument(help="An id, `promoted`, or a folder.")],
    suite: Annotated[str, typer.Option(help="dense, agent, planted or all.")] = "dense",
    corpus: Annotated[
        str,
        typer.Option(help="Whose held-out documents; default: the student's loop's."),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Score a student, without override unless a row names one."""
    from api.cli.student import open_student
    from api.errors import InvalidInput
    from kompress.evaluation.evaluate import evaluate

    if suite not in (*SUITES, "all"):
        raise InvalidInput(
            f"--suite is {suite!r}; expected one of {', '.join(SUITES)} or all"
        )
    suites = [
        _build_suite(name, student, corpus)
        for name in (SUITES if suite == "all" else (suite,))
    ]
    rows: list[dict[str, Any]] = []
    with open_student(student) as loaded:
        for built in suites:
            if not built.texts:
                warn(f"suite {built.name} has no texts in this corpus; left out")
                continue
            scores = evaluate(loaded, built)
            rows += [_as_row(score) for score in scores if not score.text_sha256]
    if as_json:
        print_json(rows)
        return
    shown = [
        row
        for row in rows
        if row["stratum"] in ("all", "plain") and row["definition"] == "multiset"
    ]
    columns = ("suite", "stratum", "metric", "target_keep_rate", "override", "value",
               "ci_low", "ci_high", "n")  # fmt: skip
    print_table(shown, columns)
    say("no target_keep_rate: at the student's own threshold; --json has every stratum")


def _as_row(score: "Score") -> dict[str, Any]:
    names = ("suite", "stratum", "rule_set", "definition", "override",
             "target_keep_rate", "step", "metric", "value", "ci_low", "ci_high",
             "n")  # fmt: skip
    return {name: getattr(score, name) for name in names}


def _build_suite(name: str, student: str, corpus: str) -> "Suite":
    """Make a suite: `dense` ships, the rest are held-out documents of a corpus."""
    from api.cli.connection import open_session
    from db.queries import corpora, gold, texts
    from kompress.evaluation.suites import SuiteText, make_suite

    if name == "dense":
        return make_suite(name, ())
    with open_session() as session:
        corpus_id, last_seq = _find_corpus(session, student, corpus)
        documents = corpora.documents(session, corpus_id, last_seq, split="held_out")
        text_ids = [document.text_id for document in documents]
        known = gold.load_gold(session, text_ids, use="evaluate")
        content = texts.load_texts(session, text_ids)
        hashes = texts.load_hashes(session, text_ids)
    return make_suite(
        name,
        [
            SuiteText(
                content[d.text_id],
                d.kind,
                d.group_id,
                hashes[d.text_id].hex(),
                known[d.text_id][0] if d.text_id in known else None,
            )
            for d in documents
        ],
    )


def _find_corpus(session: Any, student: str, corpus: str) -> tuple[int, int]:
    from api.cli.student import find_student
    from api.errors import InvalidInput
    from db.queries import corpora, loops

    if corpus:
        named = corpora.get_corpus(session, corpus)
        return named.id, named.last_seq
    if Path(student).is_dir():
        raise InvalidInput(
            "a student from a folder belongs to no loop; say whose held-out documents "
            "to use with --corpus NAME, or take --suite dense"
        )
    round_id = find_student(session, student).round_id
    for loop in loops.list_loops(session):
        if any(row.id == round_id for row in loops.rounds_of(session, loop.id)):
            return loop.corpus_id, loop.corpus_seq
    raise InvalidInput("the student belongs to no loop; give --corpus NAME")
