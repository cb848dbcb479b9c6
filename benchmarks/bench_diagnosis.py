"""Who finds the lines that explain a failed run?

    python -m benchmarks diagnosis FOLDER [--write]

FOLDER holds `*.jsonl.gz` of logs whose lines people marked (`kompress.diagnosis.gold`).
Every voter on lines, every baseline and every consensus scores each log, fitted to logs
of other repositories alone; `--write` puts the tables into docs/diagnosis.md.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from kompress.diagnosis.folds import assign_folds
from kompress.diagnosis.gold import read_gold_logs
from kompress.diagnosis.measure import (
    BUDGETS,
    SHARES,
    DiagnosisCase,
    MeanOverLogs,
    prepare_case,
)
from kompress.diagnosis.people import measure_people, recall_at_precision
from kompress.diagnosis.suite import (
    Contestant,
    contest,
    mark_logs,
    measure_contestant,
    score_in_folds,
)
from kompress.lines.cut import cut_lines
from kompress.lines.features import smooth
from kompress.lines.log_lines import prepare_log
from kompress.lines.selection import select_lines
from kompress.lines.voters import LINE_VOTERS
from kompress.types import FloatArray

DOC = Path(__file__).parents[1] / "docs" / "diagnosis.md"
BELOW = "<!-- `python -m benchmarks diagnosis` writes what is below. -->"
PEOPLE_PRECISION = 0.92
SEED = 0
SHARES_OF_GOLD = (0.125, 0.25, 0.5, 1.0)
OF_CURVE = ("line_auc", "average_precision", "recall@2000", "signals@2000")


def main() -> int:
    """Print the tables, and put them on the page where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--write", action="store_true", help="update docs/diagnosis.md")
    args = parser.parse_args()
    if args.folder is None:
        print("no logs were given: pass the path of a folder (see the module)")
        return 0
    cases = [prepare_case(gold) for gold in read_gold_logs(args.folder)]
    page = make_page(cases)
    print(page)
    if args.write:
        head = DOC.read_text(encoding="utf-8").split(BELOW)[0]
        DOC.write_text(f"{head}{BELOW}\n\n{page}", encoding="utf-8")
    return 0


def make_page(cases: Sequence[DiagnosisCase]) -> str:
    """Give all tables as Markdown."""
    fold_T = assign_folds([case.gold.repository for case in cases])
    contestants = contest(cases, fold_T)
    sources = sorted({case.gold.source for case in cases})
    parts = []
    for source in sources:
        own_T = np.array([case.gold.source == source for case in cases])
        parts.append(_source_part(source, cases, contestants, fold_T, own_T))
    if len(sources) > 1:
        parts.append(_transfer_part(cases, sources))
    parts.append(_curve_part(cases, fold_T, sources))
    parts.append(_speed_part(cases))
    return "\n".join(parts)


def _source_part(
    source: str,
    cases: Sequence[DiagnosisCase],
    contestants: Sequence[Contestant],
    fold_T: NDArray[np.int64],
    own_T: NDArray[np.bool_],
) -> str:
    """Give a source's two tables, and what people find there."""
    own = _pick(cases, own_T)
    found = {
        each.name: measure_contestant(
            own, _restrict(each, own_T), rng=np.random.default_rng(SEED)
        )
        for each in contestants
    }
    repositories = {case.gold.repository for case in own}
    rows = [
        f"## {source}: {len(own)} logs, {len(repositories)} repositories\n",
        _scores_table(found),
        "",
        _kept_table(found),
        "",
    ]
    people = measure_people(own)
    if people is not None:
        rows.append(
            f"People: the second finds {people.recall:.3f} of the first's lines at"
            f" precision {people.precision:.3f}, kappa {people.kappa:.3f}, in"
            f" {people.num_logs} logs that two marked.\n"
        )
    linear = next(each for each in contestants if each.name == "linear")
    rows += [_thresholds_table(own, _restrict(linear, own_T).scores, fold_T[own_T]), ""]
    return "\n".join(rows)


def _thresholds_table(
    cases: Sequence[DiagnosisCase],
    scores: Sequence[FloatArray],
    fold_T: NDArray[np.int64],
) -> str:
    """Give what `linear` finds at thresholds that the other folds set."""
    logits = [logit(np.clip(score_L, 1e-12, 1 - 1e-12)) for score_L in scores]
    ways = {
        "each line by itself": logits,
        "with the mean of two lines on both sides": [
            (logit_L + smooth(logit_L, 2)) / 2 for logit_L in logits
        ],
    }
    head = ["`linear`, precision on the other folds", "recall", "precision"]
    rows = []
    for way, values in ways.items():
        for target in (PEOPLE_PRECISION, 0.7, 0.5):
            got = recall_at_precision(cases, values, fold_T, precision=target)
            shown = [f"{got.recall:.3f}", f"{got.precision:.3f}"]
            rows.append([f"{target:.2f}, {way}", *shown])
    return _table(head, rows)


