"""A suite prepared once for any number of keep masks: one flat array over all words.

N = words of one text, W = words of the suite, T = texts, S = strata, Q = questions
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidSuite, InvalidVotes
from kompress.evaluation.suites import Suite, SuiteText
from kompress.must_keep.bulk import classify_texts
from kompress.types import (
    ABSTAIN,
    KEEPS_FROM,
    OTHER,
    PLAIN,
    STRATA,
    BoolArray,
    CodeArray,
    FloatArray,
    Gold,
)
from kompress.words import word_list

G = TypeVar("G", bound=np.generic)
# Words of one or more texts -> (N,) tokens of each word. White space is not counted: a
# tokenizer that folds the space into the next word is given " " + word.
CountTokens = Callable[[Sequence[str]], NDArray[np.integer[Any]]]
# A text's number, and flat numbers of some of its words, ascending.
Words = tuple[int, NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class PreparedSuite:
    """What is true of a suite's words, whatever a student keeps.

    Attributes:
        name: the suite's.
        texts: its T texts.
        group_ids: T groups; a text without one is its own.
        end_T: (T,) where each text's words end in the flat arrays.
        text_W: (W,) number of each word's text.
        stratum_W: (W,) `farm` strata; words only the measuring set catches are `other`.
        must_W: (W,) must-keep words of the measuring rule set.
        override_W: (W,) must-keep words of the override's rule set.
        known_W: (W,) words with known gold.
        truth_W: (W,) gold says keep; False where unknown.
        questions: the words that answer each question.
        facts: the words of each planted fact.
        tokens_W: (W,) tokens of each word, None where no tokenizer was given.
    """

    name: str
    texts: tuple[SuiteText, ...]
    group_ids: tuple[str, ...]
    end_T: NDArray[np.int64]
    text_W: NDArray[np.int64]
    stratum_W: NDArray[np.int64]
    must_W: BoolArray
    override_W: BoolArray
    known_W: BoolArray
    truth_W: BoolArray
    questions: tuple[Words, ...]
    facts: tuple[Words, ...] = ()
    tokens_W: NDArray[np.int64] | None = None

    @property
    def num_texts(self) -> int:
        """Texts of the suite."""
        return len(self.texts)

    def split(self, flat_W: NDArray[G]) -> list[NDArray[G]]:
        """Cut a flat array back into one array a text."""
        return np.split(flat_W, self.end_T[:-1])

    def by_text(self, mask_W: BoolArray) -> FloatArray:
        """Count a mask's words: (T,)."""
        counts_T = np.bincount(self.text_W[mask_W], minlength=self.num_texts)
        return counts_T.astype(np.float64)

    def tokens_by_text(self, mask_W: BoolArray) -> FloatArray:
        """Count a mask's tokens: (T,), all 0 where no tokenizer was given."""
        if self.tokens_W is None:
            return np.zeros(self.num_texts)
        return np.bincount(
            self.text_W[mask_W],
            weights=self.tokens_W[mask_W],
            minlength=self.num_texts,
        ).astype(np.float64)

    def by_stratum(self, mask_W: BoolArray) -> NDArray[np.int64]:
        """Count a mask's words by stratum: (S,)."""
        return np.bincount(self.stratum_W[mask_W], minlength=len(STRATA))


