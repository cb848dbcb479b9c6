r"""Lines that say failure: by the words of tools, and by the shape of tracebacks.

The lexicon is frozen under a version, for a figure counts what it finds
(`error_lines_lost`): a changed pattern is a new version. L = lines
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kompress.lines.templates import TIME, strip_escapes, to_series
from kompress.types import BoolArray

LEXICON_VERSION = 1
# What a runner writes before each line: job and step between tabs, a time.
_PREFIX = rf"^(?:[^\t]{{1,80}}\t[^\t]{{1,80}}\t)?\x{{feff}}?(?:\[?(?:{TIME})\]?\s?)?"
# Failures as tools write them, by kind of tool. No look-around: Rust's engine has none.
LEXICON: dict[str, str] = {
    "any": (
        r"(?i:\b(?:error|fatal|fatal error|failure|critical)(?:\[\w+\])?(?::|!| -))"
        r"|^\s*(?:\[\s*)?(?:ERROR|FATAL|FAILURE|SEVERE|CRITICAL)\b"
        r"|##\[error\]|^::error\b"
    ),
    "exception": (
        r"\b\w*(?:Error|Exception|Panic|Failure)(?::|\(|\s*$)"
        r"|Traceback \(most recent call last\)|^Exception in |^\s*Caused by: "
        r"|\bpanicked at\b|^\s*panic: |\bgoroutine \d+ \[|\bUnhandled\b.*\brejection\b"
        r"|(?i:segmentation fault|core dumped|stack overflow|out of memory)"
    ),
    "test runner": (
        r"\b(?:FAIL|FAILED|FAILURES|ERRORS)\b|^\s*(?:✕|✖|✗|×|●|not ok \d)"
        r"|<<< (?:ERROR|FAILURE)!|--- FAIL:|^E\s{2,}\S"
        r"|(?i:\b[1-9]\d* (?:failed|failing|failures?|errors?)\b)"
        r"|(?i:\b(?:failures|errors|failed): *[1-9])"
        r"|(?i:\bassert(?:ion)?\w* (?:failed|error)|\btests? failed\b|\btest failure)"
    ),
    "compiler": (
        r"(?i:\berror(?: [A-Z]+\d+|\[E\d+\])?:)|\berror (?:TS|CS|C|LNK|MSB)\d+"
        r"|(?i:\bcannot find symbol\b|\bcompilation (?:failed|error))"
        r"|undefined reference to|could not compile|class file has wrong version"
    ),
    "package manager": (
        r"npm ERR!|ERR_PNPM|\bERR!|BUILD (?:FAILED|FAILURE|ERROR)"
        r"|(?i:could not (?:resolve|find|transfer|download|install))"
        r"|(?i:failed to (?:execute|download|fetch|resolve|build|install|load))"
        r"|(?i:failed to (?:solve|run|start))"
        r"|No matching distribution|\bunmet\b"
    ),
    "linter": r"\b\d+:\d+\s+error\b|(?i:\b[1-9]\d* (?:problems|vulnerabilit))",
    "shell": (
        r"(?i:\bexit(?:ed)?(?: with)?(?: the)?(?: exit)? (?:code|status):? *[1-9])"
        r"|(?i:\b(?:returned|non-?zero)(?: a)?(?: non-zero)?(?: exit)? (?:code|status))"
        r"|(?i:command not found|no such file or directory|permission denied)"
        r"|(?i:connection (?:refused|reset|timed out)|\btimed? ?out\b)"
        r"|(?i:^\s*\S*fatal: |\bkilled\b|\baborted\b|access denied)"
        r"|(?i:marked build as failure)"
    ),
}
# Counts of nothing, and names that only contain the words.
_HARMLESS = (
    r"(?i:\b(?:0|no|zero) (?:errors?|failures?|failed|warnings?)\b)"
    r"|(?i:\b(?:errors?|failures?|failed)\s*[:=]\s*(?:0|false|none)\b)"
    r"|(?i:continue-on-error|fail-fast|if-no-files-found: error|ignore[-_ ]errors)"
)
# A word that hints, without the shape of a message.
_HINT = (
    r"(?i:error|fail|fatal|exception|panic|abort|unable to|cannot|can't|could not"
    r"|couldn't|denied|refused|timeout|timed out|invalid|unexpected|missing|conflict"
    r"|mismatch|not found|undefined|unresolved|expected|incompatible|wrong"
    r"|\bassert|unsupported|violat|broken|reject|exit code|crash|killed)"
)
# Has every line that the lexicon or a hint matches: only these are looked at closely.
_GATE = (
    rf"{_HINT}|(?i:\berr|severe|critical|caused|core dumped|overflow|out of memory"
    r"|goroutine|unmet|problems|vulnerab|matching dist|reset|non-?zero|returned"
    r"|exited|status|traceback)|✕|✖|✗|×|●|not ok|^E\s|::"
)
# One call of a stack, and what stands between calls.
_FRAME = (
    r'^\s+at .*[)\d\]]\s*$|^\s+at \S+|^\s*File ".*", line \d+|^\s*\.\.\. \d+ more'
    r"|^\s*Caused by: |^\s*Suppressed: |^\s+\d+: .*::|^\S+\.go:\d+ \+0x"
    r"|^\s+from .*:\d+:in |^\S+\.py:\d+: |^\s*-+> .*:\d+:\d+|^#\d+\s+0x"
)
_ASCII = (
    (r"\b", r"(?-u:\b)"),
    (r"[\w", "[A-Za-z0-9_"),
    (r"\w", "[A-Za-z0-9_]"),
    (r"[)\d", "[)0-9"),
    (r"\d", "[0-9]"),
)
_MAX_BETWEEN = 3  # lines between two calls: the source that a traceback quotes


@dataclass(frozen=True, slots=True)
class Failures:
    """What each line says about failure.

    Attributes:
        says_L: (L,) matches the frozen lexicon.
        hints_L: (L,) has a word of failure, in any shape.
        traceback_L: (L,) is part of a traceback, its head and its message included.
    """

    says_L: BoolArray
    hints_L: BoolArray
    traceback_L: BoolArray


def strip_prefix(contents: Sequence[str]) -> pl.Series:
    """Give lines without escapes, and without what a runner writes before each."""
    lines = strip_escapes(to_series(contents))
    return lines.str.replace(_PREFIX, "").str.strip_chars_end()


def find_failures(bare: pl.Series) -> Failures:
    """Find failures in the lines of one text.

    Args:
        bare: L lines, from `strip_prefix`.

    Source: ours; the words are those of the tools' own messages.
    """
    near_L = _matches(bare, _GATE)
    serious = bare.filter(pl.Series(near_L)).str.replace_all(_HARMLESS, "")
    says_L, hints_L = np.zeros(len(bare), bool), np.zeros(len(bare), bool)
    says_L[near_L] = _matches(serious, "|".join(LEXICON.values()))
    hints_L[near_L] = _matches(serious, _HINT)
    return Failures(
        says_L=says_L,
        hints_L=says_L | hints_L,
        traceback_L=_join_frames(_matches(bare, _FRAME)),
    )


def kinds_of_failure(line: str) -> list[str]:
    """Name the kinds of tools whose words a line has, in the lexicon's order."""
    bare = strip_prefix([line]).str.replace_all(_HARMLESS, "")
    return [kind for kind, words in LEXICON.items() if _matches(bare, words)[0]]


