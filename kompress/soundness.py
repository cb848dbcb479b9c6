"""What can be seen to go wrong when a text is shortened: negations, lines, JSON.

Checks look at texts alone. `kompress.evaluation.guards` counts them over a suite,
`kompress.pairwise.verifier` refuses references by them, `kompress.voters.soundness`
votes by them.
"""

import json
import re
from typing import Any

import numpy as np

from kompress.types import BoolArray
from kompress.words import split_words

# Words whose loss turns a sentence round. Negations: Huddleston & Pullum 2002, ch. 9.
_NEGATIONS = (
    "not|no|none|nor|neither|never|nothing|nobody|nowhere|cannot|without|"
    "[a-z]+n['\u2019]t"
)
_CONDITIONS = "unless|except|only"
_MODALS = "must|shall|should|may"  # RFC 2119's, section 1 to 5
# A whole word but for the marks around it: `not,` and `(MUST` count, `--no-verify` and
# `not_found` are names.
_GUARDED = re.compile(
    rf"[^\w-]*(?:{_NEGATIONS}|{_CONDITIONS}|{_MODALS})[^\w-]*", re.IGNORECASE
)


def is_guarded(word: str) -> bool:
    """Say whether a word is a negation, a condition or a modal, marks aside.

    Source: ours, see the lists above.
    """
    return _GUARDED.fullmatch(word) is not None


def check_lines(text: str, compressed: str) -> bool:
    r"""Say whether each line of a compression is what is left of one line of the text.

    A line's words must be words of one source line, in order; source lines are used
    once each, in order. Merged, reordered and invented lines fail. Lines end at "\n"
    only, white space within a line is free, empty lines are passed over.

    Args:
        text: the whole text.
        compressed: its shortened form, by whatever method.

    Source: ours; lines as in the deployed client.
    """
    lines = iter([line.split() for line in text.split("\n")])
    return all(
        # The earliest line that fits leaves the most for the lines that follow.
        any(_is_subsequence(kept, line) for line in lines)
        for kept in (line.split() for line in compressed.split("\n"))
        if kept
    )


def check_json(text: str, compressed: str) -> bool | None:
    """Say whether the compression of a JSON text can still be trusted as JSON.

    Parsing is not enough: `{"a": 1, "b": 2}` without `1, "b":` parses and lies. So
    whatever the compression holds must be in the text at the same place: an object's
    keys with their values and a list's items in order, some left out; a string's words
    in order, some left out; other values unchanged.

    Args:
        text: the whole text.
        compressed: its shortened form.

    Returns:
        None if the text is no JSON object or list; else whether the compression still
        parses and says nothing that the text does not. False is to be marked.
    """
    whole = _parse(text)
    if whole is None:
        return None
    rest = _parse(compressed)
    if rest is None:
        return False
    try:
        return _is_within(rest, whole)
    except RecursionError:
        return False


def is_same_json(text: str, compressed: str) -> bool | None:
    """Say whether a compression of a JSON text is valid and lacks nothing.

    Args:
        text: the whole text.
        compressed: its shortened form.

    Returns:
        None if the text is no JSON object or list; else whether the compression parses
        to the same values, white space aside.

    Source: RFC 8259, as Python's `json` reads it.
    """
    whole = _parse(text)
    if whole is None:
        return None
    if compressed == text:
        return True
    rest = _parse(compressed)
    try:
        return bool(rest is not None and rest == whole)
    except RecursionError:
        return False


def count_json_elements(text: str, keep_N: BoolArray) -> tuple[int, int]:
    """Count the elements of a JSON text, and those of which every word is kept.

    Elements are keys, strings, numbers, true, false and null: what is lost when words
    go, whether or not what is left still parses.

    Args:
        text: a JSON object or list.
        keep_N: (N,) which of its words are kept.

    Returns:
        How many elements are left, and how many there are.
    """
    words = split_words(text)
    start_N = np.array([word.start for word in words], dtype=np.int64)
    end_N = np.array([word.end for word in words], dtype=np.int64)
    lost_N1 = np.append(0, np.cumsum(~keep_N))
    spans = [found.span() for found in _ELEMENT.finditer(text)]
    start_E, end_E = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    # The words that reach into an element: from the first that ends after its start.
    first_E = np.searchsorted(end_N, start_E, side="right")
    last_E = np.searchsorted(start_N, end_E, side="left")
    left_E = lost_N1[last_E] == lost_N1[first_E]
    return int(left_E.sum()), len(spans)


# In a text that is JSON nothing else begins with these.
_ELEMENT = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null')


class _Object(list[Any]):
    """A JSON object as its (key, value) pairs: a repeated key is not lost."""


def _parse(text: str) -> Any:
    """Read a JSON object or list; None for anything else, or too deep to read."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        # Numbers stay as they are written: 1.0 is not 1, and none is too long.
        return json.loads(
            text, object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number
        )
    except (ValueError, RecursionError):
        return None


class _Number(str):
    """A JSON number as it is written."""

    __slots__ = ()


def _is_within(part: Any, whole: Any) -> bool:
    """Say whether a JSON value is another with things left out."""
    if type(part) is not type(whole):
        return False
    if isinstance(part, _Object):
        rest = iter(whole)
        return all(
            any(key == k and _is_within(value, v) for k, v in rest)
            for key, value in part
        )
    if isinstance(part, list):
        rest = iter(whole)
        return all(any(_is_within(item, each) for each in rest) for item in part)
    if isinstance(part, str) and not isinstance(part, _Number):
        return _is_subsequence(part.split(), whole.split())
    return bool(part == whole)


def _is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)
