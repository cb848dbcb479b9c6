"""What a protocol is: it asks a model about a text and reads a vote in the answers.

N = words of the shown text, or of one chunk of it
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kompress.errors import VoteFailed
from kompress.teachers.chunks import Chunk, split_chunks
from kompress.teachers.request import Answer, Capabilities, Request, Sample
from kompress.types import BoolArray, FloatArray, Vote, encode_votes
from kompress.words import word_list

Criterion = Literal["qa", "agent"]
Engine = Literal["vllm", "transformers", "openai"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
# What engines in the worker's own process can do.
LOCAL: Mapping[str, Capabilities] = {
    "vllm": Capabilities(
        forced_tokens=True, logprobs=True, samples=True, prefix_cache=True
    ),
    "transformers": Capabilities(
        forced_tokens=True, logprobs=True, samples=True, prefix_cache=False
    ),
}
# Of several samples, by protocol; at 0 they would be equal, and paid for. Letters are
# counted as probabilities, which are the model's own at 1 only; 0.7 is common for text.
_TEMPERATURES = {"word_votes": 1.0, "correct": 1.0}
_PROSE_TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model is to answer, and on what it runs.

    Attributes:
        engine: `vllm` or `transformers` in the worker's process, or `openai`.
        model: a folder or a hub's name; at an endpoint, what the endpoint calls it.
        revision: the hub's revision, '' for the newest.
        endpoint: a name in the operator's settings, `openai` only.
        dtype: of the weights; `auto` is what the model was stored in.
        gpus: how many the model is spread over, 0 for all that the worker sees.
        max_model_tokens: context length, prompt and answer together.
    """

    engine: Engine
    model: str
    revision: str = ""
    endpoint: str = ""
    dtype: Dtype = "auto"
    gpus: int = 0
    max_model_tokens: int = 8_192

    def identity(self) -> dict[str, Any]:
        """Say what of the model decides an answer: for `Request.fingerprint`.

        How many GPUs it is spread over and how much context it is given do not.

        Source: design §4; ours.
        """
        return {
            "engine": self.engine,
            "model": self.model,
            "revision": self.revision,
            "endpoint": self.endpoint,
            "dtype": self.dtype,
        }


