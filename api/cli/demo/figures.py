"""A loop's figures, under the names of the views that people query, and as tables."""

from typing import TYPE_CHECKING, Any

import numpy as np

from api.cli.output import format_cell, format_seconds
from api.decided import describe_stop, promotion_row, with_stop_reasons
from kompress.rule_labels import chosen_label
from kompress.types import CATEGORIES, PLAIN, STRATA

if TYPE_CHECKING:
    from rich.table import Table
    from sqlalchemy.orm import Session

    from db.models import Loop, Round

# At these keep_rates rounds are compared.
FIXED_RATES = (0.3, 0.5, 0.8)
Row = dict[str, Any]
Figures = dict[str, Any]
OVERRIDE_SOURCE = {"self_label": "self_label_raw"}
RAW_SOURCE = {"self_label": "self_label_raw", "corrected": "silver"}


def read_figures(session: "Session", loop_id: int) -> Figures:
    """Read everything about a loop.

    Returns:
        The rows of the views of design §5 by the view's name, and `random_dropping`
        (as `student_scores`, for random dropping at the student's keep_rate),
        `with_override` (as `label_quality`, every must-keep word of the override's
        rule set kept), `subjects` (voters and rules against gold) and `loop`.
    """
    from db.queries import loops, quality, views

    loop = loops.get_loop(session, loop_id)
    rounds = list(loops.rounds_of(session, loop_id))
    names = ("label_quality", "voter_quality", "ensemble_paradox", "student_scores",
             "round_costs")  # fmt: skip
    return {
        "loop": _describe_loop(loop, rounds),
        **{name: getattr(views, name)(session, loop.name) for name in names},
        "round_summary": with_stop_reasons(
            views.round_summary(session, loop.name),
            loops.list_stops(session, loop_id),
        ),
        "queue_depth": views.queue_depth(session),
        "random_dropping": [r for row in rounds for r in _random(session, loop, row)],
        "with_override": [r for row in rounds for r in _overridden(session, loop, row)],
        "subjects": quality.compare_subjects(session, loop_id),
    }


