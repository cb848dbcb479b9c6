"""Read what an OpenAI-compatible endpoint answered; nothing is believed unchecked.

T = output tokens of one sample
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kompress.teachers.request import Answer, Request, Sample

# Rounding may lift a certain token a little above P = 1.
MAX_LOGPROB = 0.01
# What vLLM sends for minus infinity, which JSON cannot.
LEAST_LOGPROB = -9_999.0
FINISHED = {"stop", "length"}

FaultKind: TypeAlias = Literal["garbled", "nonsense", "filtered", "sparse"]
Tokens = Annotated[int, Field(ge=0)]


class AnswerFault(Exception):
    """An answer cannot be used, though it was paid for.

    Attributes:
        kind: `garbled`, not the protocol at all; `nonsense`, well-formed, but not what
            was asked; `filtered`, held back by the endpoint, so that asking again is
            vain; `sparse`, a choice is not among the log-probabilities.
        usage: input and output tokens that it cost; None where it does not say.
    """

    def __init__(
        self,
        message: str,
        kind: FaultKind,
        usage: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Reading:
    """How answers to one request are read.

    Attributes:
        request: what was asked, with the samples of this one call.
        choice_ids: the token of each choice; empty without choices.
        bound: input and output tokens that it costs at most, where usage is missing.
        may_lack: a choice outside of the log-probabilities gets what they leave.
    """

    request: Request
    choice_ids: tuple[int, ...]
    bound: tuple[int, int]
    may_lack: bool = False


class _Part(BaseModel):
    # Unknown fields are no fault: every server has some of its own.
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _Likely(_Part):
    token: str
    logprob: float = Field(le=MAX_LOGPROB)


class _Token(_Likely):
    top_logprobs: list[_Likely] = Field(default_factory=list)


class _Logprobs(_Part):
    content: list[_Token] | None = None


class _Message(_Part):
    content: str | None = None


class _Choice(_Part):
    index: int
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(_Part):
    prompt_tokens: Tokens
    completion_tokens: Tokens


class _Completion(_Part):
    choices: list[_Choice]
    usage: _Usage | None = None


def read_answer(body: bytes, reading: Reading) -> Answer:
    """Read the body of a chat completion.

    Returns:
        The answer, its samples in the endpoint's order.

    Raises:
        AnswerFault: it is not what was asked; what it cost is with it.
    """
    completion = _parse(body)
    request = reading.request
    usage = reading.bound
    if completion.usage is not None:
        usage = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
    choices = sorted(completion.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(request.num_samples)):
        raise AnswerFault(
            f"it has {len(choices)} samples; expected {request.num_samples}",
            "nonsense",
            usage,
        )
    try:
        samples = tuple(_sample(choice, reading) for choice in choices)
    except AnswerFault as fault:
        fault.usage = usage
        raise
    return Answer(samples, input_tokens=usage[0], output_tokens=usage[1])


def _parse(body: bytes) -> _Completion:
    try:
        return _Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "its body"
        # No JSON at all is a proxy or half a body; a wrong number is the model's.
        kind: FaultKind = "garbled" if first["type"] == "json_invalid" else "nonsense"
        raise AnswerFault(
            f"it is no chat completion: {where}: {first['msg']}", kind
        ) from None


def _sample(choice: _Choice, reading: Reading) -> Sample:
    """Check one sample."""
    content, reason = choice.message.content, choice.finish_reason
    if reason not in FINISHED:
        raise AnswerFault(
            f"a sample ended by {reason!r}; expected 'stop' or 'length'", "filtered"
        )
    if content is None:
        raise AnswerFault("a sample has no text", "nonsense")
    if not reading.request.choices:
        return Sample(content, reason)
    if not reading.request.logprobs:
        return Sample(_forced_text(content, reading.request), reason)
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    _check_length(len(tokens), reading.request)
    names = _names(reading)
    chosen = [names.get(token.token) for token in tokens]
    if None in chosen:
        raise AnswerFault("a token is none of the choices", "nonsense")
    text = "".join(reading.request.choices[place or 0] for place in chosen)
    rows = tuple(_choice_probs(token, names, reading) for token in tokens)
    return Sample(text, reason, rows)


def _forced_text(content: str, request: Request) -> str:
    """Check text of which every token is a choice."""
    longest_first = sorted(request.choices, key=len, reverse=True)
    tokens = re.findall("|".join(map(re.escape, longest_first)), content)
    if "".join(tokens) != content:
        raise AnswerFault("its text is not made of the choices", "nonsense")
    _check_length(len(tokens), request)
    return content


def _check_length(num_tokens: int, request: Request) -> None:
    if num_tokens != request.max_tokens:
        raise AnswerFault(
            f"a forced sample has {num_tokens} tokens; expected {request.max_tokens}",
            "nonsense",
        )


def _names(reading: Reading) -> dict[str, int]:
    """Name the choices' places: by id, as we ask vLLM to, or as other servers do."""
    by_id = {f"token_id:{token}": i for i, token in enumerate(reading.choice_ids)}
    return {name: i for i, name in enumerate(reading.request.choices)} | by_id


def _choice_probs(
    token: _Token, names: Mapping[str, int], reading: Reading
) -> tuple[float, ...]:
    """Give P of each choice at temperature 1, of all choices together."""
    found: dict[int, float] = {}
    for likely in [token, *token.top_logprobs]:
        place = names.get(likely.token)
        if place is not None:
            found[place] = max(LEAST_LOGPROB, likely.logprob)
    num_choices = len(reading.request.choices)
    if len(found) < num_choices:
        if not reading.may_lack:
            raise AnswerFault("a choice has no log-probability", "sparse")
        floor = _floor(token, num_choices - len(found))
        found = {place: found.get(place, floor) for place in range(num_choices)}
    # Softmax(x / T): p^T, made to sum to 1, is softmax(x).
    power = reading.request.temperature or 1.0
    return _softmax([power * found[place] for place in range(num_choices)])


def _floor(token: _Token, num_missing: int) -> float:
    """Bound the log-probability of what is not listed: by the rest, by the least."""
    listed = {likely.token: likely.logprob for likely in [token, *token.top_logprobs]}
    rest = 1.0 - sum(math.exp(min(0.0, value)) for value in listed.values())
    bound = math.log(rest / num_missing) if rest > 0 else LEAST_LOGPROB
    return max(LEAST_LOGPROB, min(bound, *listed.values(), 0.0))


def _softmax(logits: Sequence[float]) -> tuple[float, ...]:
    highest = max(logits)
    weights = [math.exp(logit - highest) for logit in logits]
    total = sum(weights)
    return tuple(weight / total for weight in weights)
