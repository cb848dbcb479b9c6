"""Say of single words which rule catches them; the slow path that defines the answer.

N = words
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kompress.errors import InvalidConfig
from kompress.must_keep.farm import ESCAPES, FARM, FARM_VERSION, MAX_CHARS
from kompress.must_keep.published import (
    HEADROOM_042,
    HEADROOM_042_PREDICATE,
    KOMPRESS_R0,
    KOMPRESS_R0_PREDICATE,
)
from kompress.types import CATEGORIES, OTHER, PLAIN, STRATA, CodeArray
from kompress.words import split_words

# Any change of a rule set changes its version; counts and strata are stored under it.
# What a published rule set catches has the category that `farm` gives it.
RULE_VERSIONS: dict[str, str] = {
    "farm": FARM_VERSION,
    "headroom-0.42": f"0.42.0+{FARM_VERSION}",
    "kompress-r0": f"r0+{FARM_VERSION}",
}
# One expression a category, in `CATEGORIES` order; Rust and Postgres run the same.
FARM_PATTERNS: dict[str, str] = {
    category: "|".join(rule.pattern for rule in FARM if rule.category == category)
    for category in CATEGORIES
}
# What the published rule sets search a word for; `farm` has no single expression.
PUBLISHED: dict[str, re.Pattern[str]] = {
    "headroom-0.42": HEADROOM_042,
    "kompress-r0": KOMPRESS_R0,
}
# The same question, whether there is a match, in time linear in the word.
PREDICATES: dict[str, re.Pattern[str]] = {
    "headroom-0.42": HEADROOM_042_PREDICATE,
    "kompress-r0": KOMPRESS_R0_PREDICATE,
}

_FARM_SEARCHES: list[Callable[[str], object]] = [
    re.compile(pattern).search for pattern in FARM_PATTERNS.values()
]
_without_escapes = partial(re.compile(ESCAPES).sub, "")


@dataclass(frozen=True, slots=True)
class MustKeep:
    """A must-keep word of a text.

    Attributes:
        word: the word's number in the text, from 0.
        start: offset of its first character.
        end: offset after its last character.
        category: farm's category, or `other` where only another rule set catches it.
    """

    word: int
    start: int
    end: int
    category: str


def classify_words(words: Sequence[str], rule_set: str = "farm") -> CodeArray:
    """Give each word its stratum under a rule set.

    Args:
        words: N words, none with a separator in it.
        rule_set: a key of `RULE_VERSIONS`.

    Returns:
        (N,) places in `kompress.types.STRATA`: 0 plain, 1..13 farm's category, 14 a
        word that only this other rule set catches. A word that only `farm` catches is
        plain under another rule set.

    Raises:
        InvalidConfig: no rule set has this name.

    Source: ours for `farm`; headroom-ai 0.42.0 and its first version for the others.
    """
    check_rule_set(rule_set)
    code_of = {word: _classify(word, rule_set) for word in set(words)}
    return np.fromiter((code_of[word] for word in words), np.uint8, len(words))


def find_must_keep(text: str, rule_set: str = "farm") -> list[MustKeep]:
    """Find the must-keep words of a text.

    Args:
        text: any string.
        rule_set: a key of `RULE_VERSIONS`.

    Returns:
        The must-keep words, in order.

    Raises:
        InvalidConfig: no rule set has this name.

    Source: ours (design §1, §10).
    """
    words = split_words(text)
    codes_N = classify_words([text[start:end] for start, end in words], rule_set)
    return [
        MustKeep(number, *words[number], STRATA[codes_N[number]])
        for number in np.flatnonzero(codes_N).tolist()
    ]


def check_rule_set(rule_set: str) -> None:
    """Refuse a name that no rule set has.

    Raises:
        InvalidConfig: names the known rule sets.
    """
    if rule_set not in RULE_VERSIONS:
        raise InvalidConfig(
            f"found rule set {rule_set!r}; expected one of {', '.join(RULE_VERSIONS)}"
        )


def narrow(word: str, farm_code: int, rule_set: str) -> int:
    """Turn a word's `farm` code into its code under another rule set."""
    if rule_set == "farm":
        return farm_code
    if PREDICATES[rule_set].search(word) is None:
        return PLAIN
    return farm_code if farm_code != PLAIN else OTHER


def _classify(word: str, rule_set: str) -> int:
    """Classify one word."""
    head = _without_escapes(word)[:MAX_CHARS]
    for code, search in enumerate(_FARM_SEARCHES, start=1):
        if search(head) is not None:
            return narrow(word, code, rule_set)
    return narrow(word, PLAIN, rule_set)
