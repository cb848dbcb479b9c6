"""The tables of `farm eval`, 100 columns wide."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.cli.output import format_interval

if TYPE_CHECKING:
    from kompress.config import EvaluationConfig
    from kompress.evaluation.baselines.baseline import BaselineResult
    from kompress.evaluation.compare import FigureDifference
    from kompress.types import Score

LABEL = 29
# (metric, stratum) -> how it is called; one block each, where a suite has it.
BLOCKS = {
    ("exact_pct", "all"): "exact_pct",
    ("f1", "all"): "f1",
    ("f1", "plain"): "f1 of plain words",
    ("decision_pct", "all"): "decision_pct",
    ("fact_pct", "all"): "fact_pct",
    ("token_savings", "all"): "token_savings",
}
# Of many subjects, what decides; the rest is in `scores`.
OF_MANY = ("exact_pct", "f1", "decision_pct")
# Shown as `keep`, or no more than parts of f1.
IN_BLOCKS = ("keep_rate", "precision", "recall")
MAX_RATES = 5
Key = tuple[str, str, float | None]


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    keep_rate: float
    rows: Mapping[Key, "Score"]


@dataclass(frozen=True, slots=True)
class SubjectCost:
    """What one subject costs, beside its quality.

    Attributes:
        label: the subject.
        keep_rate: its own on the first suite.
        ms_per_chunk: milliseconds for 350 words, None if not measured.
        usd: of the labels behind it in the round, None where nobody knows.
        retained: share of the ensemble's gain, None where there is no gain to retain.
        note: anything to know.
    """

    label: str
    keep_rate: float | None
    ms_per_chunk: float | None
    usd: float | None
    retained: float | None = None
    note: str = ""


def suite_table(
    suite: str,
    num_texts: int,
    subjects: Sequence[tuple[str, "BaselineResult"]],
    random: Sequence["Score"],
    evaluation: "EvaluationConfig",
) -> Iterator[str]:
    """Lay out one suite: a block a metric, a line a subject.

    Args:
        suite: its name.
        num_texts: how many texts it has.
        subjects: label and figures of each, the student first.
        random: rows of random dropping, at every own keep_rate as a target; none where
            it is not compared.
        evaluation: the rule set of the blocks, and the fixed keep_rates, of which the
            first five have a column.
    """
    rates = evaluation.keep_rates[:MAX_RATES]
    rule_set = evaluation.rule_set
    beside = _by_key(random, suite, rule_set)
    heads = "".join(f"{f'@{rate:g}':>6}" for rate in rates)
    title = f"{suite}: {num_texts:,} texts"
    yield (
        f"{_cut(title):<{LABEL}}{'n':>8}{'keep':>6}{'own':>6}{'95 % interval':>14}"
        f"{'random' if random else '':>7}{heads}"
    ).rstrip()
    lines = [
        _Line(label, result.keep_rate, _by_key(result.rows, suite, rule_set))
        for label, result in subjects
    ]
    for block, name in BLOCKS.items():
        found = [line for line in lines if (*block, None) in line.rows]
        if not found or (len(lines) > 1 and block[0] not in OF_MANY):
            continue
        own = found[0].rows[*block, None]
        called = f"{name}, {own.rule_set}" if own.rule_set else name
        if len(found) > 1:
            yield f"{_cut(called):<{LABEL}}{own.n:>8,}"
        for line in found:
            head = (f"  {line.label}", "") if len(found) > 1 else (called, f"{own.n:,}")
            other = beside.get((*block, line.keep_rate))
            yield f"{_cut(head[0], LABEL + 2):<{LABEL + 2}}{head[1]:>6}" + _cells(
                line, block, other if line.label != "random" else None, rates
            )


def other_table(rows: Iterable["Score"], rule_set: str) -> Iterator[str]:
    """Lay out every figure that has no block: overrides, rule sets, guards, drops.

    Args:
        rows: the student's.
        rule_set: of the blocks.
    """
    shown = [
        row
        for row in rows
        if not row.text_sha256
        and row.stratum in ("all", "plain")
        and row.target_keep_rate is None
        and not _has_block(row, rule_set)
    ]
    if not shown:
        return
    yield (
        f"{'suite':<21}{'metric':<24}{'rules':<14}{'override':<14}{'value':>6}"
        f"{'95 % interval':>14}{'n':>7}"
    )
    for row in shown:
        metric = row.metric if row.stratum == "all" else f"{row.metric} {row.stratum}"
        if row.definition == "substring":
            metric += " substring"
        yield (
            f"{_cut(row.suite, 21):<21}{_cut(metric, 24):<24}{row.rule_set:<14}"
            f"{row.override:<14}{_number(row.value):>6}{_interval(row):>14}{row.n:>7}"
        )


def comparison_table(
    comparisons: Iterable["FigureDifference"], suite: str, against: str
) -> Iterator[str]:
    """Lay out paired tests of a student against another, on one suite."""
    rows = list(comparisons)
    if not rows:
        return
    yield ""
    yield (
        f"{_cut(f'{suite}, against {against}', 38):<38}{'at':>5}{'this':>7}"
        f"{'other':>7}{'less':>8}{'95 % interval':>17}{'p':>8}{'n':>8}"
    )
    for row in rows:
        metric = row.metric if row.stratum == "all" else f"{row.metric} {row.stratum}"
        at = "own" if row.target_keep_rate is None else f"@{row.target_keep_rate:g}"
        interval = format_interval(row.ci_low, row.ci_high, spec="+.3f", to="…") or "–"
        less = "–" if row.difference is None else f"{row.difference:+.3f}"
        yield (
            f"{metric:<38}{at:>5}{_number(row.a):>7}{_number(row.b):>7}{less:>8}"
            f"{interval:>17}{_number(row.p_value):>8}{row.n:>8,}"
        )


def cost_table(costs: Sequence[SubjectCost]) -> Iterator[str]:
    """Lay out what each subject costs, and what of the ensemble's gain it retains."""
    yield (
        f"{'cost':<32}{'keep':>7}{'ms / 350 words':>16}{'USD':>9}{'gain retained':>15}"
    )
    for cost in costs:
        line = (
            f"{_cut(cost.label, 32):<32}{_number(cost.keep_rate):>7}"
            f"{_number(cost.ms_per_chunk):>16}{_money(cost.usd):>9}"
            f"{_number(cost.retained):>15}"
        )
        yield f"{line}  {cost.note}".rstrip()


