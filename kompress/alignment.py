"""Find the words of a text that a reference kept.

A reference that only deletes is a subsequence of its text's words and is aligned
exactly, by dynamic programming; one that rewrites is aligned by LLMLingua-2's windowed
fuzzy match. N = words of the text
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kompress.errors import InvalidConfig
from kompress.must_keep.classify import classify_words
from kompress.subsequence import embed, find_bounds
from kompress.types import PLAIN, BoolArray
from kompress.words import line_numbers, word_list

# Changes whenever any text and reference would be aligned differently.
ALIGNMENT_VERSION = "1"
WINDOW = 150  # words; the window of Pan et al.'s published data collection
MIN_BAG_CHARS = 3  # shorter words are always kept by the published rule
MAX_STEMMED_CHARS = 100  # a longer word is no word of a language
_ENDINGS = ("'s", "’s", "ings", "ing", "ies", "ied", "edly", "ed", "es", "ly", "s")
_MIN_STEM = 3


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which words of a text a reference kept, and how far that can be trusted.

    Attributes:
        keep_N: (N,) the text's words that the reference kept.
        variation_rate: share of the reference's words that the text does not have.
        hitting_rate: reference words that the text has / words of the text.
        matching_rate: share of the text's words that are kept.
        gap: hitting_rate - matching_rate, the alignment gap: words of the reference
            that the text has but that found no place.
        is_exact: the reference only deletes, and keep_N gives exactly its words.

    Source: Pan et al. 2024 (LLMLingua-2, arXiv 2403.12968), section 4.2; `is_exact`
    ours. The hitting rate counts words of the reference, as their code does.
    """

    keep_N: BoolArray
    variation_rate: float
    hitting_rate: float
    matching_rate: float
    gap: float
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class AlignmentFilter:
    """Which alignments are good enough to learn from; both bounds are inclusive."""

    max_variation_rate: float = 1.0
    max_gap: float = 1.0

    def refusal(self, alignment: Alignment) -> str:
        """Say why an alignment is not good enough, '' if it is."""
        if alignment.variation_rate > self.max_variation_rate:
            return (
                f"variation rate {alignment.variation_rate:.3f} is above "
                f"{self.max_variation_rate:.3f}: the reference has words that its text "
                "does not have; raise the bound, or ask for references that only delete"
            )
        if alignment.gap > self.max_gap:
            return (
                f"alignment gap {alignment.gap:.3f} is above {self.max_gap:.3f}: words "
                "of the reference found no place in the text; raise the bound, or ask "
                "for references that keep the order"
            )
        return ""


def align(text: str, reference: str) -> Alignment:
    """Label each word of a text: did the reference keep it?

    Where the reference's words are a subsequence of the text's, one of the embeddings
    is chosen: that of the least cost, where each two neighbouring words of the
    reference cost 1 if words were left out between them, and 2 if they share a line in
    the reference and not in the text, or the other way round (a reference of one line
    says nothing of lines); of several, the one with the earliest words. Elsewhere each
    word of the reference in turn takes the nearest free word that equals it but for
    case, edge punctuation and ending, forward before backward, less than `WINDOW`
    words from the last match.

    Args:
        text: the whole text, N words.
        reference: its shortened form; may be any string.

    Returns:
        The mask and the rates; all are 0 where they would be a share of nothing.

    Source: Pan et al. 2024, algorithm 1, for the windowed match, with stems for
    spaCy's lemmas; the exact alignment ours.
    """
    words, wanted = word_list(text), word_list(reference)
    bounds = find_bounds(words, wanted)
    if bounds is not None:
        lines = line_numbers(text).tolist()
        wanted_lines = line_numbers(reference).tolist()
        keep = embed(words, lines, wanted, wanted_lines, bounds)
        num_found = len(wanted)
    else:
        keys = [_stem(word) for word in words]
        wanted_keys = [_stem(word) for word in wanted]
        keep = _match_in_window(keys, wanted_keys)
        known = set(keys)
        num_found = sum(key in known for key in wanted_keys)
    keep_N = np.zeros(len(words), dtype=np.bool_)
    keep_N[keep] = True
    num_words = max(len(words), 1)
    return Alignment(
        keep_N=keep_N,
        variation_rate=1 - num_found / len(wanted) if wanted else 0.0,
        hitting_rate=num_found / num_words,
        matching_rate=len(keep) / num_words,
        gap=(num_found - len(keep)) / num_words,
        is_exact=bounds is not None,
    )


def find_variation_rate(text: str, reference: str) -> float:
    """Give the share of the reference's words that the text does not have.

    Args:
        text: the whole text.
        reference: its shortened form.

    Returns:
        In [0, 1], equal but for case, edge punctuation and ending; 0 without words.

    Source: Pan et al. 2024, section 4.2.
    """
    known = set(map(_stem, word_list(text)))
    wanted = word_list(reference)
    missing = sum(_stem(word) not in known for word in wanted)
    return missing / len(wanted) if wanted else 0.0