def distance_to(marked_L: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give how many lines ago the last mark was, and in how many the next is.

    Args:
        marked_L: (L,) lines.

    Returns:
        Two arrays (L,), 0 at a mark itself, L where there is none on that side.
    """
    num_lines = len(marked_L)
    place_L = np.arange(num_lines)
    last_L = np.maximum.accumulate(np.where(marked_L, place_L, -num_lines))
    next_L = np.minimum.accumulate(np.where(marked_L, place_L, 2 * num_lines)[::-1])
    back_L = np.minimum(place_L - last_L, num_lines)
    return back_L, np.minimum(next_L[::-1] - place_L, num_lines)


def _join_frames(frame_L: BoolArray) -> BoolArray:
    """Give whole tracebacks: calls close to each other, the line before and after."""
    back_L, ahead_L = distance_to(frame_L)
    between_L = back_L + ahead_L <= _MAX_BETWEEN + 1
    whole_L: BoolArray = between_L | (ahead_L == 1) | (back_L == 1)
    return whole_L


def _matches(lines: pl.Series, pattern: str) -> BoolArray:
    """Tell which lines match, classes and word ends taken as ASCII's: twice as fast."""
    for short, ascii_only in _ASCII:
        pattern = pattern.replace(short, ascii_only)
    found_L: BoolArray = lines.str.contains(pattern).to_numpy().astype(bool)
    return found_L
