"""One call to an OpenAI-compatible endpoint: what is sent, and what its answer says.

The key is read once and stays in here: no message and no log line has it. Nothing that
an endpoint answers is believed unchecked.
"""

import asyncio
import email.utils
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import httpx2
import openai
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from kompress.errors import InvalidConfig
from kompress.teachers.endpoints import Endpoint
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, Request, Sample

CONNECT_S = 10.0
# Shorter than the 5 s after which uvicorn, and so vLLM, closes an idle connection: who
# sends into one that closes cannot know whether the request was read.
KEEPALIVE_S = 2.0
# The most that OpenAI and vLLM give by default.
MAX_TOP_LOGPROBS = 20
MAX_PAUSE_S = 86_400.0
SHORT = 200
# The text is at fault: too long, or nothing that the model can read.
OF_THE_REQUEST = {400, 404, 413, 422}
OF_THE_KEY = {401, 403}
PASSING = {408, 409, 425, 429}
# Signed 64 bits are what servers take.
_SEED_MASK = 2**62 - 1
# Rounding may lift a certain token a little above P = 1.
MAX_LOGPROB = 0.01
# What vLLM sends for minus infinity, which JSON cannot.
LEAST_LOGPROB = -9_999.0
FINISHED = {"stop", "length"}

FaultKind: TypeAlias = Literal["garbled", "nonsense", "filtered", "sparse"]
Tokens = Annotated[int, Field(ge=0)]


class EndpointUnavailable(Exception):
    """The endpoint is away, busy or broken: ask again later.

    Attributes:
        pause_s: what `Retry-After` said, 0 for nothing.
        may_be_billed: it may have computed an answer that was lost.
        is_crash: it answered 500, which a request may cause every time.
    """

    def __init__(
        self,
        message: str,
        *,
        pause_s: float = 0.0,
        may_be_billed: bool = False,
        is_crash: bool = False,
    ) -> None:
        super().__init__(message)
        self.pause_s = pause_s
        self.may_be_billed = may_be_billed
        self.is_crash = is_crash


class RequestRejected(Exception):
    """The endpoint will not answer this, now or later.

    Attributes:
        is_transient: the request is not to blame (an account without means).
    """

    def __init__(self, message: str, *, is_transient: bool) -> None:
        super().__init__(message)
        self.is_transient = is_transient


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
class ExpectedAnswer:
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


