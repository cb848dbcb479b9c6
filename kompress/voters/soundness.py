"""A voter that says what a checker would miss: one more voter, measured as any.

A word is needed if dropping it breaks something that can be seen without judgment. No
signal knows what a reader asks for; how often they are right is measured against gold.

N = words, C = characters
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from kompress.config import Share
from kompress.must_keep.classify import RULE_VERSIONS, classify_words
from kompress.soundness import check_json, is_guarded
from kompress.types import BoolArray, FloatArray
from kompress.voters.voter import VoterParams, deterministic_kind
from kompress.words import Word, join_kept, split_words, word_list

KIND = "soundness"
VERSION = "1"  # changes whenever any vote would
MAX_TESTS = 32
MAX_PATTERN_CHARS = 500
# Each word of a JSON text is left out in turn: words x characters of a text above this
# (1,000 words of 2 kB; about a tenth of a second) are not tried.
MAX_JSON_WORK = 2_000_000
# P(keep) where a signal speaks; the strongest counts. By judgment, ours: distinct, so
# that a rule which reads soft votes can learn what each is worth.
STRENGTHS = {"must_keep": 0.8, "guarded": 0.85, "json": 0.7, "brackets": 0.6}
TEST_STRENGTH = 0.95

SignalName = Literal["must_keep", "guarded", "json", "brackets"]
# (text, its words) -> (N,) which words it needs
Signal = Callable[[str, Sequence[Word]], BoolArray]

_PARTNERS = {")": "(", "]": "[", "}": "{"}
_BRACKETS = re.compile(r"[()\[\]{}]")
_UNBOUNDED = re.compile(r"[*+]|\{\d*,\}")
_TOKENS = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(|\)|\||[*+]|\{\d*,\}", re.DOTALL
)


class SoundnessTest(VoterParams):
    """A user's own signal: all words that a match touches are needed."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    pattern: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARS)]

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"{pattern!r} is no regular expression of Python's ({error}); escape "
                "its special characters with a backslash"
            ) from error
        if _may_explode(pattern):
            raise ValueError(
                f"{pattern!r} repeats without end a group that repeats without end or "
                "has alternatives, which can take exponential time; bound one of them, "
                "as in {0,20}, or make two tests of it"
            )
        return pattern


class SoundnessParams(VoterParams):
    """What the soundness voter looks at, and what it says of the rest.

    Attributes:
        signals: the built-in ones it uses.
        tests: the user's own, matched within a text with `^` and `$` at lines.
        silent_p: P(keep) of a word that no signal needs; None abstains there.
    """

    signals: tuple[SignalName, ...] = ("must_keep", "guarded", "json")
    tests: Annotated[tuple[SoundnessTest, ...], Field(max_length=MAX_TESTS)] = ()
    silent_p: Annotated[Share, Field(lt=0.5)] | None = 0.35

    @field_validator("signals", "tests")
    @classmethod
    def _are_different(
        cls, values: tuple[str | SoundnessTest, ...]
    ) -> tuple[str | SoundnessTest, ...]:
        names = [v.name if isinstance(v, SoundnessTest) else v for v in values]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is there twice; name each once")
        return values