def label_of(kind: str, name: str, marks: Mapping[str, str]) -> str:
    """Name a subject for people: `best voter syntax`.

    Args:
        kind: what it is in `scores`.
        name: its name there.
        marks: what to say of whom, by kind and name as one string.
    """
    mark = marks.get(f"{kind} {name}", "")
    said = name if kind == "baseline" else f"{kind} {name}"
    return f"{mark} {said}" if mark else said


def _cells(
    line: _Line,
    block: tuple[str, str],
    random: "Score | None",
    rates: Sequence[float],
) -> str:
    own = line.rows[*block, None]
    fixed = [line.rows.get((*block, rate)) for rate in rates]
    return (
        f"{line.keep_rate:>6.3f}{_number(own.value):>6}{_interval(own):>14}"
        f"{_number(random.value) if random else '':>7}"
        + "".join(f"{_number(row.value) if row else '':>6}" for row in fixed)
    ).rstrip()


def _by_key(rows: Iterable["Score"], suite: str, rule_set: str) -> dict[Key, "Score"]:
    """Sort the rows that blocks show by metric, stratum and target."""
    return {
        (row.metric, row.stratum, row.target_keep_rate): row
        for row in rows
        if row.suite == suite and _is_plain(row, rule_set)
    }


def _is_plain(row: "Score", rule_set: str) -> bool:
    return (
        not (row.override or row.text_sha256 or row.step)
        and row.definition == "multiset"
        and row.rule_set in ("", rule_set)
    )


def _has_block(row: "Score", rule_set: str) -> bool:
    named = (row.metric, row.stratum) in BLOCKS or row.metric in IN_BLOCKS
    return named and _is_plain(row, rule_set)


def _interval(row: "Score") -> str:
    return format_interval(row.ci_low, row.ci_high, to="…") or "–"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    # A share has three places; milliseconds may be many.
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def _money(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def _cut(text: str, width: int = LABEL) -> str:
    return text if len(text) < width else text[: width - 2] + "…"
