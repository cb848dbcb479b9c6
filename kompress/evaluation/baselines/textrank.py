"""TextRank over words: a word matters if words that matter stand beside it.

N = words of one text, V = different terms of one text, E = directed edges
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidConfig
from kompress.evaluation.predictions import Progress
from kompress.metrics.keep_rate import keep_top
from kompress.types import BoolArray, FloatArray
from kompress.words import word_list

DAMPING = 0.85  # Mihalcea & Tarau 2004, section 2
WINDOW = 2  # their best: words that follow each other
# Theirs is 1e-4 on the score of a word; tighter, so that every machine ranks alike.
TOLERANCE = 1e-10
MAX_ITERATIONS = 1_000
NO_TERM = -1


class TextRank:
    """Scores words by PageRank on the graph of words that stand together.

    Terms are lower-cased words without the punctuation around them. Two terms share an
    edge, undirected and unweighted, if they stand within `window` words of each other.
    A term's score is its PageRank, divided by the text's highest.

    Differences from the paper: in place of nouns and adjectives, every word that holds
    a letter or digit is a term; no tagger knows tool outputs. Words stay where they
    are instead of being joined to key phrases.

    Source: Mihalcea & Tarau 2004 (TextRank, EMNLP), sections 2.1 and 3.1.
    """

    def __init__(self, *, window: int = WINDOW) -> None:
        """Set the window.

        Raises:
            InvalidConfig: the window is below 2, so that no words would meet.
        """
        if window < 2:
            raise InvalidConfig(
                f"TextRank's window is {window}; expected at least 2, a word and its "
                "neighbour; the paper tries 2 to 10"
            )
        self._window = window

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[FloatArray]:
        """Rank the words of each text among themselves.

        Args:
            texts: T texts.
            progress: called with the number of texts done so far.

        Returns:
            One (N,) array in [0, 1] a text; words without letter or digit get 0.

        Source: see the class.
        """
        scores = []
        for number, text in enumerate(texts, start=1):
            scores.append(_score(word_list(text), self._window))
            if progress is not None:
                progress(number)
        return scores

    def keep(
        self, texts: Sequence[str], scores: Sequence[FloatArray], keep_rate: float
    ) -> list[BoolArray]:
        """Keep the highest share of each text: the method has no rate of its own.

        Raises:
            InvalidConfig: the keep_rate lies outside [0, 1].
        """
        del texts
        return [keep_top(score_N, keep_rate) for score_N in scores]


def page_rank(
    from_E: NDArray[np.int64], to_E: NDArray[np.int64], num_terms: int
) -> FloatArray:
    """Give S(v) = (1 - d) + d * sum of S(u) / degree(u) over the neighbours u of v.

    Args:
        from_E: (E,) terms at one end of the edges, each edge in both directions.
        to_E: (E,) the terms at the other end.
        num_terms: V.

    Returns:
        (V,) scores, at least 1 - d; a term without neighbours has exactly that.

    Source: Mihalcea & Tarau 2004, equation in section 2; power iteration from 1.
    """
    degree_V = np.bincount(from_E, minlength=num_terms)
    share_V = 1.0 / np.maximum(degree_V, 1)
    score_V: FloatArray = np.ones(num_terms)
    for _ in range(MAX_ITERATIONS):
        given_E = (score_V * share_V)[from_E]
        sum_V: FloatArray = np.bincount(to_E, given_E, num_terms).astype(np.float64)
        new_V = 1 - DAMPING + DAMPING * sum_V
        moved = float(np.abs(new_V - score_V).max(initial=0.0))
        score_V = new_V
        if moved < TOLERANCE:
            break
    return score_V


def _score(words: list[str], window: int) -> FloatArray:
    term_N, num_terms = _number_terms(words)
    from_E, to_E = _edges(term_N, num_terms, window)
    score_V = page_rank(from_E, to_E, num_terms)
    score_N = np.zeros(len(words))
    is_term_N = term_N != NO_TERM
    # Rounded: two words of one rank must tie, whatever the order of a sum.
    score_N[is_term_N] = np.round(
        score_V[term_N[is_term_N]] / score_V.max(initial=1), 8
    )
    return score_N


def _number_terms(words: list[str]) -> tuple[NDArray[np.int64], int]:
    number_of: dict[str, int] = {}
    numbers = []
    for word in words:
        term = _term(word)
        numbers.append(number_of.setdefault(term, len(number_of)) if term else NO_TERM)
    return np.array(numbers, dtype=np.int64), len(number_of)


def _term(word: str) -> str:
    """Lower-case a word and cut what is no letter or digit off its ends."""
    places = [place for place, char in enumerate(word) if char.isalnum()]
    return word[places[0] : places[-1] + 1].lower() if places else ""


def _edges(
    term_N: NDArray[np.int64], num_terms: int, window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join terms within the window, each pair once in each direction."""
    found = [np.empty(0, dtype=np.int64)]
    for distance in range(1, window):
        left, right = term_N[:-distance], term_N[distance:]
        joined = (left != NO_TERM) & (right != NO_TERM) & (left != right)
        left, right = left[joined], right[joined]
        found += [left * num_terms + right, right * num_terms + left]
    pair_E = np.unique(np.concatenate(found))
    return pair_E // max(num_terms, 1), pair_E % max(num_terms, 1)
