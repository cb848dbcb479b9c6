"""What a language model is asked and what it answers: plain values, no engine.

A transport (worker.transports) turns requests into answers; a protocol makes the ones
and reads the others. Answers are stored as bytes, apart from the votes read in them.

S = samples, T = output tokens of one sample
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from kompress.errors import InvalidAnswer

ANSWER_VERSION = 1


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; a protocol falls back where something is missing.

    Attributes:
        forced_tokens: can restrict every output token to a few, for a fixed length.
        logprobs: gives the log-probabilities of the tokens that were possible.
        samples: gives several samples of one prompt for one prefill.
        prefix_cache: does not compute a shared beginning of prompts twice.
    """

    forced_tokens: bool
    logprobs: bool
    samples: bool
    prefix_cache: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model.

    Attributes:
        system: the instruction; the same for every text, so that it is cached.
        user: what differs: the text, as data between delimiters.
        max_tokens: at most so many output tokens a sample.
        choices: if not empty, every output token is one of these (each a single token
            of the model) and a sample has exactly `max_tokens` of them.
        logprobs: wanted for each output token: P of each choice.
        num_samples: samples wanted.
        temperature: 0 takes the likeliest token.
        seed: of the sampling.
    """

    system: str
    user: str
    max_tokens: int
    choices: tuple[str, ...] = ()
    logprobs: bool = False
    num_samples: int = 1
    temperature: float = 0.0
    seed: int = 0

    @property
    def num_drawn(self) -> int:
        """Samples that are computed: at temperature 0 all are one."""
        return self.num_samples if self.temperature else 1

    def fingerprint(self, model: Mapping[str, Any]) -> str:
        """Hash the request and the model that is to answer it.

        Args:
            model: whatever decides the answer: name, revision, dtype, engine …

        Returns:
            SHA-256, hex: equal fingerprints share a stored answer.
        """
        parts = {"request": asdict(self), "model": dict(model)}
        canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled continuation.

    Attributes:
        text: what the model wrote, without special tokens.
        finish_reason: `stop`, or `length` where it was cut at `max_tokens`.
        choice_probs: for each output token, P of each choice in the request's order,
            summing to 1; None without log-probabilities.
    """

    text: str
    finish_reason: str = "stop"
    choice_probs: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request returned.

    Attributes:
        samples: S of them, at least one.
        input_tokens: tokens of the prompt, counted once whatever S.
        output_tokens: tokens of all samples.
        wasted_input_tokens: paid for on the way by attempts that were lost.
        wasted_output_tokens: likewise.
    """

    samples: tuple[Sample, ...]
    input_tokens: int
    output_tokens: int
    wasted_input_tokens: int = 0
    wasted_output_tokens: int = 0

    def to_bytes(self) -> bytes:
        """Pack the samples for `answers.body`; the token counts have their columns."""
        samples = [
            [s.text, s.finish_reason, _rounded(s.choice_probs)] for s in self.samples
        ]
        document = {"version": ANSWER_VERSION, "samples": samples}
        return zlib.compress(json.dumps(document, ensure_ascii=True).encode())

    @classmethod
    def from_bytes(
        cls, body: bytes, *, input_tokens: int = 0, output_tokens: int = 0
    ) -> "Answer":
        """Read what `to_bytes` packed.

        Raises:
            InvalidAnswer: the bytes are not a packed answer.
        """
        try:
            document = json.loads(zlib.decompress(body))
            samples = tuple(
                Sample(text, reason, None if probs is None else _as_tuples(probs))
                for text, reason, probs in document["samples"]
            )
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            raise InvalidAnswer(
                f"a stored answer of {len(body)} bytes cannot be read ({error}); "
                "expected what `Answer.to_bytes` packs; delete the row to ask again"
            ) from error
        return cls(samples, input_tokens, output_tokens)


@dataclass(frozen=True, slots=True)
class AskFailed:
    """Why a request has no answer.

    Attributes:
        error: what went wrong, in words.
        is_transient: the text is not to blame (an endpoint was away, a budget is
            spent): a later round asks again.
        wasted_input_tokens: paid for all the same, as far as is known.
        wasted_output_tokens: likewise.
    """

    error: str
    is_transient: bool
    wasted_input_tokens: int = 0
    wasted_output_tokens: int = 0


# Requests, each with the index of the text that it is about -> the request's place in
# the list and its answer, as they come.
Ask: TypeAlias = Callable[
    [Sequence[tuple[int, Request]]], Iterator[tuple[int, Answer | AskFailed]]
]


def _rounded(
    probs: tuple[tuple[float, ...], ...] | None,
) -> list[list[float]] | None:
    """Six digits: far below a vote's code, a third of the bytes."""
    if probs is None:
        return None
    return [[round(p, 6) for p in row] for row in probs]


def _as_tuples(probs: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(p) for p in row) for row in probs)
