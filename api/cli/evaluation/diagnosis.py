"""`farm eval --suite diagnosis`: a student on logs whose lines people marked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.output import format_interval, print_json, print_table, say
from api.errors import InvalidInput

if TYPE_CHECKING:
    from kompress.diagnosis.measure import DiagnosisCase, MeanOverLogs
    from kompress.diagnosis.suite import Contestant
    from kompress.students.student import Student

SUITE = "diagnosis"
# What the table shows; JSON has all.
SHOWN = ("line_auc", "average_precision", "recall@2000", "signals@2000", "lost@2000")
SEED = 0


def evaluate_diagnosis(student: str, gold: str, *, as_json: bool) -> None:
    """Print how well a student finds people's lines, beside all that needs no weights.

    A line's score is the mean of its three best words' (`kompress.lines.from_words`).
    Nothing is stored: such logs are in no corpus of the farm.

    Raises:
        InvalidInput: no folder is named.
        InvalidConfig: the folder has no logs, or they are of one repository.
    """
    from api.cli.loading import open_student
    from kompress.diagnosis.folds import assign_folds
    from kompress.diagnosis.gold import read_gold_logs
    from kompress.diagnosis.measure import prepare_case
    from kompress.diagnosis.suite import contest

    if not gold or not Path(gold).is_dir():
        raise InvalidInput(
            f"--gold is {gold!r}; expected a folder with *.jsonl.gz of marked logs, "
            "which the suite diagnosis is measured on; name it"
        )
    cases = [prepare_case(log) for log in read_gold_logs(Path(gold))]
    fold_T = assign_folds([case.gold.repository for case in cases])
    with open_student(student) as loaded:
        first = _let_student_score(loaded, cases, student)
    rows = _rows(cases, [first, *contest(cases, fold_T)])
    if as_json:
        print_json(rows)
        return
    for source in sorted({row["source"] for row in rows}):
        _print_source([row for row in rows if row["source"] == source])
    say("not stored: the logs are in no corpus of the farm")


def _let_student_score(
    student: "Student", cases: "Sequence[DiagnosisCase]", name: str
) -> "Contestant":
    from kompress.diagnosis.suite import Contestant
    from kompress.lines.from_words import pool_words
    from kompress.lines.selection import select_lines
    from kompress.words import line_numbers

    texts = ["".join(case.log.lines.pieces) for case in cases]
    scores = [
        pool_words(score_N, line_numbers(text), len(case.log))
        for case, text, score_N in zip(cases, texts, student.score(texts), strict=True)
    ]
    return Contestant(f"student {name}", scores, select_lines)


def _rows(
    cases: "Sequence[DiagnosisCase]", contestants: "Sequence[Contestant]"
) -> list[dict[str, Any]]:
    """Give a row for each figure of each subject on each source."""
    import numpy as np

    from kompress.diagnosis.suite import Contestant, measure_contestant

    rows: list[dict[str, Any]] = []
    for source in sorted({case.gold.source for case in cases}):
        own = [n for n, case in enumerate(cases) if case.gold.source == source]
        for each in contestants:
            means = measure_contestant(
                [cases[n] for n in own],
                Contestant(each.name, [each.scores[n] for n in own], each.select),
                rng=np.random.default_rng(SEED),
            )
            rows += [
                {"source": source, "subject": each.name} | _row(name, mean)
                for name, mean in means.items()
            ]
    return rows


def _row(name: str, mean: "MeanOverLogs") -> dict[str, Any]:
    low, high = mean.interval
    value = mean.mean if mean.num_logs else None
    return {"metric": name, "value": value, "ci_low": low, "ci_high": high,
            "n": mean.num_logs}  # fmt: skip


def _print_source(rows: list[dict[str, Any]]) -> None:
    """Print one line a subject, means and intervals by repository."""
    table: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["metric"] in SHOWN:
            line = table.setdefault(row["subject"], {"subject": row["subject"]})
            line[row["metric"]] = _cell(row)
    title = f"{rows[0]['source']}: means over {rows[0]['n']} logs"
    print_table(table.values(), ["subject", *SHOWN], title)


def _cell(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return "-"
    return f"{row['value']:.3f} {format_interval(row['ci_low'], row['ci_high']) or ''}"