def fit_filter(
    alignments: Iterable[Alignment],
    *,
    worst_variation: float = 0.05,
    worst_gap: float = 0.10,
    max_variation_rate: float = 1.0,
    max_gap: float = 1.0,
) -> AlignmentFilter:
    """Find the bounds that leave out the worst of many alignments.

    The gap's share is of those that the variation rate left over. At most a share is
    left out: what ties with the worst that stays, stays, so that a source without
    rewriting loses nothing.

    Args:
        alignments: those of one source of references.
        worst_variation: share to leave out by variation rate, in [0, 1).
        worst_gap: share to leave out by alignment gap, in [0, 1).
        max_variation_rate: no bound is above this.
        max_gap: no bound is above this.

    Raises:
        InvalidConfig: a share is outside [0, 1).

    Source: Pan et al. 2024, section 4.3 (5 % by variation rate, 10 % by gap); ties and
    absolute bounds ours.
    """
    known = list(alignments)
    variation = _bound([a.variation_rate for a in known], worst_variation)
    left = [a.gap for a in known if a.variation_rate <= variation]
    gap = _bound(left, worst_gap)
    return AlignmentFilter(min(variation, max_variation_rate), min(gap, max_gap))


def bag_of_words(
    text: str, reference: str, *, rule_set: str = "kompress-r0"
) -> BoolArray:
    """Label words without alignment, as the published line did.

    A word is kept if its cleaned form (lower-cased, without punctuation around it) is
    in the reference's set of cleaned forms, is shorter than `MIN_BAG_CHARS`, or if the
    word is must-keep. It keeps every occurrence of what the reference has once.

    Args:
        text: the whole text, N words.
        reference: its shortened form.
        rule_set: whose must-keep words are kept.

    Returns:
        (N,) which words are kept.

    Raises:
        InvalidConfig: no rule set has this name.

    Source: the public trainers of the kompress line, which label sub-words so; on
    words, ours.
    """
    words = word_list(text)
    bag = set(map(_clean, word_list(reference)))
    caught_N = classify_words(words, rule_set) != PLAIN
    cleaned = [_clean(word) for word in words]
    in_bag = [word in bag or len(word) < MIN_BAG_CHARS for word in cleaned]
    keep_N: BoolArray = caught_N | np.array(in_bag, dtype=np.bool_)
    return keep_N


def _match_in_window(keys: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Match each wanted key with the nearest free one around the last match."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    taken: set[int] = set()
    last = 0
    for want in wanted:
        known = places.get(want)
        if known is None:
            continue
        found = _nearest_free(known, taken, last)
        if found is None:
            continue
        taken.add(found)
        # A far match may be chance; the window follows it half-way only.
        last = last + WINDOW // 2 if found - last > WINDOW // 2 else found
    return sorted(taken)


def _nearest_free(known: Sequence[int], taken: set[int], last: int) -> int | None:
    """Find the nearest free place less than `WINDOW` from the last match."""
    start = bisect_left(known, last)
    ahead = behind = None
    for place in known[start : start + WINDOW]:
        if place - last >= WINDOW:
            break
        if place not in taken:
            ahead = place
            break
    for place in reversed(known[max(start - WINDOW, 0) : start]):
        if last - place >= WINDOW:
            break
        if place not in taken:
            behind = place
            break
    if ahead is None or behind is None:
        return behind if ahead is None else ahead
    return ahead if ahead - last <= last - behind else behind


def _bound(values: list[float], share: float) -> float:
    """Give the greatest value that stays if at most `share` of them must go."""
    if not 0 <= share < 1:
        raise InvalidConfig(
            f"found {share} as the share of alignments to leave out; expected 0 or "
            "more and less than 1, for example 0.05"
        )
    if not values:
        return 1.0
    values = sorted(values)
    return values[len(values) - 1 - int(share * len(values))]


def _clean(word: str) -> str:
    """Lower a word and strip the punctuation around it; all punctuation stays."""
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return word[start:end].lower() or word


def _stem(word: str) -> str:
    """Give what words must have in common to be equal in a rewritten reference."""
    return _short_stem(word) if len(word) <= MAX_STEMMED_CHARS else word


@lru_cache(maxsize=65_536)
def _short_stem(word: str) -> str:
    """Cut an English ending off a plain word; nothing off what has other signs."""
    stem = _clean(word)
    if not stem.replace("'", "").replace("’", "").isalpha():
        return stem
    for ending in _ENDINGS:
        if stem.endswith(ending) and len(stem) - len(ending) >= _MIN_STEM:
            stem = stem[: -len(ending)] + ("y" if ending in ("ies", "ied") else "")
            break
    if len(stem) > _MIN_STEM and stem[-1] == stem[-2]:
        return stem[:-1]
    return stem[:-1] if len(stem) > _MIN_STEM and stem[-1] == "e" else stem
