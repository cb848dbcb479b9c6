"""Read logs whose lines people marked: `*.jsonl.gz` of a folder, one log a row.

A row has `id, source, licence, repository, text, gold, signals, twin`. `gold` gives for
each annotator spans `[first line, last line, grade]`, lines from 1: E explains the
failure (keep), C is context (unknown); all other lines are dropped.
L = lines of one log
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidConfig
from kompress.lines.cut import Lines, cut_lines
from kompress.types import DROP, JSON, KEEP, UNKNOWN, CodeArray

_GRADES = {"E": KEEP, "C": UNKNOWN}
# CiDiff's annotators saw a lone CR end a line, as editors show it: 46 of their spans
# begin behind the last LF (docs/log.md 2026-12-01).
CR_ENDS_LINES = frozenset({"cidiff"})
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that a diagnosis needs.

    Attributes:
        forms: the signal survives if one of these does; the first is its own.
        is_critical: the benchmark calls it critical.
    """

    forms: tuple[str, ...]
    is_critical: bool


@dataclass(frozen=True, slots=True)
class GoldLog:
    """A failed run and what people said of it.

    Attributes:
        name: the row's id.
        source: the collection, for example `logdx`.
        repository: whose run it was; folds and intervals are by repository.
        lines: the log.
        marks: (L,) codes `KEEP`, `DROP` or `UNKNOWN` by annotator.
        signals: what a diagnosis needs, if the collection says.
        twin: the log of a passing run of the same job, None if there is none.
    """

    name: str
    source: str
    repository: str
    lines: Lines
    marks: dict[str, CodeArray]
    signals: tuple[Signal, ...]
    twin: str | None


def read_gold_logs(folder: Path) -> list[GoldLog]:
    """Read all logs of a folder, files in order of their names.

    Args:
        folder: has files `*.jsonl.gz`.

    Raises:
        InvalidConfig: no such file is there, or a row lacks something.
    """
    paths = sorted(folder.glob("*.jsonl.gz"))
    if not paths:
        raise InvalidConfig(
            f"{folder} has no *.jsonl.gz; expected files of marked logs; name their "
            "folder"
        )
    return [log for path in paths for log in _read_file(path)]


def _read_file(path: Path) -> Iterator[GoldLog]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as rows:
        for number, row in enumerate(rows, start=1):
            try:
                yield read_row(json.loads(row))
            except (KeyError, TypeError, ValueError) as error:
                raise InvalidConfig(
                    f"{path.name}, row {number}: {error!r}; expected a JSON object "
                    "with id, source, repository, text and gold"
                ) from error


def read_row(row: JSON) -> GoldLog:
    """Read one log.

    Raises:
        KeyError: a field is missing, or a grade is neither E nor C.
    """
    lines = cut_lines(row["text"])
    line_of = _line_numbers(row["text"], row["source"])
    return GoldLog(
        name=row["id"],
        source=row["source"],
        repository=row["repository"],
        lines=lines,
        marks={
            annotator: _mark(spans, line_of, len(lines))
            for annotator, spans in row["gold"].items()
        },
        signals=tuple(_read_signal(found) for found in row.get("signals") or ()),
        twin=row.get("twin") or None,
    )


def _line_numbers(text: str, source: str) -> NDArray[np.int64]:
    """Give for each line that an annotator counts our own line, which ends at LF."""
    if source not in CR_ENDS_LINES:
        return np.arange(text.count("\n") + 1)
    ends_at_lf = [end.endswith("\n") for end in _LINE_END.findall(text)]
    return np.concatenate([[0], np.cumsum(ends_at_lf, dtype=np.int64)])


def _mark(
    spans: list[list[object]], line_of: NDArray[np.int64], size: int
) -> CodeArray:
    """Give each line its code; E wins where spans overlap, as it does within a line."""
    code_L = np.full(size, DROP, np.uint8)
    graded = [(int(str(a)), int(str(b)), _GRADES[str(grade)]) for a, b, grade in spans]
    for first, last, code in sorted(graded, key=lambda span: span[2] == KEEP):
        ours = line_of[first - 1 : last]
        code_L[ours[ours < size]] = code
    return code_L


def _read_signal(found: JSON) -> Signal:
    """Give a signal's forms: its value, its aliases, the file that it names."""
    forms = [found.get("value"), *(found.get("aliases") or ()), found.get("file")]
    return Signal(
        forms=tuple(form.strip() for form in forms if form and form.strip()),
        is_critical=found.get("importance") == "critical",
    )