def prepare(
    suite: Suite,
    *,
    rule_set: str,
    override: str,
    count_tokens: CountTokens | None = None,
) -> PreparedSuite:
    """Classify a suite's words once.

    Args:
        suite: texts, at least one.
        rule_set: names the must-keep words to measure on.
        override: names the must-keep words that the override keeps.
        count_tokens: gives each word's number of tokens; None leaves tokens out.

    Raises:
        InvalidSuite: the suite is empty, or gold does not fit its text.
        InvalidVotes: count_tokens did not give one number >= 0 a word.

    Source: design §1 "Exactly".
    """
    if not suite.texts:
        raise InvalidSuite(
            f"suite {suite.name!r} has no texts; expected at least one; add held-out "
            "documents or leave the suite out of `evaluation.suites`"
        )
    parts = _read_texts(suite.texts, rule_set, override)
    sizes_T = np.array([len(part[0]) for part in parts])
    end_T = np.cumsum(sizes_T)
    questions, facts = _place_facts(suite.texts, end_T - sizes_T)
    farm_W, must_W, override_W, known_W, truth_W = (
        np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    return PreparedSuite(
        name=suite.name,
        texts=suite.texts,
        group_ids=tuple(text.group_id or text.sha256 for text in suite.texts),
        end_T=end_T,
        text_W=np.repeat(np.arange(len(parts)), sizes_T),
        stratum_W=np.where(must_W & (farm_W == PLAIN), OTHER, farm_W).astype(np.int64),
        must_W=must_W,
        override_W=override_W,
        known_W=known_W,
        truth_W=truth_W,
        questions=questions,
        facts=facts,
        tokens_W=None if count_tokens is None else _tokens(suite.texts, count_tokens),
    )


def _read_texts(
    texts: Sequence[SuiteText], rule_set: str, override: str
) -> list[tuple[CodeArray, BoolArray, BoolArray, BoolArray, BoolArray]]:
    """Give each text's strata, must-keep words, override, known gold and truth."""
    contents = [text.text for text in texts]
    codes = {n: classify_texts(contents, n) for n in {"farm", rule_set, override}}
    return [
        (farm_N, must_N != PLAIN, override_N != PLAIN, *_read_gold(text, len(farm_N)))
        for text, farm_N, must_N, override_N in zip(
            texts, codes["farm"], codes[rule_set], codes[override], strict=True
        )
    ]


def _place_facts(
    texts: Sequence[SuiteText], start_T: NDArray[np.int64]
) -> tuple[tuple[Words, ...], tuple[Words, ...]]:
    """Give the flat words of each question's facts, and of each fact."""
    questions, facts = [], []
    for index, (text, start) in enumerate(zip(texts, start_T, strict=True)):
        planted = _fact_words(text.gold)
        facts += [(index, start + words) for words in planted]
        if planted and text.gold is not None and text.gold.question:
            questions.append((index, start + np.unique(np.concatenate(planted))))
    return tuple(questions), tuple(facts)


def _read_gold(text: SuiteText, num_words: int) -> tuple[BoolArray, BoolArray]:
    """Give which words have known gold, and which of them it keeps."""
    if text.gold is None:
        nothing_N = np.zeros(num_words, dtype=np.bool_)
        return nothing_N, nothing_N
    codes_N = _checked_codes(text, text.gold, num_words)
    known_N = codes_N != ABSTAIN
    return known_N, known_N & (codes_N >= KEEPS_FROM)


def _checked_codes(text: SuiteText, gold: Gold, num_words: int) -> CodeArray:
    """Give the gold codes if gold and facts fit the text."""
    last = max((w for fact in gold.facts for w in fact.words), default=-1)
    first = min((w for fact in gold.facts for w in fact.words), default=0)
    if len(gold.codes_N) != num_words or last >= num_words or first < 0:
        raise InvalidSuite(
            f"gold {gold.origin!r} of text {text.sha256[:12]} has "
            f"{len(gold.codes_N)} codes and facts on words {first} to {last}; expected "
            f"the text's {num_words} words; make the gold again with this word splitter"
        )
    return gold.codes_N


def _fact_words(gold: Gold | None) -> list[NDArray[np.int64]]:
    """Give the words of each planted fact that has any."""
    facts = () if gold is None else gold.facts
    return [np.array(fact.words, dtype=np.int64) for fact in facts if fact.words]


def _tokens(texts: Sequence[SuiteText], count_tokens: CountTokens) -> NDArray[np.int64]:
    words = [word for text in texts for word in word_list(text.text)]
    tokens_W = np.asarray(count_tokens(words))
    if tokens_W.shape != (len(words),) or (tokens_W < 0).any():
        raise InvalidVotes(
            f"count_tokens gave an array of shape {tokens_W.shape} for {len(words)} "
            "words; expected the number of tokens of each word, at least 0"
        )
    return tokens_W.astype(np.int64)
