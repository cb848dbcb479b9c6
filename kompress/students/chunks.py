"""Cut word lists into the chunks that a student reads, as the deployed client cuts.

A chunk is at most 350 words and `max_tokens` tokens. Where the tokens run out, the
model still sees the first tokens of the word that was cut, but that word is scored
with the next chunk, so every word is scored exactly once.

N = words of all texts, T = tokens of all chunks, C = chunks
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.students.tokenizer import WordTokenizer

CHUNK_WORDS = 350
UNSCORED = -1


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of some texts, laid end to end.

    Attributes:
        ids_T: (T,) token ids, [CLS] and [SEP] of every chunk included.
        word_T: (T,) which word a token scores, counted over all texts; -1 for special
            tokens and for the head of a word that the cut left to the next chunk.
        end_C: (C,) where each chunk ends in `ids_T`.
        text_C: (C,) which text a chunk belongs to.
        num_words: words of each text.
    """

    ids_T: NDArray[np.uint16]
    word_T: NDArray[np.int64]
    end_C: NDArray[np.int64]
    text_C: NDArray[np.int64]
    num_words: tuple[int, ...]

    @property
    def num_tokens_C(self) -> NDArray[np.int64]:
        """(C,) tokens of each chunk."""
        return np.diff(self.end_C, prepend=0)

    def parts(self, max_tokens: int) -> Iterator["Chunks"]:
        """Give runs of whole chunks, in order.

        Args:
            max_tokens: of a run, which has one chunk at least.
        """
        first = 0
        while first < len(self.end_C):
            begin = int(self.end_C[first - 1]) if first else 0
            fitting = np.searchsorted(self.end_C, begin + max_tokens, side="right")
            last = max(int(fitting), first + 1)
            end = int(self.end_C[last - 1])
            yield Chunks(
                ids_T=self.ids_T[begin:end],
                word_T=self.word_T[begin:end],
                end_C=self.end_C[first:last] - begin,
                text_C=self.text_C[first:last],
                num_words=self.num_words,
            )
            first = last


def cut_chunks(
    texts: Sequence[Sequence[str]], tokenizer: WordTokenizer, max_tokens: int
) -> Chunks:
    """Tokenise texts once and cut them into chunks.

    Args:
        texts: the words of each text.
        tokenizer: the student's.
        max_tokens: tokens of a chunk with [CLS] and [SEP], at least 3.

    Returns:
        The chunks in the order of the texts; a text without words has none.

    Source: headroom 0.42.0's chunk loop; a word that fills a chunk alone is scored
    by its first tokens, where the client keeps it unscored: ours.
    """
    tokens = tokenizer.encode([word for words in texts for word in words])
    bound_N = np.concatenate(([0], np.cumsum(tokens.num_tokens_N)))
    word_of_T = np.repeat(np.arange(len(tokens.num_tokens_N)), tokens.num_tokens_N)
    cls_id = np.array([tokenizer.cls_id], dtype=np.uint16)
    sep_id = np.array([tokenizer.sep_id], dtype=np.uint16)
    unscored = np.array([UNSCORED])
    ids: list[NDArray[np.uint16]] = []
    words_seen: list[NDArray[np.int64]] = []
    text_C: list[int] = []
    first = 0
    for number, words in enumerate(texts):
        last = first + len(words)
        while first < last:
            begin, end, after = _next_chunk(bound_N, first, last, max_tokens)
            word_T = word_of_T[begin:end]
            ids += [cls_id, tokens.ids_T[begin:end], sep_id]
            words_seen += [
                unscored,
                np.where(word_T < after, word_T, UNSCORED),
                unscored,
            ]
            text_C.append(number)
            first = after
    lengths = [len(part) for part in ids]
    return Chunks(
        ids_T=np.concatenate(ids) if ids else np.empty(0, np.uint16),
        word_T=np.concatenate(words_seen) if ids else np.empty(0, np.int64),
        end_C=np.cumsum(lengths, dtype=np.int64)[2::3],
        text_C=np.array(text_C, dtype=np.int64),
        num_words=tuple(len(words) for words in texts),
    )


def _next_chunk(
    bound_N: NDArray[np.int64], first: int, last: int, max_tokens: int
) -> tuple[int, int, int]:
    """Give the token range that a chunk shows, and the word after its last scored."""
    after = min(first + CHUNK_WORDS, last)
    begin, end = int(bound_N[first]), int(bound_N[after])
    room = max_tokens - 2
    # The client takes a chunk that exactly fills the window for a cut one.
    if end - begin >= room:
        end = begin + min(end - begin, room)
        cut_word = int(np.searchsorted(bound_N, end - 1, side="right")) - 1
        after = max(cut_word, first + 1)
    return begin, end, after
