"""What a protocol is: it asks a model about a text and reads a vote in the answers.

N = words of the shown text
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kompress.teachers.request import Answer, Request
from kompress.types import BoolArray, Vote

Criterion = Literal["qa", "agent"]
Engine = Literal["vllm", "transformers", "openai"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
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


class TeacherProtocol(Protocol):
    """What is asked of a model about one text, and how the answers become a vote.

    `text` is always the shown text, see `kompress.teachers.shown`.
    """

    @property
    def parts(self) -> dict[str, Any]:
        """What of the voter's fingerprint is the protocol's; plain JSON data."""
        ...

    def requests(
        self, text: str, *, draft_N: BoolArray | None = None, seed: int = 0
    ) -> tuple[Request, ...]:
        """Lay out the questions about a text; none for a text without words.

        Args:
            text: the shown text.
            draft_N: (N,) which words the draft keeps; `correct` alone looks at it.
            seed: of the sampling.

        Raises:
            VoteFailed: the text cannot be asked about.
        """
        ...

    def read(
        self, text: str, answers: Sequence[Answer], *, draft_N: BoolArray | None = None
    ) -> Vote:
        """Read the vote in the answers, one for each request, in order.

        Returns:
            A vote of exactly N codes.

        Raises:
            VoteFailed: the answers are not what was asked for, whatever they are.
        """
        ...

    def references(self, text: str, answers: Sequence[Answer]) -> list[BoolArray]:
        """Read (N,) keep masks in the answers, one for each usable sample."""
        ...
