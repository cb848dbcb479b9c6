"""The texts that students are scored on.

`dense` ships with the package. The others are made of the caller's held-out documents:
`agent` of the kinds below, `planted` of those that have evaluation gold, `qa` of those
whose gold also asks a question.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.resources import files

from kompress.errors import InvalidSuite
from kompress.types import Gold

AGENT_KINDS = (
    "bash_output",
    "file_read",
    "error_trace",
    "search_result",
    "json_tool_result",
)
SUITES = ("dense", "agent", "qa", "planted")
MIN_DENSE_TEXTS = 32


@dataclass(frozen=True, slots=True)
class SuiteText:
    """One text of a suite.

    Attributes:
        text: the string itself.
        kind: what produced it.
        group_id: texts of one group are resampled together; '' makes it its own group.
        sha256: hex digest of the text in UTF-8.
        gold: evaluation gold, if any.
    """

    text: str
    kind: str
    group_id: str
    sha256: str
    gold: Gold | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """Named texts, scored together.

    Attributes:
        name: `dense`, `agent`, `qa`, `planted` …
        texts: in a fixed order, at least one.
    """

    name: str
    texts: tuple[SuiteText, ...]


def make_suite(name: str, held_out: Iterable[SuiteText]) -> Suite:
    """Choose a suite's texts among held-out documents; `dense` ships with the package.

    Args:
        name: one of `SUITES`.
        held_out: held-out documents, with their evaluation gold where they have any.

    Returns:
        The suite; all but `dense` may be empty.

    Raises:
        InvalidSuite: no suite has that name.

    Source: design §1; `agent` are the kinds of an agent's tools, scored without gold;
        `qa` are the planted texts that ask a question: what has to survive is what
        answers it.
    """
    if name == "dense":
        return load_dense()
    if name == "agent":
        chosen = [replace(t, gold=None) for t in held_out if t.kind in AGENT_KINDS]
        return Suite(name, tuple(chosen))
    if name == "planted":
        return Suite(name, tuple(t for t in held_out if t.gold is not None))
    if name == "qa":
        asked = [t for t in held_out if t.gold and t.gold.question and t.gold.facts]
        return Suite(name, tuple(asked))
    raise InvalidSuite(
        f"found suite {name!r}; expected one of {', '.join(SUITES)}; correct "
        "`evaluation.suites`"
    )


def load_dense() -> Suite:
    """Load the texts dense with must-keep words that were written for this project.

    Returns:
        The suite `dense`, at least 32 texts, each its own group.

    Raises:
        InvalidSuite: the package's data file is missing or damaged.
    """
    source = files("kompress.evaluation").joinpath("data", "dense.jsonl")
    try:
        # Not splitlines(): a text may hold U+2028 and its like unescaped.
        lines = source.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise InvalidSuite(
            f"{source} is missing; expected the package's own suite; reinstall kompress"
        ) from error
    return parse_dense(lines)


def parse_dense(lines: Iterable[str]) -> Suite:
    """Read the suite `dense` from lines of JSON with id, kind and text.

    Args:
        lines: JSON objects, one a line; empty lines are passed over.

    Returns:
        The suite.

    Raises:
        InvalidSuite: a line is not such an object, an id repeats, or there are fewer
            than 32 texts; names the line.
    """
    texts: dict[str, SuiteText] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, text = _parse_line(number, line)
        if name in texts:
            raise InvalidSuite(
                f"dense.jsonl line {number}: id {name!r} repeats; expected each once; "
                "rename one of the two"
            )
        texts[name] = text
    if len(texts) < MIN_DENSE_TEXTS:
        raise InvalidSuite(
            f"dense.jsonl holds {len(texts)} texts; expected at least "
            f"{MIN_DENSE_TEXTS}; reinstall kompress"
        )
    return Suite("dense", tuple(texts.values()))


def _parse_line(number: int, line: str) -> tuple[str, SuiteText]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidSuite(
            f"dense.jsonl line {number} is not JSON ({error}); expected an object with "
            "id, kind and text; reinstall kompress"
        ) from error
    keys = ("id", "kind", "text")
    if not isinstance(row, dict) or not all(isinstance(row.get(k), str) for k in keys):
        raise InvalidSuite(
            f"dense.jsonl line {number} lacks one of id, kind and text as strings; "
            "expected all three; reinstall kompress"
        )
    digest = sha256(row["text"].encode()).hexdigest()
    return row["id"], SuiteText(row["text"], row["kind"], row["id"], digest)
