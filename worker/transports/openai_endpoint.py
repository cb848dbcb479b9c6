"""Any OpenAI-compatible endpoint: `vllm serve`, or a hosted model.

One event loop in a thread of its own holds all open requests. The client neither
retries nor follows redirects: what is asked again, when, and how often is decided here.
"""

import asyncio
import os
import queue
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session, sessionmaker

from kompress.teachers.endpoints import find_endpoint, read_endpoints
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Capabilities, Request
from worker.settings import WorkerSettings
from worker.transports.background import LoopThread
from worker.transports.limiter import Limiter
from worker.transports.openai_client import (
    MAX_TOP_LOGPROBS,
    AnswerFault,
    EndpointClient,
    EndpointUnavailable,
    ExpectedAnswer,
    RequestRejected,
    read_answer,
)
from worker.transports.ticker import TICK_S, Ticker

# What a chat template adds to system and user text, generously.
OVERHEAD_TOKENS = 256
FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 30.0
# Attempts of one request that may have been billed and gave nothing: late, cut, or an
# answer that cannot be used.
MAX_LOST = 3
# 500s of one request while others are answered: the request breaks the endpoint.
MAX_CRASHES = 8

Outcome = tuple[int, Answer | AskFailed]


class OpenAIEndpoint:
    """A model at an endpoint; see `worker.transports.transport.Transport`.

    Args:
        spec: the endpoint's name and the model's.
        settings: the operator's file of endpoints; the key is read now.
        sessions: where workers share the endpoint's limit.
        worker_name: whose share that is; each transport has one of its own.

    Raises:
        InvalidConfig: the settings have no such endpoint or model, or its key cannot
            be read.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: WorkerSettings,
        sessions: sessionmaker[Session],
        worker_name: str,
    ) -> None:
        endpoints = read_endpoints(settings.endpoints)
        self._endpoint = find_endpoint(endpoints, spec.endpoint, spec.model)
        self._spec = spec
        self._sessions = sessions
        # The children of one pool share a name, and a process may hold two models.
        self._worker = f"{worker_name}/{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._client = EndpointClient(spec, self._endpoint)
        self._loop = LoopThread(f"endpoint-{spec.endpoint}")

    @property
    def capabilities(self) -> Capabilities:
        """What the operator says that the endpoint can do."""
        return self._endpoint.capabilities

    def ask(
        self,
        requests: Sequence[Request],
        *,
        tick: Callable[[], None],
        deadline_s: float,
    ) -> Iterator[Outcome]:
        """Answer requests as they come; see `Transport.ask`.

        Open requests go on while the caller stores what it got. The operator's
        `shard_deadline_s` holds too.

        Raises:
            InvalidConfig: the endpoint refuses the key or redirects, or a choice is not
                one token of the model's.
        """
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        deadline_s = min(deadline_s, self._endpoint.shard_deadline_s)
        asking = self._loop.start(self._ask_all(requests, outcomes, deadline_s))
        ticker = Ticker(tick, deadline_s)
        num_missing = len(requests)
        try:
            while num_missing:
                if self._loop.is_alive:
                    ticker.beat()
                try:
                    outcome = outcomes.get(timeout=TICK_S)
                except queue.Empty:
                    asking.raise_if_failed()
                    continue
                num_missing -= 1
                yield outcome
        finally:
            # Also when `tick` raises, and when the caller wants no more.
            asking.end()

    def max_tokens(self, request: Request) -> tuple[int, int]:
        """Bound the tokens of a request: no token is less than a byte of UTF-8."""
        size = len(request.system.encode()) + len(request.user.encode())
        num_prompts, num_samples = _num_calls(request, self.capabilities)
        return (
            num_prompts * (size + OVERHEAD_TOKENS),
            num_prompts * num_samples * request.max_tokens,
        )

    def close(self) -> None:
        """Close the connections and end the loop; open requests are cut."""
        if self._loop.is_alive:
            self._loop.start(self._client.close()).end(cancel=False)
            self._loop.close()

    async def _ask_all(
        self,
        requests: Sequence[Request],
        outcomes: "queue.SimpleQueue[Outcome]",
        deadline_s: float,
    ) -> None:
        """Ask everything at once; the limiter decides how much that is."""
        limiter = Limiter(
            self._sessions,
            self._spec.endpoint,
            self._worker,
            max_concurrency=self._endpoint.max_concurrency,
        )
        async with limiter:
            client = _RetryingClient(
                self._client,
                limiter,
                self.max_tokens,
                deadline_s=deadline_s,
                rng=random.SystemRandom(),
            )

            async def one(place: int, request: Request) -> None:
                outcomes.put((place, await self._answer(client, request)))

            tasks = [
                asyncio.create_task(one(place, request))
                for place, request in enumerate(requests)
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(
        self, client: "_RetryingClient", request: Request
    ) -> Answer | AskFailed:
        """Ask once, or once for each sample where the endpoint takes no `n`."""
        num_prompts, num_samples = _num_calls(request, self.capabilities)
        each = [
            replace(request, num_samples=num_samples, seed=request.seed + number)
            for number in range(num_prompts)
        ]
        parts = await asyncio.gather(*map(client.answer, each))
        return _joined(parts, request.num_samples)


def _num_calls(request: Request, capabilities: Capabilities) -> tuple[int, int]:
    """Say how many prompts are sent, and how many samples each draws."""
    num_drawn = request.num_drawn
    return (1, num_drawn) if capabilities.samples else (num_drawn, 1)


def _joined(
    parts: Sequence[Answer | AskFailed], num_samples: int
) -> Answer | AskFailed:
    """Make one answer of several; a part that failed fails all, and all was paid."""
    wasted = [sum(part.wasted_input_tokens for part in parts)]
    wasted.append(sum(part.wasted_output_tokens for part in parts))
    answers = [part for part in parts if isinstance(part, Answer)]
    num_input = sum(answer.input_tokens for answer in answers)
    num_output = sum(answer.output_tokens for answer in answers)
    for part in parts:
        if isinstance(part, AskFailed):
            return replace(
                part,
                wasted_input_tokens=wasted[0] + num_input,
                wasted_output_tokens=wasted[1] + num_output,
            )
    samples = tuple(sample for answer in answers for sample in answer.samples)
    if len(samples) < num_samples:
        samples *= num_samples
    return Answer(samples, num_input, num_output, *wasted)


@dataclass(slots=True)
class _Attempts:
    """What one request went through so far."""

    num_answered_before: int
    wasted_input: int = 0
    wasted_output: int = 0
    num_tries: int = 0
    num_lost: int = 0
    num_crashes: int = 0
    is_sent: bool = False
    last: str = "it was never its turn"

    def lose(self, usage: tuple[int, int]) -> None:
        """Count an attempt that may have been billed."""
        self.num_lost += 1
        self.wasted_input += usage[0]
        self.wasted_output += usage[1]

    def failed(self, error: str, *, is_transient: bool) -> AskFailed:
        return AskFailed(
            error,
            is_transient=is_transient,
            wasted_input_tokens=self.wasted_input,
            wasted_output_tokens=self.wasted_output,
        )


class _RetryingClient:
    """Asks the requests of one shard, until its deadline.

    Args:
        client: of the endpoint.
        limiter: says when a request may be sent, and hears what came of it.
        bound: the most tokens that one call costs, where the endpoint does not say.
        deadline_s: seconds from now after which nothing is asked any more.
        rng: jitter.
    """

    def __init__(
        self,
        client: EndpointClient,
        limiter: Limiter,
        bound: Callable[[Request], tuple[int, int]],
        *,
        deadline_s: float,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._limiter = limiter
        self._bound = bound
        self._deadline_s = deadline_s
        self._until = time.monotonic() + deadline_s
        self._rng = rng
        self._num_answered = 0
        self._is_wide = False

    async def answer(self, request: Request) -> Answer | AskFailed:
        """Ask one request, as often as it takes.

        Raises:
            InvalidConfig: the operator must correct the endpoint's settings.
        """
        attempts = _Attempts(self._num_answered)
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                return await self._ask(request, attempts)
        except TimeoutError:
            if attempts.is_sent:
                attempts.lose(self._bound(request))
            return attempts.failed(
                f"no answer from endpoint {self._client.name!r} within "
                f"{self._deadline_s:g} s ({attempts.num_tries} tries; the last: "
                f"{attempts.last}); it is asked again in a later round",
                is_transient=True,
            )

    async def _ask(self, request: Request, attempts: _Attempts) -> Answer | AskFailed:
        """Try until there is an answer or a reason to give up."""
        while True:
            try:
                answer = await self._try(request, attempts)
            except RequestRejected as error:
                return attempts.failed(str(error), is_transient=error.is_transient)
            except AnswerFault as fault:
                failed = self._after_fault(fault, attempts, request)
                is_again_at_once = fault.kind == "sparse"
            except EndpointUnavailable as error:
                failed = self._after_refusal(error, attempts, request)
                is_again_at_once = False
            else:
                self._num_answered += 1
                return replace(
                    answer,
                    wasted_input_tokens=attempts.wasted_input,
                    wasted_output_tokens=attempts.wasted_output,
                )
            if failed is not None:
                return failed
            if not is_again_at_once:
                await asyncio.sleep(self._backoff_s(attempts.num_tries))

    async def _try(self, request: Request, attempts: _Attempts) -> Answer:
        """Send it once, in a slot of its own."""
        async with self._limiter.slot() as sent_at:
            attempts.num_tries += 1
            attempts.is_sent = True
            try:
                body, expected = await self._send(request)
            except EndpointUnavailable as error:
                self._limiter.refused(sent_at, pause_s=error.pause_s)
                raise
            finally:
                attempts.is_sent = False
            try:
                answer = read_answer(body, expected)
            except AnswerFault as fault:
                # Another's page, or half a body: no sign that more is bearable.
                if fault.kind == "garbled":
                    self._limiter.refused(sent_at)
                raise
            self._limiter.answered()
            return answer

    async def _send(self, request: Request) -> tuple[bytes, ExpectedAnswer]:
        """Send it, within a request's own time."""
        is_wide = self._is_wide
        num_top = MAX_TOP_LOGPROBS if is_wide else len(request.choices)
        timeout_s = self._client.request_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                ids = await self._client.choice_ids(request.choices)
                body = await self._client.complete(
                    request, ids, top_logprobs=min(MAX_TOP_LOGPROBS, num_top)
                )
        except TimeoutError:
            raise EndpointUnavailable(
                f"endpoint {self._client.name!r} did not answer within {timeout_s:g} s",
                may_be_billed=True,
            ) from None
        return body, ExpectedAnswer(
            request, ids, self._bound(request), may_lack=is_wide
        )

    def _after_fault(
        self, fault: AnswerFault, attempts: _Attempts, request: Request
    ) -> AskFailed | None:
        """Count an answer that cannot be used; give up where asking again is vain."""
        attempts.last = f"endpoint {self._client.name!r} answered, but {fault}"
        attempts.lose(fault.usage or self._bound(request))
        if fault.kind == "sparse":
            # All that follow are asked for more at once.
            self._is_wide = True
            attempts.num_lost -= 1
            return None
        if fault.kind == "filtered":
            return attempts.failed(attempts.last, is_transient=False)
        return self._if_lost_too_often(attempts, is_transient=fault.kind == "garbled")

    def _after_refusal(
        self, error: EndpointUnavailable, attempts: _Attempts, request: Request
    ) -> AskFailed | None:
        """Count a refusal; give up where it costs too much, or is the request's."""
        attempts.last = str(error)
        if error.may_be_billed:
            attempts.lose(self._bound(request))
            return self._if_lost_too_often(attempts, is_transient=True)
        attempts.num_crashes += error.is_crash
        others_answered = self._num_answered > attempts.num_answered_before
        if attempts.num_crashes >= MAX_CRASHES and others_answered:
            return attempts.failed(
                f"{attempts.last}, {attempts.num_crashes} times, while it answers "
                "others",
                is_transient=False,
            )
        if self._limiter.paused_s > self._until - time.monotonic():
            return attempts.failed(
                f"{attempts.last}; it wants a pause of {self._limiter.paused_s:.0f} s, "
                "longer than the shard's deadline",
                is_transient=True,
            )
        return None

    def _if_lost_too_often(
        self, attempts: _Attempts, *, is_transient: bool
    ) -> AskFailed | None:
        if attempts.num_lost < MAX_LOST:
            return None
        return attempts.failed(
            f"{attempts.last}; {attempts.num_lost} attempts that may have been billed "
            "were lost, no more are made",
            is_transient=is_transient,
        )

    def _backoff_s(self, num_tries: int) -> float:
        """Wait anything up to a bound that doubles.

        Source: exponential backoff with full jitter, Brooker 2015 (AWS Architecture).
        """
        longest = min(LAST_BACKOFF_S, self._client.request_timeout_s)
        exponent = min(num_tries - 1, 16)
        return self._rng.uniform(0, min(longest, FIRST_BACKOFF_S * 2**exponent))
