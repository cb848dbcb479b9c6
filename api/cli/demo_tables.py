"""The demo's three tables: labels by category, students by round, voters and rules."""

from typing import TYPE_CHECKING, Any

from api.cli.output import format_cell
from api.cli.status import format_seconds
from kompress.rule_labels import chosen_label
from kompress.types import CATEGORIES

if TYPE_CHECKING:
    from rich.table import Table

Figures = dict[str, Any]
RAW_SOURCE = {"self_label": "self_label_raw", "corrected": "silver"}


def lay_out(figures: Figures) -> list[Any]:
    """Give the tables, each under a line that says how to read it."""
    parts: list[Any] = [
        "",
        "Must-keep words that survive in the labels (mk_in_ref); + with override:",
        _labels_table(figures),
        "",
        "Students on texts they never saw; `random` drops at the student's keep_rate:",
        _students_table(figures),
    ]
    if rows := ensemble_rows(figures):
        number = rows[0]["round"]
        parts += [
            "",
            f"Round {number}, against planted gold: voters and rules (* the labels):",
            _subjects_table(rows, labelling_rule(figures, rows)),
        ]
    return parts


def raw_rows(figures: Figures, number: int) -> dict[str, dict[str, Any]]:
    """Give a round's label quality before override, by category."""
    source = figures["loop"]["label_source"][number]
    source = RAW_SOURCE.get(source, source)
    return {
        row["category"]: row
        for row in figures["label_quality"]
        if (row["round"], row["source"], row["kind"], row["rule_set"])
        == (number, source, "all", "farm")
    }


def overridden_rows(figures: Figures, number: int) -> dict[str, dict[str, Any]]:
    """Give a round's label quality with the override, by category."""
    rows = figures["with_override"]
    return {row["category"]: row for row in rows if row["round"] == number}


def score(
    rows: list[dict[str, Any]], number: int, suite: str, metric: str, **wanted: Any
) -> float | None:
    """Find one figure of a round at the student's own threshold, None if none."""
    wanted = {"stratum": "all", "override": "", "target_keep_rate": None,
              "definition": "multiset", **wanted}  # fmt: skip
    for row in rows:
        if (row["round"], row["suite"], row["metric"]) == (
            number,
            suite,
            metric,
        ) and all(row[name] == value for name, value in wanted.items()):
            value = row["value"]
            return None if value is None else float(value)
    return None


def ensemble_rows(figures: Figures) -> list[dict[str, Any]]:
    """Give the voters and rules of the first round that had several voters."""
    voters: dict[int, int] = {}
    for row in figures["subjects"]:
        voters[row["round"]] = voters.get(row["round"], 0) + (
            row["subject_kind"] == "voter"
        )
    number = next((n for n in sorted(voters) if voters[n] > 1), None)
    return [row for row in figures["subjects"] if row["round"] == number]


def labelling_rule(figures: Figures, rows: list[dict[str, Any]]) -> str:
    """Name the rule that made the labels, with the fallbacks of single strata."""
    rule = figures["loop"]["rule"][rows[0]["round"]]
    return chosen_label(rule, {row["subject"] for row in rows})


def _labels_table(figures: Figures) -> "Table":
    numbers = [row["round"] for row in figures["round_summary"]]
    raw = {n: raw_rows(figures, n) for n in numbers}
    over = {n: overridden_rows(figures, n) for n in numbers}
    headers = ["category", "words"]
    for n in numbers:
        headers += [f"{n} {figures['loop']['label_source'][n]}", f"{n} +"]
    table = _table(headers)
    for category in (*CATEGORIES, "all"):
        cells = [raw[n].get(category) for n in numbers]
        if not any(cells):
            continue
        row = [category, format_cell(max(c["num_must_keep"] for c in cells if c))]
        for n in numbers:
            pair = (raw[n].get(category), over[n].get(category))
            row += [format_cell(found and found["mk_in_ref"]) for found in pair]
        table.add_row(*row, end_section=category == CATEGORIES[-1])
    rates = ["keep_rate", ""]
    for n in numbers:
        pair = (raw[n].get("all"), over[n].get("all"))
        rates += [format_cell(found and found["keep_rate"]) for found in pair]
    table.add_row(*rates)
    return table


def _students_table(figures: Figures) -> "Table":
    numbers = [row["round"] for row in figures["round_summary"]]
    table = _table(["", *(f"round {n}" for n in numbers)])
    own, random = figures["student_scores"], figures["random_dropping"]
    lines: list[tuple[str, list[dict[str, Any]], str, str, dict[str, Any]]] = [
        ("exact_pct, agent texts", own, "agent", "exact_pct", {}),
        ("  random", random, "agent", "exact_pct", {}),
        ("  keep_rate", own, "agent", "keep_rate", {}),
        (
            "exact_pct at keep_rate 0.8",
            own,
            "agent",
            "exact_pct",
            {"target_keep_rate": 0.8},
        ),
        ("exact_pct, dense texts", own, "dense", "exact_pct", {}),
        ("  random", random, "dense", "exact_pct", {}),
        ("  keep_rate", own, "dense", "keep_rate", {}),
        ("F1 against gold", own, "planted", "f1", {}),
        ("  random", random, "planted", "f1", {}),
        ("  keep_rate", own, "planted", "keep_rate", {}),
        ("F1 on plain words", own, "planted", "f1", {"stratum": "plain"}),
        ("decision_pct", own, "planted", "decision_pct", {}),
        ("  random", random, "planted", "decision_pct", {}),
    ]
    for label, rows, suite, metric, wanted in lines:
        values = [score(rows, n, suite, metric, **wanted) for n in numbers]
        table.add_row(label, *map(format_cell, values))
    summary = figures["round_summary"]
    table.add_section()
    table.add_row(
        "override_delta", *(format_cell(r["override_delta"]) for r in summary)
    )
    table.add_row("time", *(format_seconds(row["seconds"]) for row in summary))
    table.add_row("cost, USD", *(format_cell(float(row["usd"])) for row in summary))
    return table


def _subjects_table(rows: list[dict[str, Any]], own: str) -> "Table":
    columns = (
        "f1",
        "recall",
        "precision",
        "balanced_accuracy",
        "keep_rate",
        "num_words",
    )
    table = _table(["", *(name.replace("_", " ") for name in columns)])
    previous = rows[0]["subject_kind"]
    for row in rows:
        if row["subject_kind"] != previous:
            table.add_section()
            previous = row["subject_kind"]
        name = row["subject"] + " *" * (row["subject"] == own)
        table.add_row(name, *(format_cell(row[column]) for column in columns))
    return table


def _table(headers: list[str]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, header in enumerate(headers):
        table.add_column(header, justify="right" if place else "left")
    return table
