"""One letter a word: K to keep it, D to drop it, in one pass over the text.

With forced tokens and log-probabilities an answer is P(keep) of every word, for about
one output token a word. N = words of the text
"""

from typing import Any

import numpy as np

from kompress.errors import VoteFailed
from kompress.teachers.chunks import Chunk, number_words
from kompress.teachers.prompt import CRITERIA, DATA_NOTE, delimit, prompt_hash
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Capabilities, Request, Sample
from kompress.types import BoolArray, FloatArray
from kompress.words import WORD_VERSION, word_list

NAME = "word_votes"
# Changes whenever any prompt, or any vote read in an answer, would.
VERSION = "1"
KEEP, DROP = "K", "D"
CHOICES = (KEEP, DROP)

_SYSTEM = (
    "{criterion} {note} {numbers} "
    "Answer one letter for each word, in order: K to keep it, D to drop it."
)
_NUMBERS = "Every {every}th word has its number before it."
_ALL_NUMBERS = "Each word has its number before it."
_LAST = "{num_words} words, {num_words} letters:"
# A free answer may have a space or a line end after each letter, and these besides.
_SPARE_TOKENS = 16


class WordVotes:
    """Asks for one letter a word.

    Falls back by what the engine can do: without log-probabilities P(keep) is counted
    over samples of forced letters; without forced tokens over free answers, of which
    one that is not exactly N letters is left out, and fails the text if none is left.

    Source: numbered words against drift, ours; forced one-token answers read by their
    log-probabilities are common practice.
    """

    def __init__(self, params: ProtocolParams, capabilities: Capabilities) -> None:
        self._params = params
        self._is_forced = capabilities.forced_tokens
        self._reads_probs = capabilities.forced_tokens and capabilities.logprobs
        every = params.number_every
        self._system = _SYSTEM.format(
            criterion=CRITERIA[params.criterion],
            note=DATA_NOTE,
            numbers=_ALL_NUMBERS if every == 1 else _NUMBERS.format(every=every),
        )

    @property
    def parts(self) -> dict[str, Any]:
        """What of a voter's fingerprint is the protocol's."""
        parts = {
            "protocol": NAME,
            "version": VERSION,
            "prompt": prompt_hash(self._system, _LAST),
            "criterion": self._params.criterion,
            "chunk_words": self._params.chunk_words,
            "number_every": self._params.number_every,
            "words": WORD_VERSION,
            "reads": self._reads,
        }
        if not self._reads_probs:
            parts |= {"samples": self.num_samples, "temperature": self._temperature}
        return parts

    @property
    def num_samples(self) -> int:
        """Samples drawn for each chunk; one where log-probabilities are read."""
        return 1 if self._reads_probs else self._params.samples

    def ask(self, chunk: Chunk, draft_N: BoolArray | None) -> Request:
        """Ask for a letter for each word of a chunk; the draft is not looked at."""
        del draft_N
        shown = delimit(number_words(chunk, self._params.number_every))
        spare = 0 if self._is_forced else chunk.num_words + _SPARE_TOKENS
        return Request(
            system=self._system,
            user=f"{shown}\n{_LAST.format(num_words=chunk.num_words)}",
            max_tokens=chunk.num_words + spare,
            choices=CHOICES if self._is_forced else (),
            logprobs=self._reads_probs,
            temperature=self._temperature,
        )

    def read(self, chunk: Chunk, sample: Sample) -> FloatArray | BoolArray | str:
        """Read P(keep) of each word, or its letter.

        Returns:
            (N,) P(keep) with log-probabilities, else the mask of letters with white
            space among them; why not, for anything else.

        Raises:
            VoteFailed: the log-probabilities are not those of one letter a word.
        """
        if self._reads_probs:
            return _read_probs(chunk, sample)
        # A forced answer has the right length by design; a free one was not finished.
        if not self._is_forced and sample.finish_reason == "length":
            return f"it was cut; expected {chunk.num_words} letters K or D"
        letters = "".join(word_list(sample.text))
        if len(letters) != chunk.num_words or not set(letters) <= set(CHOICES):
            return (
                f"it begins {sample.text[:80]!r}; expected {chunk.num_words} letters "
                "K or D"
            )
        return np.array([letter == KEEP for letter in letters], dtype=np.bool_)

    @property
    def _reads(self) -> str:
        if self._reads_probs:
            return "logprobs"
        return "samples" if self._is_forced else "free"

    @property
    def _temperature(self) -> float:
        return 0.0 if self._reads_probs else self._params.temperature


def _read_probs(chunk: Chunk, sample: Sample) -> FloatArray:
    """Give P(K) of each word of a chunk."""
    probs = sample.choice_probs
    num_words = chunk.num_words
    if probs is None or len(probs) != num_words:
        found = "none" if probs is None else str(len(probs))
        raise VoteFailed(
            f"found log-probabilities of {found} words; expected one pair for each of "
            f"{num_words}; declare what the endpoint cannot do, or ask again"
        )
    # Ragged rows make no array; NaN fails both comparisons.
    if any(len(row) != len(CHOICES) for row in probs) or not all(
        0 <= p <= 1 for row in probs for p in row
    ):
        raise VoteFailed(
            "found log-probabilities that are no pairs of P(K) and P(D); expected two "
            "numbers in [0, 1] a word"
        )
    p_N2 = np.array(probs, dtype=np.float64)
    total_N = p_N2.sum(axis=1)
    if np.any(np.abs(total_N - 1) > 0.01):
        raise VoteFailed(
            f"P(K) + P(D) lies in [{total_N.min():.3f}, {total_N.max():.3f}]; expected "
            "1: the engine must give the probabilities of the allowed tokens alone"
        )
    p_N: FloatArray = p_N2[:, 0] / total_N
    return p_N