class EndpointClient:
    """Speaks to one model at one endpoint.

    Args:
        spec: the endpoint's name and the model's.
        endpoint: the operator's settings.

    Raises:
        InvalidConfig: the key's file cannot be read.
    """

    def __init__(self, spec: ModelSpec, endpoint: Endpoint) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._key = _read_key(spec.endpoint, endpoint)
        self._choice_ids: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._asking_ids = asyncio.Lock()
        # How long a request may take is the caller's business.
        self._http = httpx2.AsyncClient(
            follow_redirects=False,
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            limits=httpx2.Limits(
                max_connections=None,
                max_keepalive_connections=None,
                keepalive_expiry=KEEPALIVE_S,
            ),
        )
        self._client = openai.AsyncOpenAI(
            api_key=self._key.get_secret_value(),
            base_url=str(endpoint.url),
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            max_retries=0,
            http_client=self._http,
            # Given by name, else OPENAI_CUSTOM_HEADERS might send another key.
            default_headers={"Authorization": f"Bearer {self._key.get_secret_value()}"},
        )
        # From the environment, which says nothing about this endpoint.
        self._client.organization = None
        self._client.project = None

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self._spec.endpoint

    @property
    def request_timeout_s(self) -> float:
        """Seconds that one request may take."""
        return self._endpoint.request_timeout_s

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def choice_ids(self, choices: tuple[str, ...]) -> tuple[int, ...]:
        """Ask `vllm serve` for each choice's token, once.

        Raises:
            InvalidConfig: a choice is not one token of its own, or the endpoint cannot
                say.
            EndpointUnavailable: the endpoint is away.
        """
        async with self._asking_ids:
            if choices and choices not in self._choice_ids:
                tokens = [await self._tokenize(choice) for choice in choices]
                ids = tuple(found[0] for found in tokens if len(found) == 1)
                if len(set(ids)) != len(choices):
                    raise InvalidConfig(
                        f"model {self._spec.model!r} at endpoint {self.name!r} writes "
                        f"the choices {choices} as tokens {tokens}; expected one of its"
                        " own for each; take another model, or a protocol that does "
                        "not force tokens (`rewrite`)"
                    )
                self._choice_ids[choices] = ids
        return self._choice_ids.get(choices, ())

    async def complete(
        self, request: Request, choice_ids: tuple[int, ...], *, top_logprobs: int
    ) -> bytes:
        """Send a chat completion and give its body.

        Args:
            request: the question.
            choice_ids: the token of each choice, empty without choices.
            top_logprobs: likeliest tokens wanted at each place.

        Raises:
            EndpointUnavailable: ask again later.
            RequestRejected: asking again is vain.
            InvalidConfig: the endpoint refuses the key, or redirects.
        """
        options: dict[str, Any] = {}
        if request.temperature:
            options["seed"] = request.seed & _SEED_MASK
        if request.num_samples > 1:
            options["n"] = request.num_samples
        if request.logprobs:
            options |= {"logprobs": True, "top_logprobs": top_logprobs}
        try:
            response = await self._client.chat.completions.with_raw_response.create(
                model=self._spec.model,
                messages=[
                    {"role": "system", "content": request.system},
                    {"role": "user", "content": request.user},
                ],
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                extra_body=self._extra(request, choice_ids),
                **options,
            )
        except openai.OpenAIError as error:
            raise self._in_our_words(error) from None
        body: bytes = response.content
        return body

    def _extra(self, request: Request, ids: tuple[int, ...]) -> dict[str, Any]:
        """Say what only vLLM takes; who forces tokens is one."""
        if not self._endpoint.forced_tokens:
            return {}
        # Thoughts would be read as the answer; only templates that think look.
        extra: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}
        if ids:
            extra |= {
                "allowed_token_ids": list(ids),
                "min_tokens": request.max_tokens,
                "ignore_eos": True,
                "return_tokens_as_token_ids": request.logprobs,
            }
        return extra

    async def _tokenize(self, choice: str) -> list[int]:
        """Ask for the tokens of a string; the address is beside `/v1`."""
        parts = urlsplit(str(self._endpoint.url))
        path = parts.path.rstrip("/").removesuffix("/v1") + "/tokenize"
        body = {
            "model": self._spec.model,
            "prompt": choice,
            "add_special_tokens": False,
        }
        try:
            response = await self._client.post(
                urlunsplit(parts._replace(path=path)),
                cast_to=httpx2.Response,
                body=body,
            )
            return _Tokens.model_validate_json(response.content).tokens
        except openai.OpenAIError as error:
            ours = self._in_our_words(error)
            if isinstance(ours, RequestRejected):
                raise self._cannot_force(str(ours)) from None
            if isinstance(ours, EndpointUnavailable):
                ours.may_be_billed = False
            raise ours from None
        except ValidationError:
            raise self._cannot_force("its answer holds no list of tokens") from None

    def _cannot_force(self, found: str) -> InvalidConfig:
        return InvalidConfig(
            f"endpoint {self.name!r} cannot say which tokens the choices are ({found});"
            " expected vLLM's /tokenize beside /v1; if it is not `vllm serve`, leave "
            "`forced_tokens` out of its settings"
        )

    def _in_our_words(self, error: openai.OpenAIError) -> Exception:
        """Say what an error of the client means, without the key."""
        if isinstance(error, openai.APIStatusError):
            return self._of_status(error)
        cause = error.__cause__
        reached = not isinstance(
            cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
        )
        kind = type(cause or error).__name__
        if isinstance(error, openai.APIConnectionError):
            return EndpointUnavailable(
                f"endpoint {self.name!r} cut the connection ({kind})"
                if reached
                else f"endpoint {self.name!r} cannot be reached ({kind})",
                may_be_billed=reached,
            )
        return EndpointUnavailable(
            f"endpoint {self.name!r} failed ({kind})", may_be_billed=True
        )

    def _of_status(self, error: openai.APIStatusError) -> Exception:
        status = error.status_code
        said = self._said(error)
        found = f"endpoint {self.name!r} answered {status} ({said})"
        if status in OF_THE_KEY:
            # Nothing of what it said: some repeat the key.
            file = self._endpoint.api_key_file
            return InvalidConfig(
                f"endpoint {self.name!r} answered {status} to the key in "
                f"{file or 'no file (api_key_file is not set)'}; expected one that may "
                f"use {self._spec.model!r}; correct it there and start the worker anew"
            )
        if status < 400:
            return InvalidConfig(
                f"endpoint {self.name!r} answered {status}, a redirect, which is never "
                "followed; correct `url` in the endpoints' file"
            )
        if status >= 500 or status in PASSING:
            return EndpointUnavailable(
                found,
                pause_s=_retry_after(error.response.headers),
                may_be_billed=status in {408, 504},
                is_crash=status == 500,
            )
        return RequestRejected(found, is_transient=status not in OF_THE_REQUEST)

    def _said(self, error: openai.APIStatusError) -> str:
        """Give the endpoint's own words, short and without the key."""
        words = " ".join(error.message.split())
        key = self._key.get_secret_value()
        words = words.replace(key, "<key>") if self._endpoint.api_key_file else words
        return words if len(words) <= SHORT else words[: SHORT - 1] + "…"