def _curve_part(
    cases: Sequence[DiagnosisCase], fold_T: NDArray[np.int64], sources: list[str]
) -> str:
    """Give `linear` fitted to ever fewer repositories of the other folds."""
    rows = []
    for share in SHARES_OF_GOLD:
        scores = score_in_folds(cases, fold_T, LINE_VOTERS["linear"], share=share)
        for source in sources:
            own_T = np.array([case.gold.source == source for case in cases])
            means = measure_contestant(
                _pick(cases, own_T),
                _restrict(Contestant("linear", scores, select_lines), own_T),
                rng=np.random.default_rng(SEED),
            )
            rows.append(
                [f"{share:.3g}, {source}", *(_show(means[n]) for n in OF_CURVE)]
            )
    head = ["share of the repositories", *OF_CURVE]
    return "## `linear` with less gold\n\n" + _table(head, rows) + "\n"


def _scores_table(found: dict[str, dict[str, MeanOverLogs]]) -> str:
    """Give order and recall by share of the tokens."""
    shares = [f"recall@{share}%" for share in SHARES]
    head = ["", "line AUC", "average precision", *(f"{s} % kept" for s in SHARES)]
    names = ["line_auc", "average_precision", *shares]
    return _table(
        head,
        [
            [name, *(_show(means[figure]) for figure in names)]
            for name, means in found.items()
        ],
    )


def _kept_table(found: dict[str, dict[str, MeanOverLogs]]) -> str:
    """Give recall, critical signals and error lines lost by budget."""
    has_signals = any(means["signals@1000"].num_logs for means in found.values())
    kinds = ["recall", *(["signals"] if has_signals else [])]
    head = [
        "",
        *(f"{kind} at {tokens:,}" for kind in kinds for tokens in BUDGETS),
        *(f"lost at {tokens:,}" for tokens in BUDGETS),
        "mean tokens at 2,000",
    ]
    rows = [
        [
            name,
            *(_show(means[f"{kind}@{t}"]) for kind in kinds for t in BUDGETS),
            *(_total(means[f"lost@{tokens}"]) for tokens in BUDGETS),
            f"{means['tokens@2000'].mean:,.0f}",
        ]
        for name, means in found.items()
    ]
    errors = _total(next(iter(found.values()))["errors"])
    return (
        _table(head, rows)
        + f"\n\nLost: of {errors} lines of evidence that say failure (annotators"
        " averaged), those of which no line of the template is kept."
    )


def _transfer_part(cases: Sequence[DiagnosisCase], sources: list[str]) -> str:
    """Give `linear` fitted to the other sources alone."""
    source_T = np.array([sources.index(case.gold.source) for case in cases])
    scores = score_in_folds(cases, source_T, LINE_VOTERS["linear"])
    rows = []
    for number, source in enumerate(sources):
        own_T = source_T == number
        means = measure_contestant(
            _pick(cases, own_T),
            _restrict(Contestant("linear", scores, select_lines), own_T),
            rng=np.random.default_rng(SEED),
        )
        shown = ("line_auc", "average_precision", "recall@2000", "signals@2000")
        rows.append([source, *(_show(means[name]) for name in shown)])
    head = ["", "line AUC", "average precision", "recall at 2,000", "signals at 2,000"]
    return "## `linear` on a source that it never saw\n\n" + _table(head, rows) + "\n"


def _speed_part(cases: Sequence[DiagnosisCase]) -> str:
    """Give megabytes a second on all logs as one text, cut anew."""
    text = "".join(piece for case in cases for piece in case.log.lines.pieces)
    size = len(text) / 1e6
    prepare = _seconds(lambda: prepare_log(cut_lines(text)))
    log, training = prepare_log(cut_lines(text)), mark_logs(cases)
    rows = []
    for name, voter in LINE_VOTERS.items():
        score = voter(training)
        seconds = _seconds(partial(score, log))
        rows.append(
            [name, f"{size / seconds:,.0f}", f"{size / (prepare + seconds):.1f}"]
        )
    head = ["", "MB/s scoring", "MB/s with cutting, masking and searching"]
    title = f"## Speed on {size:.1f} MB, all logs as one text"
    once = "Cutting, masking and searching once for all voters"
    return f"{title}\n\n{once}: {size / prepare:.1f} MB/s.\n\n{_table(head, rows)}\n"


def _seconds(work: Callable[[], object]) -> float:
    """Time a call, the least of three."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


def _pick(
    cases: Sequence[DiagnosisCase], own_T: NDArray[np.bool_]
) -> list[DiagnosisCase]:
    return [case for case, is_own in zip(cases, own_T, strict=True) if is_own]


def _restrict(contestant: Contestant, own_T: NDArray[np.bool_]) -> Contestant:
    scores = [s for s, is_own in zip(contestant.scores, own_T, strict=True) if is_own]
    return Contestant(contestant.name, scores, contestant.select)


def _show(figure: MeanOverLogs) -> str:
    """Write a mean and its interval, or that there is none."""
    if not figure.num_logs:
        return "–"
    low, high = figure.interval
    ends = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{figure.mean:.3f}{ends}".replace("0.", ".")


def _total(figure: MeanOverLogs) -> str:
    return f"{figure.mean * figure.num_logs:.1f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
