"""LLMLingua-2's algorithm on a local encoder: the token head's P(keep) alone.

N = words of one text, T = tokens, C = chunks
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kompress.errors import InvalidConfig
from kompress.evaluation.predictions import Progress
from kompress.types import BoolArray, FloatArray
from kompress.words import split_words

# Texts are tokenised in groups, so that memory does not grow with the suite.
GROUP_TEXTS = 256
# What their code takes for the end of a chunk, besides the end of a line.
SENTENCE_END = "."

Heads = Callable[
    [NDArray[np.uint16], NDArray[np.int64]],
    tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]] | None],
]


class Tokens(Protocol):
    """Tokens of a word list, word after word."""

    @property
    def ids_T(self) -> NDArray[np.uint16]:
        """(T,) token ids."""
        ...

    @property
    def num_tokens_N(self) -> NDArray[np.int64]:
        """(N,) tokens of each word."""
        ...


class Tokenizer(Protocol):
    """Turns words into tokens; a student's tokenizer is one."""

    cls_id: int
    sep_id: int

    def encode(self, words: Sequence[str]) -> Tokens:
        """Tokenise words."""
        ...


class LLMLingua2:
    """Scores words by the mean P(keep) of their tokens.

    Texts are read in chunks of at most `max_tokens` tokens that end, if they can, at
    the end of a line or sentence. Within each chunk the words above the percentile of
    the wanted rate are kept.

    Differences from the paper: the encoder is a student's, trained on this farm's
    labels, not XLM-RoBERTa on GPT-4's; a word counts once in the percentile, not once
    for each token of a GPT tokenizer, since keep_rate is a share of words.

    Source: Pan et al. 2024 (LLMLingua-2, Findings of ACL), section 4.2 and footnote 2;
    chunks, percentile and `keep_digits` (their `force_reserve_digit`): their code.
    """

    def __init__(
        self,
        heads: Heads,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        keep_digits: bool = False,
    ) -> None:
        """Put the method together.

        Args:
            heads: token ids (T,) and tokens of each chunk (C,) -> P(keep) (T,) of the
                token head and the span head's answer, which is not looked at.
            tokenizer: the encoder's.
            max_tokens: tokens of a chunk with [CLS] and [SEP], at least 3.
            keep_digits: words with a digit get P(keep) 1.
        """
        self._heads = heads
        self._tokenizer = tokenizer
        self._room = max_tokens - 2
        self._keep_digits = keep_digits

    def score(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> list[FloatArray]:
        """Give each word the mean P(keep) of its tokens.

        Args:
            texts: T texts, of any length.
            progress: called with the number of texts done so far.

        Returns:
            One (N,) array in [0, 1] a text.

        Source: Pan et al. 2024, footnote 2.
        """
        scores: list[FloatArray] = []
        for first in range(0, len(texts), GROUP_TEXTS):
            scores += self._score(texts[first : first + GROUP_TEXTS])
            if progress is not None:
                progress(len(scores))
        return scores

    def keep(
        self, texts: Sequence[str], scores: Sequence[FloatArray], keep_rate: float
    ) -> list[BoolArray]:
        """Keep what lies above the percentile of each chunk, as the original does.

        The rate is met roughly: the percentile is rounded to whole percents and raised
        by one, and equal scores fall together.

        Raises:
            InvalidConfig: the keep_rate lies outside [0, 1].

        Source: Pan et al. 2024, their code.
        """
        if not 0 <= keep_rate <= 1:
            raise InvalidConfig(
                f"keep_rate is {keep_rate}; expected a share in [0, 1]; give 0.8 to "
                "keep four words of five"
            )
        percent = min(100, int(100 * (1 - keep_rate) + 1))
        masks = []
        for text, score_N in zip(texts, scores, strict=True):
            keep_N = np.zeros(len(score_N), dtype=np.bool_)
            num_tokens_N = self._encode(text)[1]
            for chunk in _chunks(text, num_tokens_N, self._room):
                threshold = np.percentile(score_N[chunk], percent)
                keep_N[chunk] = score_N[chunk] > threshold
                if threshold == 1:
                    keep_N[chunk] = score_N[chunk] == 1
            masks.append(keep_N)
        return masks

    def _score(self, texts: Sequence[str]) -> list[FloatArray]:
        """Run the encoder once over all chunks of some texts."""
        ids: list[NDArray[np.uint16]] = []
        word_T: list[NDArray[np.int64]] = []
        lengths: list[int] = []
        sizes = []
        cls_id, sep_id = ([self._tokenizer.cls_id], [self._tokenizer.sep_id])
        first_word = 0
        for text in texts:
            ids_T, num_tokens_N = self._encode(text)
            bound_N = np.concatenate(([0], np.cumsum(num_tokens_N)))
            word_of_T = np.repeat(np.arange(len(num_tokens_N)), num_tokens_N)
            for chunk in _chunks(text, num_tokens_N, self._room):
                begin = int(bound_N[chunk.start])
                # A word longer than a chunk is judged by its first tokens.
                end = min(int(bound_N[chunk.stop]), begin + self._room)
                ids += [np.array(cls_id), ids_T[begin:end], np.array(sep_id)]
                inner_T = first_word + word_of_T[begin:end]
                word_T += [np.array([-1]), inner_T, np.array([-1])]
                lengths.append(end - begin + 2)
            sizes.append(len(num_tokens_N))
            first_word += len(num_tokens_N)
        p_N = self._mean_by_word(ids, word_T, lengths, first_word)
        parts = np.split(p_N, np.cumsum(sizes)[:-1])
        return [self._force(text, p_N) for text, p_N in zip(texts, parts, strict=True)]

    def _mean_by_word(
        self,
        ids: list[NDArray[np.uint16]],
        word_T: list[NDArray[np.int64]],
        lengths: list[int],
        num_words: int,
    ) -> FloatArray:
        if not lengths:
            return np.zeros(num_words)
        p_T, _ = self._heads(
            np.concatenate(ids).astype(np.uint16), np.array(lengths, dtype=np.int64)
        )
        of_T = np.concatenate(word_T)
        inner_T = of_T >= 0
        values_T = np.asarray(p_T, dtype=np.float64)[inner_T]
        sums_N = np.bincount(of_T[inner_T], values_T, num_words)
        counts_N = np.bincount(of_T[inner_T], minlength=num_words)
        mean_N: FloatArray = np.clip(sums_N / counts_N, 0.0, 1.0)
        return mean_N

    def _force(self, text: str, p_N: FloatArray) -> FloatArray:
        if not self._keep_digits:
            return p_N
        has_digit = [any(char.isdigit() for char in word) for word in text.split()]
        return np.where(np.array(has_digit, dtype=np.bool_), 1.0, p_N)

    def _encode(self, text: str) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        tokens = self._tokenizer.encode(text.split())
        return tokens.ids_T, tokens.num_tokens_N


def _chunks(text: str, num_tokens_N: NDArray[np.int64], room: int) -> Iterator[slice]:
    """Cut a text's words where a line or sentence ends, at `room` tokens at most."""
    words = split_words(text)
    ends_N = [
        text[word.start : word.end].endswith(SENTENCE_END)
        or "\n" in text[word.end : after.start]
        for word, after in pairwise(words)
    ]
    bound_N = np.concatenate(([0], np.cumsum(num_tokens_N)))
    first = 0
    while first < len(words):
        fits = int(np.searchsorted(bound_N, bound_N[first] + room, side="right")) - 1
        last = max(fits, first + 1)
        if last < len(words):
            stops = (n + 1 for n in range(last - 1, first - 1, -1) if ends_N[n])
            last = next(stops, last)
        yield slice(first, last)
        first = last
