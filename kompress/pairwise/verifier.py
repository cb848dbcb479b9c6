"""What may win, whatever the judges say: soundness that can be checked.

Selection needs a signal from outside the votes. Checks look at a text and a reference
and say why the reference must not stand for it, or nothing. A user's own check is one
more entry of the mapping that `verify` is given, or of `CHECKS`, which the farm uses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kompress.config import RuleSet
from kompress.labels import count_must_keep
from kompress.must_keep.classify import classify_words
from kompress.soundness import check_json, check_lines
from kompress.subsequence import find_bounds
from kompress.types import Candidate
from kompress.words import word_list

# Changes whenever any reference would be judged differently.
VERIFIER_VERSION = "1"
# (text, reference) -> why it must not win, '' if nothing speaks against it.
Check = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a winner may keep and lose.

    Attributes:
        max_keep_rate: the largest share of the text's words, in [0, 1].
        min_must_keep: the least share of its must-keep words, in [0, 1].
        rule_set: whose must-keep words.
    """

    max_keep_rate: float = 0.9
    min_must_keep: float = 0.4
    rule_set: RuleSet = "farm"


def check_delete_only(text: str, reference: str) -> str:
    """Refuse a reference whose words are not the text's, in order, some left out.

    Args:
        text: the whole text.
        reference: its shortened form.
    """
    if find_bounds(word_list(text), word_list(reference)) is not None:
        return ""
    return "its words are not words of the text in order: it rewrites"


def check_structure(text: str, reference: str) -> str:
    """Refuse a reference that merges, reorders or invents lines.

    Args:
        text: the whole text.
        reference: its shortened form.

    Source: `kompress.soundness.check_lines`.
    """
    if check_lines(text, reference):
        return ""
    return "a line of it is not what is left of one line of the text"


def check_still_json(text: str, reference: str) -> str:
    """Refuse what no longer parses, or parses and lies, where the text is JSON.

    Args:
        text: the whole text.
        reference: its shortened form.

    Source: `kompress.soundness.check_json`.
    """
    if check_json(text, reference) is False:
        return "the text is JSON and it is not, or says what the text does not"
    return ""


CHECKS: dict[str, Check] = {
    "delete_only": check_delete_only,
    "lines": check_structure,
    "json": check_still_json,
}


def verify(
    text: str,
    candidate: Candidate,
    limits: Limits | None = None,
    *,
    checks: Mapping[str, Check] | None = None,
) -> dict[str, str]:
    """Say what speaks against a reference: nothing does if it may win.

    Args:
        text: the whole text.
        candidate: the reference; its mask, where it has one, decides what it keeps.
        limits: bounds of `keep_rate` and `must_keep`; the defaults if None.
        checks: by name; `CHECKS` if None. One that raises is a reason against the
            reference that names the error: what cannot be checked is not sound.

    Returns:
        Reasons by the name of the check, in words; empty if it is sound.

    Source: selection by an external signal: ours, after the issue of self-consistency
    without one (Huang et al. 2023, arXiv 2310.01798).
    """
    found = _check_limits(text, candidate, limits or Limits())
    for name, check in (CHECKS if checks is None else checks).items():
        try:
            reason = check(text, candidate.reference)
        except Exception as error:  # noqa: BLE001  # a user's code: told, not hidden
            reason = f"the check failed: {type(error).__name__}: {error}"
        if reason:
            found[name] = reason
    return found


def _check_limits(text: str, candidate: Candidate, limits: Limits) -> dict[str, str]:
    """Hold what is kept against the limits."""
    found = {}
    words = word_list(text)
    if candidate.keep_N is None:
        num_kept = len(word_list(candidate.reference))
        counts = count_must_keep(text, candidate.reference, limits.rule_set)
        num_must, num_survived = counts["all"]
    else:
        num_kept = int(candidate.keep_N.sum())
        must_N = classify_words(words, limits.rule_set) != 0
        num_must = int(must_N.sum())
        num_survived = int((must_N & candidate.keep_N).sum())
    if not num_kept or num_kept > limits.max_keep_rate * len(words):
        found["keep_rate"] = (
            f"it keeps {num_kept} of {len(words)} words; expected some, and at most "
            f"a share of {limits.max_keep_rate:g}"
        )
    if num_survived < limits.min_must_keep * num_must:
        found["must_keep"] = (
            f"{num_survived} of {num_must} must-keep words survive; expected at least "
            f"a share of {limits.min_must_keep:g}"
        )
    return found
