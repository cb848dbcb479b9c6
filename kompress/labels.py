"""Count which must-keep words survive in a reference or under a keep mask.

N = words, S = strata
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidConfig, InvalidVotes
from kompress.must_keep.classify import (
    PUBLISHED,
    MustKeep,
    check_rule_set,
    find_must_keep,
)
from kompress.types import CATEGORIES, STRATA, BoolArray, CodeArray
from kompress.words import word_list

Counts = dict[str, tuple[int, int]]


def count_must_keep(
    text: str,
    reference: str,
    rule_set: str = "farm",
    definition: str = "multiset",
) -> Counts:
    """Count a text's must-keep words and those that survive in a reference.

    Args:
        text: the whole text.
        reference: its shortened form; may be any string.
        rule_set: a key of `kompress.must_keep.RULE_VERSIONS`.
        definition: `multiset`: each must-keep word of the text uses up one equal word
            of the reference. `substring`: each occurrence of the rule's expression
            counts if it is found anywhere in the reference; this flatters and serves
            comparison with published tables only. `farm` names words, so there its
            occurrences are its words.

    Returns:
        (total, kept) by category, `other` unless the rule set is `farm`, and `all`.

    Raises:
        InvalidConfig: unknown rule set or definition.

    Source: `multiset` ours (design §1); `substring` the published mk_in_ref.
    """
    check_rule_set(rule_set)
    found = find_must_keep(text, rule_set)
    words = [(text[item.start : item.end], item.category) for item in found]
    if definition == "multiset":
        total, kept = _count_multiset(words, reference)
    elif definition == "substring":
        if rule_set != "farm":
            words = _occurrences(text, found, rule_set)
        total = Counter(category for _, category in words)
        kept = Counter(category for part, category in words if part in reference)
    else:
        raise InvalidConfig(
            f"found definition {definition!r}; expected 'multiset' or 'substring'"
        )
    names = CATEGORIES if rule_set == "farm" else (*CATEGORIES, "other")
    counts = {name: (total[name], kept[name]) for name in names}
    counts["all"] = (total.total(), kept.total())
    return counts


def count_mask(
    codes_N: CodeArray, keep_N: BoolArray
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count words and kept words of each stratum under a keep mask.

    Args:
        codes_N: (N,) strata, places in `kompress.types.STRATA`.
        keep_N: (N,) which words are kept.

    Returns:
        Two (S,) arrays in `STRATA` order: words, kept words.

    Raises:
        InvalidVotes: the arrays differ in length, or a code is not a stratum's.

    Source: ours (design §1: for a keep mask, survival is the mask).
    """
    codes_N = np.asarray(codes_N)
    keep_N = np.asarray(keep_N, dtype=np.bool_)
    if codes_N.ndim != 1 or codes_N.shape != keep_N.shape:
        raise InvalidVotes(
            f"codes have shape {codes_N.shape}, the mask {keep_N.shape}; "
            "expected one of each for every word"
        )
    if codes_N.size and codes_N.max() >= len(STRATA):
        raise InvalidVotes(
            f"found stratum code {codes_N.max()}; expected 0..{len(STRATA) - 1}; "
            "take codes from kompress.must_keep.classify_words"
        )
    words_S = np.bincount(codes_N, minlength=len(STRATA))
    kept_S = np.bincount(codes_N[keep_N], minlength=len(STRATA))
    return words_S.astype(np.int64), kept_S.astype(np.int64)


def _count_multiset(
    words: list[tuple[str, str]], reference: str
) -> tuple[Counter[str], Counter[str]]:
    """Match (word, category) pairs with the reference's words, each used once."""
    left = Counter(word_list(reference))
    total: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for word, category in words:
        total[category] += 1
        if left[word] > 0:
            left[word] -= 1
            kept[category] += 1
    return total, kept


def _occurrences(
    text: str, found: list[MustKeep], rule_set: str
) -> list[tuple[str, str]]:
    """List what the rule's expression matches, each with its word's category."""
    search = PUBLISHED[rule_set].finditer
    return [
        (match.group(), item.category)
        for item in found
        for match in search(text[item.start : item.end])
    ]