def read_answer(body: bytes, expected: ExpectedAnswer) -> Answer:
    """Read the body of a chat completion.

    Returns:
        The answer, its samples in the endpoint's order.

    Raises:
        AnswerFault: it is not what was asked; what it cost is with it.
    """
    completion = _parse(body)
    request = expected.request
    usage = expected.bound
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
        samples = tuple(_sample(choice, expected) for choice in choices)
    except AnswerFault as fault:
        fault.usage = usage
        raise
    return Answer(samples, input_tokens=usage[0], output_tokens=usage[1])


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


class _Tokens(BaseModel):
    tokens: list[int]


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


def _sample(choice: _Choice, expected: ExpectedAnswer) -> Sample:
    """Check one sample."""
    content, reason = choice.message.content, choice.finish_reason
    if reason not in FINISHED:
        raise AnswerFault(
            f"a sample ended by {reason!r}; expected 'stop' or 'length'", "filtered"
        )
    if content is None:
        raise AnswerFault("a sample has no text", "nonsense")
    if not expected.request.choices:
        return Sample(content, reason)
    if not expected.request.logprobs:
        return Sample(_forced_text(content, expected.request), reason)
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    _check_length(len(tokens), expected.request)
    names = _names(expected)
    chosen = [names.get(token.token) for token in tokens]
    if None in chosen:
        raise AnswerFault("a token is none of the choices", "nonsense")
    text = "".join(expected.request.choices[place or 0] for place in chosen)
    rows = tuple(_choice_probs(token, names, expected) for token in tokens)
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


def _names(expected: ExpectedAnswer) -> dict[str, int]:
    """Name the choices' places: by id, as we ask vLLM to, or as other servers do."""
    by_id = {f"token_id:{token}": i for i, token in enumerate(expected.choice_ids)}
    return {name: i for i, name in enumerate(expected.request.choices)} | by_id


def _choice_probs(
    token: _Token, names: Mapping[str, int], expected: ExpectedAnswer
) -> tuple[float, ...]:
    """Give P of each choice at temperature 1, of all choices together."""
    found: dict[int, float] = {}
    for likely in [token, *token.top_logprobs]:
        place = names.get(likely.token)
        if place is not None:
            found[place] = max(LEAST_LOGPROB, likely.logprob)
    num_choices = len(expected.request.choices)
    if len(found) < num_choices:
        if not expected.may_lack:
            raise AnswerFault("a choice has no log-probability", "sparse")
        floor = _floor(token, num_choices - len(found))
        found = {place: found.get(place, floor) for place in range(num_choices)}
    # Softmax(x / T): p^T, made to sum to 1, is softmax(x).
    power = expected.request.temperature or 1.0
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


def _read_key(name: str, endpoint: Endpoint) -> SecretStr:
    """Read the key; endpoints without one are sent a word in its place."""
    path = endpoint.api_key_file
    if path is None:
        return SecretStr("none")
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise InvalidConfig(
            f"the key of endpoint {name!r} cannot be read from {path} "
            f"({type(error).__name__}); expected a file that holds it alone"
        ) from None
    if not key or not key.isascii() or not key.isprintable():
        raise InvalidConfig(
            f"the key of endpoint {name!r} in {path} is empty or has characters that a "
            "header cannot hold; expected one line of ASCII"
        )
    return SecretStr(key)


def _retry_after(headers: httpx2.Headers) -> float:
    """Read `Retry-After`, seconds or a date; 0 where there is none that makes sense."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = email.utils.parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return 0.0
        seconds = until.timestamp() - time.time()
    # A comparison that is also false for NaN.
    return min(seconds, MAX_PAUSE_S) if seconds > 0 else 0.0
