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
from dataclasses import replace

from sqlalchemy.orm import Session, sessionmaker

from kompress.teachers.endpoints import find_endpoint, read_endpoints
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Capabilities, Request
from worker.settings import WorkerSettings
from worker.transports.background import LoopThread
from worker.transports.limiter import Limiter
from worker.transports.openai_client import EndpointClient
from worker.transports.patient import PatientAsker

TICK_S = 0.2
# What a chat template adds to system and user text, generously.
OVERHEAD_TOKENS = 256

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
        ticked_at = 0.0
        num_missing = len(requests)
        try:
            while num_missing:
                now = time.monotonic()
                if now - ticked_at >= TICK_S and self._loop.is_alive:
                    tick()
                    ticked_at = now
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
            asker = PatientAsker(
                self._client,
                limiter,
                self.max_tokens,
                deadline_s=deadline_s,
                rng=random.SystemRandom(),
            )

            async def one(place: int, request: Request) -> None:
                outcomes.put((place, await self._answer(asker, request)))

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
        self, asker: PatientAsker, request: Request
    ) -> Answer | AskFailed:
        """Ask once, or once for each sample where the endpoint takes no `n`."""
        num_prompts, num_samples = _num_calls(request, self.capabilities)
        each = [
            replace(request, num_samples=num_samples, seed=request.seed + number)
            for number in range(num_prompts)
        ]
        parts = await asyncio.gather(*map(asker.answer, each))
        return _joined(parts, request.num_samples)


def _num_calls(request: Request, capabilities: Capabilities) -> tuple[int, int]:
    """Say how many prompts are sent, and how many samples each draws.

    At temperature 0 all samples are one.
    """
    num_drawn = request.num_samples if request.temperature else 1
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
