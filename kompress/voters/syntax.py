"""A voter that looks at where a word stands and how it is spelled, never at meaning.

N = words
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from kompress.types import FloatArray
from kompress.voters.voter import VoterParams, deterministic_kind

KIND = "syntax"
VERSION = "1"  # changes whenever any vote would

# How strongly a word's own shape speaks for keeping it; the first that matches
# counts. Above one half: it carries structure. Strengths are ours, by judgment.
SHAPES: tuple[tuple[str, float, str], ...] = (
    ("location", 0.90, r"\.\w+[:(]\d+"),  # a file and a line in it
    ("assignment", 0.80, r"^[\w.\-\[\]\"']+=[^=]"),
    ("key", 0.70, r"^[\w.\-\[\]\"'/]+[:=]$"),
    ("rule", 0.15, r"^[\W_]*$"),  # punctuation only: a table's or a caret's line
    ("capitals", 0.74, r"^\W*[A-Z][A-Z0-9_]+\W*$"),
    ("call", 0.66, r"\w\("),
    ("path", 0.64, r"[/\\].*[/\\]"),
    ("quoted", 0.62, r"^[\"'`]"),
    ("joined", 0.60, r"[a-z0-9][A-Z]|[^\W_]_[^\W_]"),
    ("bracketed", 0.56, r"^[(\[{<]|[)\]}>][,;:.]?$"),
    ("number", 0.38, r"^\W*\d"),
    ("title", 0.45, r"^[A-Z]"),
    ("long", 0.34, r"^.{9,}"),
    ("short", 0.12, r"^.{1,3}$"),
)
OTHERWISE = 0.22

# What a word's place says; the strongest of shape and place counts.
LINE_START = 0.60
VALUE = 0.82  # right of a colon, an equals sign or an arrow
CHANGED_LINE = 0.80  # added or removed in a diff
LAST_LINE = 0.92  # what a traceback ends in: the error itself

_SHAPES = [
    (name == "rule", strength, re.compile(regex)) for name, strength, regex in SHAPES
]
_BEFORE_VALUE = re.compile(r"[\w\"'\])](:|=)$|^(:|:?=|[-=]>)$")
_IN_DIFF = re.compile(r"^(@@ |diff --git )", re.MULTILINE)
_CHANGED = re.compile(r"[+-](?![+-]{2} )")
_TRACEBACK = "Traceback (most recent call last)"


class SyntaxParams(VoterParams):
    """The syntax voter has no parameters."""


class SyntaxRules:
    """Votes by place and shape, from the table above.

    Keeps the start of a line, what follows a key or an equals sign, assignments,
    calls, brackets, quotes, capitals, file:line, changed lines of a diff and the last
    line of a traceback. Its words are not the must-keep rules': it drops numbers, ids,
    flags and versions that stand in running text, and keeps much that is only form.

    Blind strata: plain, where a fact is told in prose; number, version, unit and
    signal in prose.

    Source: rules by syntactic role as in extractive compression of code and logs,
    for example Jiang et al. 2023 (LongLLMLingua, structure kept apart from content)
    and Zhang et al. 2022 (DietCode, statement types by value); the table is ours.
    """

    def __init__(self, params: SyntaxParams, snapshot: bytes | None) -> None:
        del params, snapshot  # there are none

    def p_keep(self, text: str) -> FloatArray:
        """Give (N,) P(keep) of a text's words."""
        in_diff = _IN_DIFF.search(text) is not None
        in_traceback = False
        strengths: list[float] = []
        for line in text.split("\n"):
            words = line.split()
            if not words:
                continue
            floor = CHANGED_LINE if in_diff and _CHANGED.match(line) else 0.0
            if line.startswith(_TRACEBACK):
                in_traceback = True
            elif in_traceback and not line[0].isspace():
                in_traceback, floor = False, LAST_LINE
            strengths.extend(_line(words, floor))
        return np.array(strengths, dtype=np.float64)


SYNTAX = deterministic_kind(KIND, SyntaxParams, SyntaxRules, version=VERSION)


def _line(words: list[str], floor: float) -> Iterator[float]:
    """P(keep) of one line's words, at least `floor`."""
    place = LINE_START
    for word in words:
        # A minified line is one word; its ends tell its shape and spare the cache.
        ends = word if len(word) <= 200 else word[:160] + word[-40:]
        strength, is_rule, before_value = _shape(ends)
        # A rule of dashes starts a line without being worth anything.
        yield strength if is_rule else max(strength, place, floor)
        place = VALUE if before_value else 0.0


@lru_cache(maxsize=65_536)
def _shape(word: str) -> tuple[float, bool, bool]:
    """A word's strength, whether it is punctuation only, whether a value follows."""
    before_value = _BEFORE_VALUE.search(word) is not None
    for is_rule, strength, regex in _SHAPES:
        if regex.search(word):
            return strength, is_rule, before_value
    return OTHERWISE, False, before_value