def lay_out(figures: Figures) -> list[Any]:
    """Give the tables, each under a line that says how to read it."""
    parts: list[Any] = [
        "",
        "Must-keep words that survive in the labels (mk_in_ref); + with override:",
        _labels_table(figures),
        "",
        "Students on texts they never saw: first where all keep equally much, then at",
        "their own threshold; `random` drops words at the same keep_rate:",
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


def raw_rows(figures: Figures, number: int) -> dict[str, Row]:
    """Give a round's label quality before override, by category."""
    source = figures["loop"]["label_source"][number]
    source = RAW_SOURCE.get(source, source)
    return {
        row["category"]: row
        for row in figures["label_quality"]
        if (row["round"], row["source"], row["kind"], row["rule_set"])
        == (number, source, "all", "farm")
    }


def overridden_rows(figures: Figures, number: int) -> dict[str, Row]:
    """Give a round's label quality with the override, by category."""
    rows = figures["with_override"]
    return {row["category"]: row for row in rows if row["round"] == number}


def score(
    rows: list[Row], number: int, suite: str, metric: str, **wanted: Any
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


def ensemble_rows(figures: Figures) -> list[Row]:
    """Give the voters and rules of the first round that had several voters."""
    voters: dict[int, int] = {}
    for row in figures["subjects"]:
        voters[row["round"]] = voters.get(row["round"], 0) + (
            row["subject_kind"] == "voter"
        )
    number = next((n for n in sorted(voters) if voters[n] > 1), None)
    return [row for row in figures["subjects"] if row["round"] == number]


def labelling_rule(figures: Figures, rows: list[Row]) -> str:
    """Name the rule that made the labels, with the fallbacks of single strata."""
    rule = figures["loop"]["rule"][rows[0]["round"]]
    return chosen_label(rule, {row["subject"] for row in rows})


def _describe_loop(loop: "Loop", rounds: "list[Round]") -> Row:
    return {
        "loop": loop.name,
        "status": loop.status,
        "stop_reason": describe_stop(loop.stop_reason, loop.stop),
        "promoted_student": loop.promoted_student_id,
        "promotion": promotion_row(rounds[-1].decisions.promotion if rounds else None),
        "label_source": {row.number: row.config["label_source"] for row in rounds},
        "override": {
            row.number: row.config["self_label"]["override"] for row in rounds
        },
        "rule": {row.number: row.config["aggregation"]["rule"] for row in rounds},
    }


def _random(session: "Session", loop: "Loop", row: "Round") -> list[Row]:
    from db.queries import scores

    names = ("suite", "stratum", "rule_set", "definition", "override",
             "target_keep_rate", "step", "metric", "value", "ci_low", "ci_high",
             "n")  # fmt: skip
    found = scores.load_scores(session, row.id, "baseline", "random")
    return [
        {
            "loop": loop.name,
            "round": row.number,
            **{name: getattr(score.score, name) for name in names},
        }
        for score in found
    ]


def _overridden(session: "Session", loop: "Loop", row: "Round") -> list[Row]:
    """Count what survives once the override keeps its words, by `farm` category."""
    from db.queries import labels, texts

    source = OVERRIDE_SOURCE.get(row.config["label_source"], row.config["label_source"])
    override = row.config["self_label"]["override"]
    # The same texts as `label_quality` counts, so that the two figures compare.
    posterior = labels.load_labels(session, row.id, source)
    text_ids = sorted(posterior)
    farm = texts.load_strata(session, text_ids, "farm")
    other = texts.load_strata(session, text_ids, override)
    must_S = np.zeros(len(STRATA), dtype=np.int64)
    kept_S = np.zeros(len(STRATA), dtype=np.int64)
    for text_id in text_ids:
        keep_N = posterior[text_id].keep_N | (other[text_id] != PLAIN)
        must_S += np.bincount(farm[text_id], minlength=len(STRATA))
        kept_S += np.bincount(farm[text_id][keep_N], minlength=len(STRATA))
    num_words, num_kept = int(must_S.sum()), int(kept_S.sum())
    must_S[PLAIN] = kept_S[PLAIN] = 0
    cells = {"all": (int(must_S.sum()), int(kept_S.sum()))}
    cells |= {
        name: (int(must_S[code]), int(kept_S[code]))
        for code, name in enumerate(STRATA)
        if must_S[code]
    }
    return [
        {
            "loop": loop.name,
            "round": row.number,
            "source": f"{source}+override",
            "kind": "all",
            "category": name,
            "rule_set": "farm",
            "num_documents": len(text_ids),
            "num_words": num_words,
            "num_kept": num_kept,
            "num_must_keep": must,
            "num_must_keep_kept": kept,
            "mk_in_ref": kept / must if must else None,
            "keep_rate": num_kept / num_words if num_words else None,
        }
        for name, (must, kept) in cells.items()
    ]


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

    def add(
        label: str, rows: list[Row], suite: str, metric: str, **wanted: Any
    ) -> None:
        values = [score(rows, n, suite, metric, **wanted) for n in numbers]
        table.add_row(label, *map(format_cell, values))

    # Where all keep equally much first: only there can what survives be compared.
    for name, suite, metric in (
        ("decision_pct", "planted", "decision_pct"),
        ("fact_pct", "planted", "fact_pct"),
        ("exact_pct, agent", "agent", "exact_pct"),
    ):
        for rate in FIXED_RATES:
            label = f"{name} at keep_rate {rate:g}"
            add(label, own, suite, metric, target_keep_rate=rate)
        add("  random there", random, suite, metric, target_keep_rate=FIXED_RATES[-1])
    table.add_section()
    for label, suite, metric in (
        ("exact_pct, agent texts", "agent", "exact_pct"),
        ("exact_pct, dense texts", "dense", "exact_pct"),
        ("F1 against gold", "planted", "f1"),
    ):
        add(label, own, suite, metric)
        add("  random", random, suite, metric)
        add("  keep_rate", own, suite, "keep_rate")
    add("F1 on plain words", own, "planted", "f1", stratum="plain")
    summary = figures["round_summary"]
    table.add_section()
    table.add_row(
        "override_delta", *(format_cell(r["override_delta"]) for r in summary)
    )
    table.add_row("time", *(format_seconds(row["seconds"]) for row in summary))
    table.add_row("cost, USD", *(format_cell(float(row["usd"])) for row in summary))
    return table


def _subjects_table(rows: list[Row], own: str) -> "Table":
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