class Soundness:
    """Votes keep on what a signal needs, and softly drop on the rest.

    Signals: `must_keep` (the farm's rules), `guarded` (negations, conditions, modals),
    `json` (left out alone, the word makes a JSON text unreadable or false), `brackets`
    (its bracket's partner stands in another word), and the user's tests.

    Why it drops at all: a voter that keeps or abstains has specificity 0 wherever it
    speaks, so its votes are no evidence under any model of sensitivity and specificity,
    and where it is silent it says nothing. That no signal speaks is the evidence. Where
    strata are must-keep categories, `must_keep` alone says what the stratum says: such
    rules learn nothing from it, and mk_in_ref of labels made with it flatters.

    Source: the checks of `kompress.soundness`; as a voter: ours.
    """

    def __init__(self, params: SoundnessParams, snapshot: bytes | None) -> None:
        del snapshot  # nothing is fitted
        self._silent = np.nan if params.silent_p is None else params.silent_p
        self._signals: list[tuple[float, Signal]] = [
            (STRENGTHS[signal], _SIGNALS[signal]) for signal in params.signals
        ]
        self._signals += [
            (TEST_STRENGTH, _match(re.compile(test.pattern, re.MULTILINE)))
            for test in params.tests
        ]

    def p_keep(self, text: str) -> FloatArray:
        """Give (N,) P(keep) of a text's words, NaN where the voter abstains."""
        words = split_words(text)
        best_N = np.zeros(len(words))
        for strength, signal in self._signals:
            best_N = np.maximum(best_N, strength * signal(text, words))
        return np.where(best_N > 0, best_N, self._silent)


SOUNDNESS = deterministic_kind(
    KIND,
    SoundnessParams,
    Soundness,
    version=VERSION,
    rules=RULE_VERSIONS["farm"],
)


def _must_keep(text: str, _words: Sequence[Word]) -> BoolArray:
    return np.asarray(classify_words(word_list(text), "farm") != 0)


def _guarded(text: str, words: Sequence[Word]) -> BoolArray:
    return np.array([is_guarded(text[w.start : w.end]) for w in words], dtype=np.bool_)


def _json(text: str, words: Sequence[Word]) -> BoolArray:
    """Leave out each word of a JSON text in turn."""
    needed_N = np.zeros(len(words), dtype=np.bool_)
    if len(words) * len(text) > MAX_JSON_WORK or check_json(text, text) is None:
        return needed_N
    keep_N = np.ones(len(words), dtype=np.bool_)
    for number in range(len(words)):
        keep_N[number] = False
        needed_N[number] = check_json(text, join_kept(text, keep_N)) is False
        keep_N[number] = True
    return needed_N


def _brackets(text: str, words: Sequence[Word]) -> BoolArray:
    """Find words with a bracket whose partner stands in another word."""
    needed_N = np.zeros(len(words), dtype=np.bool_)
    open_: list[tuple[str, int]] = []
    for number, word in enumerate(words):
        for found in _BRACKETS.finditer(text, word.start, word.end):
            mark = found.group()
            if mark not in _PARTNERS:
                open_.append((mark, number))
            elif open_ and open_[-1][0] == _PARTNERS[mark]:
                _, partner = open_.pop()
                if partner != number:
                    needed_N[[partner, number]] = True
    return needed_N


def _match(pattern: re.Pattern[str]) -> Signal:
    """Make a signal of a user's test."""

    def signal(text: str, words: Sequence[Word]) -> BoolArray:
        needed_N = np.zeros(len(words), dtype=np.bool_)
        start_N = np.array([word.start for word in words])
        end_N = np.array([word.end for word in words])
        for found in pattern.finditer(text):
            if found.start() == found.end():
                continue
            first = np.searchsorted(end_N, found.start(), side="right")
            last = np.searchsorted(start_N, found.end(), side="left")
            needed_N[first:last] = True
        return needed_N

    return signal


_SIGNALS: dict[str, Signal] = {
    "must_keep": _must_keep,
    "guarded": _guarded,
    "json": _json,
    "brackets": _brackets,
}


def _may_explode(pattern: str) -> bool:
    """Say whether an endless repeat holds another one, or alternatives."""
    # Of each open group: whether it has an endless repeat or an alternative in it.
    groups = [False]
    for token in _TOKENS.finditer(pattern):
        mark = token.group()
        if mark == "(":
            groups.append(False)
        elif mark == ")" and len(groups) > 1:
            inner = groups.pop()
            if inner and _UNBOUNDED.match(pattern, token.end()):
                return True
            groups[-1] |= inner
        elif mark == "|" or _UNBOUNDED.fullmatch(mark):
            groups[-1] = True
    return False
