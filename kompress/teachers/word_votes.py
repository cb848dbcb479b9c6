"""One letter a word: K to keep it, D to drop it, in one pass over the text.

With forced tokens and log-probabilities an answer is P(keep) of every word, for about
one output token a word. N = words of the text
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kompress.errors import VoteFailed
from kompress.teachers.chunks import Chunk, number_words, split_chunks
from kompress.teachers.prompt import CRITERIA, DATA_NOTE, delimit, prompt_hash
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Answer, Capabilities, Request, Sample
from kompress.types import BoolArray, FloatArray, Vote, encode_votes
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
        self._shares_prompt = capabilities.samples
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
            parts |= {"samples": self._num_samples, "temperature": self._temperature}
        return parts

    def requests(
        self, text: str, *, draft_N: BoolArray | None = None, seed: int = 0
    ) -> tuple[Request, ...]:
        """Ask about each chunk of a text.

        Args:
            text: the shown text.
            draft_N: ignored; see `correct`.
            seed: of the sampling, where there is any.

        Returns:
            The requests, in an order that `read` expects.

        Source: ours.
        """
        del draft_N
        return tuple(
            request
            for chunk in split_chunks(text, self._params.chunk_words)
            for request in self._ask(chunk, seed)
        )

    def read(
        self,
        text: str,
        answers: Sequence[Answer],
        *,
        draft_N: BoolArray | None = None,
    ) -> Vote:
        """Read P(keep) of every word.

        Args:
            text: the shown text of N words.
            answers: one for each request, in order.
            draft_N: ignored; see `correct`.

        Returns:
            The vote; it pools as many samples as the chunk with the fewest has.

        Raises:
            VoteFailed: an answer is missing, or a chunk has no answer of exactly one
                letter a word.

        Source: ours.
        """
        del draft_N
        chunks = split_chunks(text, self._params.chunk_words)
        p_N = np.empty(len(word_list(text)))
        num_samples = self._num_samples
        for chunk, samples in zip(chunks, self._group(chunks, answers), strict=True):
            if self._reads_probs:
                p_N[chunk.start : chunk.end] = _read_probs(chunk, samples)
                continue
            masks = self._read_letters(chunk, samples)
            p_N[chunk.start : chunk.end] = np.mean(masks, axis=0)
            num_samples = min(num_samples, len(masks))
        return Vote(encode_votes(p_N), num_samples)

    def references(self, text: str, answers: Sequence[Answer]) -> list[BoolArray]:
        """Give the masks that the answers stand for, as candidates.

        Args:
            text: the shown text of N words.
            answers: one for each request, in order.

        Returns:
            (N,) masks: that of P(keep) >= 1/2 with log-probabilities, else one for
            each sample that can be read in every chunk.

        Raises:
            VoteFailed: as `read`.

        Source: ours.
        """
        chunks = split_chunks(text, self._params.chunk_words)
        groups = self._group(chunks, answers)
        if not chunks:
            return []
        if self._reads_probs:
            pairs = zip(chunks, groups, strict=True)
            return [np.concatenate([_read_probs(*pair) >= 0.5 for pair in pairs])]
        rows = [
            [self._letters_mask(chunk, sample) for sample in samples]
            for chunk, samples in zip(chunks, groups, strict=True)
        ]
        return join_masks(rows)

    @property
    def _reads(self) -> str:
        if self._reads_probs:
            return "logprobs"
        return "samples" if self._is_forced else "free"

    @property
    def _num_samples(self) -> int:
        return 1 if self._reads_probs else self._params.samples

    @property
    def _temperature(self) -> float:
        return 0.0 if self._reads_probs else self._params.temperature

    def _ask(self, chunk: Chunk, seed: int) -> list[Request]:
        shown = delimit(number_words(chunk, self._params.number_every))
        spare = 0 if self._is_forced else chunk.num_words + _SPARE_TOKENS
        request = Request(
            system=self._system,
            user=f"{shown}\n{_LAST.format(num_words=chunk.num_words)}",
            max_tokens=chunk.num_words + spare,
            choices=CHOICES if self._is_forced else (),
            logprobs=self._reads_probs,
            temperature=self._temperature,
        )
        return share_samples(
            request, self._num_samples, seed, shares_prompt=self._shares_prompt
        )

    def _group(
        self, chunks: Sequence[Chunk], answers: Sequence[Answer]
    ) -> list[list[Sample]]:
        each = 1 if self._shares_prompt else self._num_samples
        return group_samples(chunks, answers, each)

    def _read_letters(self, chunk: Chunk, samples: Sequence[Sample]) -> list[BoolArray]:
        """Give the masks of the samples that are one letter a word."""
        masks = [self._letters_mask(chunk, sample) for sample in samples]
        known = [mask for mask in masks if mask is not None]
        if not known:
            found = [sample.text[:80] for sample in samples[:1]]
            raise VoteFailed(
                f"none of {len(samples)} answers is {chunk.num_words} letters K or D; "
                f"the first begins {found}; try shorter chunks or another model"
            )
        return known

    def _letters_mask(self, chunk: Chunk, sample: Sample) -> BoolArray | None:
        """Read letters with white space among them; None for anything else."""
        # A forced answer has the right length by design; a free one was not finished.
        if not self._is_forced and sample.finish_reason == "length":
            return None
        letters = "".join(word_list(sample.text))
        if len(letters) != chunk.num_words or not set(letters) <= set(CHOICES):
            return None
        return np.array([letter == KEEP for letter in letters], dtype=np.bool_)


def share_samples(
    request: Request, num_samples: int, seed: int, *, shares_prompt: bool
) -> list[Request]:
    """Ask for several samples: at once, or once each where an engine cannot.

    Args:
        request: the question.
        num_samples: how many answers are wanted.
        seed: of the sampling; left out at temperature 0, where it decides nothing.
        shares_prompt: whether one request may have several samples.

    Returns:
        One request, or `num_samples` that differ in their seed.

    Source: ours.
    """
    seed = seed if request.temperature > 0 else 0
    if shares_prompt or num_samples == 1:
        return [replace(request, num_samples=num_samples, seed=seed)]
    return [
        replace(request, seed=seed * num_samples + number)
        for number in range(num_samples)
    ]


def group_samples(
    chunks: Sequence[Chunk], answers: Sequence[Answer], each: int
) -> list[list[Sample]]:
    """Give each chunk the samples of its answers.

    Args:
        chunks: those of a text.
        answers: `each` for every chunk, in order.
        each: answers of one chunk.

    Raises:
        VoteFailed: there are more or fewer answers.

    Source: ours.
    """
    if len(answers) != len(chunks) * each:
        raise VoteFailed(
            f"found {len(answers)} answers to {len(chunks)} chunks; expected {each} "
            "each; ask again"
        )
    return [
        [s for answer in answers[at : at + each] for s in answer.samples]
        for at in range(0, len(answers), each)
    ]


def join_masks(rows: Sequence[Sequence[BoolArray | None]]) -> list[BoolArray]:
    """Put the masks of chunks together, sample by sample.

    Args:
        rows: for each chunk the mask of each sample, None where it cannot be read.

    Returns:
        (N,) the masks of the samples that can be read in every chunk.

    Source: ours.
    """
    whole: list[BoolArray] = []
    for masks in zip(*rows, strict=False):
        known = [mask for mask in masks if mask is not None]
        if len(known) == len(masks):
            whole.append(np.concatenate(known))
    return whole


def _read_probs(chunk: Chunk, samples: Sequence[Sample]) -> FloatArray:
    """Give P(K) of each word of a chunk."""
    probs = samples[0].choice_probs if samples else None
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