class ProtocolParams(BaseModel):
    """How a teacher is asked.

    Attributes:
        protocol: what is asked; `pairwise` compares references and does not vote.
        criterion: `qa` keeps what answers the question, `agent` what decides the next
            action.
        chunk_words: at most so many words are asked about at once.
        number_every: every so many words a word's number is shown.
        samples: answers drawn for one text, where the protocol reads several.
        temperature: of the sampling; without one, 0 for one sample, and for several 1
            where letters are counted and 0.7 where words are written.
        budget: share of the words to keep, told to the model; None says nothing.
        max_unfound: share of an answer's quotes or words that the text may lack.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    protocol: Literal["word_votes", "rewrite", "quotes", "correct", "pairwise"] = (
        "word_votes"
    )
    criterion: Criterion = "agent"
    chunk_words: Annotated[int, Field(ge=1, le=200)] = 200
    number_every: Annotated[int, Field(ge=1, le=50)] = 10
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    budget: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    max_unfound: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1

    @model_validator(mode="before")
    @classmethod
    def _warm(cls, data: Any) -> Any:
        """Give several samples a temperature where none is said."""
        if not isinstance(data, Mapping) or "temperature" in data:
            return data
        samples = data.get("samples", 1)
        if isinstance(samples, int) and samples > 1:
            name = str(data.get("protocol", "word_votes"))
            warmth = _TEMPERATURES.get(name, _PROSE_TEMPERATURE)
            return {**data, "temperature": warmth}
        return data

    @model_validator(mode="after")
    def _check_samples(self) -> "ProtocolParams":
        if self.samples > 1 and not self.temperature:
            raise ValueError(
                f"{self.samples} samples at temperature 0 are one answer paid for "
                f"{self.samples} times; leave temperature out, or samples"
            )
        return self


class ChunkQuestion(Protocol):
    """What a protocol asks about one chunk of a text, and how it reads one sample."""

    @property
    def parts(self) -> dict[str, Any]:
        """What of the voter's fingerprint is the protocol's; plain JSON data."""
        ...

    @property
    def num_samples(self) -> int:
        """Samples drawn for each chunk."""
        ...

    def ask(self, chunk: Chunk, draft_N: BoolArray | None) -> Request:
        """Ask about a chunk; its samples and their seed are `TeacherProtocol`'s.

        Args:
            chunk: of the shown text.
            draft_N: (N,) which of its words the draft keeps; `correct` alone looks.

        Raises:
            VoteFailed: the chunk cannot be asked about.
        """
        ...

    def read(self, chunk: Chunk, sample: Sample) -> FloatArray | BoolArray | str:
        """Read one sample, whatever it is.

        Returns:
            (N,) P(keep) or a keep mask; in words, why the sample cannot be used.

        Raises:
            VoteFailed: no other sample of the text can make up for this one.
        """
        ...


class TeacherProtocol:
    """Asks about a text chunk by chunk, and pools each chunk's samples into a vote.

    `text` is always the shown text, see `kompress.teachers.shown`.

    Source: counts over samples as votes: ours.
    """

    def __init__(
        self, question: ChunkQuestion, params: ProtocolParams, engine: Capabilities
    ) -> None:
        self._question = question
        self._chunk_words = params.chunk_words
        self._shares_prompt = engine.samples

    @property
    def parts(self) -> dict[str, Any]:
        """What of the voter's fingerprint is the protocol's; plain JSON data."""
        return self._question.parts

    def requests(
        self, text: str, *, draft_N: BoolArray | None = None, seed: int = 0
    ) -> tuple[Request, ...]:
        """Lay out the questions about a text; none for a text without words.

        Args:
            text: the shown text of N words.
            draft_N: (N,) which words the draft keeps; `correct` alone looks at it.
            seed: of the sampling, where there is any.

        Returns:
            The requests, in an order that `read` expects.

        Raises:
            VoteFailed: the text cannot be asked about, or the draft is another text's.
        """
        num_words = len(word_list(text))
        if draft_N is not None and draft_N.shape != (num_words,):
            raise VoteFailed(
                f"the draft has shape {draft_N.shape}; expected ({num_words},), one "
                "entry for each word of the text"
            )
        return tuple(
            request
            for chunk in split_chunks(text, self._chunk_words)
            for request in self._sample(
                self._question.ask(
                    chunk, None if draft_N is None else draft_N[chunk.start : chunk.end]
                ),
                seed,
            )
        )

    def read(self, text: str, answers: Sequence[Answer]) -> Vote:
        """Read the vote: the mean of each chunk's samples that can be used.

        Args:
            text: the shown text of N words.
            answers: one for each request, in order.

        Returns:
            A vote of exactly N codes; it pools as many samples as the chunk with the
            fewest has.

        Raises:
            VoteFailed: an answer is missing, or a chunk has no sample that can be
                used; says of the first what is wrong with it.
        """
        p_N = np.empty(len(word_list(text)))
        num_samples = self._question.num_samples
        for chunk, found in self._read(text, answers):
            known = [each for each in found if not isinstance(each, str)]
            if not known:
                why = found[0] if found else "there is none"
                raise VoteFailed(
                    f"none of {len(found)} answers on words {chunk.start + 1} to "
                    f"{chunk.end} can be used; the first: {why}; try shorter chunks or "
                    "another model"
                )
            p_N[chunk.start : chunk.end] = np.mean(known, axis=0)
            num_samples = min(num_samples, len(known))
        return Vote(encode_votes(p_N), num_samples)

    def references(self, text: str, answers: Sequence[Answer]) -> list[BoolArray]:
        """Give the keep masks that the answers stand for, as candidates.

        Args:
            text: the shown text of N words.
            answers: one for each request, in order.

        Returns:
            (N,) masks, P(keep) >= 1/2, of the samples that can be used in every chunk.

        Raises:
            VoteFailed: an answer is missing, or `ChunkQuestion.read` fails the text.
        """
        whole: list[BoolArray] = []
        rows = [found for _, found in self._read(text, answers)]
        for parts in zip(*rows, strict=False):
            known = [part >= 0.5 for part in parts if not isinstance(part, str)]
            if len(known) == len(parts):
                whole.append(np.concatenate(known))
        return whole

    def _sample(self, request: Request, seed: int) -> list[Request]:
        """Ask for all samples at once, or once each where an engine cannot."""
        # At temperature 0 a seed decides nothing.
        seed = seed if request.temperature > 0 else 0
        num_samples = self._question.num_samples
        if self._shares_prompt or num_samples == 1:
            return [replace(request, num_samples=num_samples, seed=seed)]
        return [
            replace(request, seed=seed * num_samples + number)
            for number in range(num_samples)
        ]

    def _read(
        self, text: str, answers: Sequence[Answer]
    ) -> Iterator[tuple[Chunk, list[FloatArray | BoolArray | str]]]:
        """Give each chunk with what its samples say."""
        chunks = split_chunks(text, self._chunk_words)
        each = 1 if self._shares_prompt else self._question.num_samples
        if len(answers) != len(chunks) * each:
            raise VoteFailed(
                f"found {len(answers)} answers to {len(chunks)} chunks; expected "
                f"{each} each; ask again"
            )
        for number, chunk in enumerate(chunks):
            own = answers[number * each : (number + 1) * each]
            samples = [sample for answer in own for sample in answer.samples]
            yield chunk, [self._question.read(chunk, sample) for sample in samples]
