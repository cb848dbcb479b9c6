"""Ask an endpoint until it answers: what is tried again, when, and at what cost."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kompress.teachers.request import Answer, AskFailed, Request
from worker.transports.limiter import Limiter
from worker.transports.openai_answers import AnswerFault, Reading, read_answer
from worker.transports.openai_client import (
    MAX_TOP_LOGPROBS,
    EndpointClient,
    Refused,
    Rejected,
)

FIRST_BACKOFF_S = 0.5
LAST_BACKOFF_S = 30.0
# Attempts of one request that may have been billed and gave nothing: late, cut, or an
# answer that cannot be used.
MAX_LOST = 3
# 500s of one request while others are answered: the request breaks the endpoint.
MAX_CRASHES = 8


@dataclass(slots=True)
class _Story:
    """What one request went through."""

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


class PatientAsker:
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
        story = _Story(self._num_answered)
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                return await self._ask(request, story)
        except TimeoutError:
            if story.is_sent:
                story.lose(self._bound(request))
            return story.failed(
                f"no answer from endpoint {self._client.name!r} within "
                f"{self._deadline_s:g} s ({story.num_tries} tries; the last: "
                f"{story.last}); it is asked again in a later round",
                is_transient=True,
            )

    async def _ask(self, request: Request, story: _Story) -> Answer | AskFailed:
        """Try until there is an answer or a reason to give up."""
        while True:
            try:
                answer = await self._try(request, story)
            except Rejected as error:
                return story.failed(str(error), is_transient=error.is_transient)
            except AnswerFault as fault:
                failed = self._after_fault(fault, story, request)
                is_again_at_once = fault.kind == "sparse"
            except Refused as error:
                failed = self._after_refusal(error, story, request)
                is_again_at_once = False
            else:
                self._num_answered += 1
                return replace(
                    answer,
                    wasted_input_tokens=story.wasted_input,
                    wasted_output_tokens=story.wasted_output,
                )
            if failed is not None:
                return failed
            if not is_again_at_once:
                await asyncio.sleep(self._backoff_s(story.num_tries))

    async def _try(self, request: Request, story: _Story) -> Answer:
        """Send it once, in a slot of its own."""
        async with self._limiter.slot() as sent_at:
            story.num_tries += 1
            story.is_sent = True
            try:
                body, reading = await self._send(request)
            except Refused as error:
                self._limiter.refused(sent_at, pause_s=error.pause_s)
                raise
            finally:
                story.is_sent = False
            try:
                answer = read_answer(body, reading)
            except AnswerFault as fault:
                # Another's page, or half a body: no sign that more is bearable.
                if fault.kind == "garbled":
                    self._limiter.refused(sent_at)
                raise
            self._limiter.answered()
            return answer

    async def _send(self, request: Request) -> tuple[bytes, Reading]:
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
            raise Refused(
                f"endpoint {self._client.name!r} did not answer within {timeout_s:g} s",
                may_be_billed=True,
            ) from None
        return body, Reading(request, ids, self._bound(request), may_lack=is_wide)

    def _after_fault(
        self, fault: AnswerFault, story: _Story, request: Request
    ) -> AskFailed | None:
        """Count an answer that cannot be used; give up where asking again is vain."""
        story.last = f"endpoint {self._client.name!r} answered, but {fault}"
        story.lose(fault.usage or self._bound(request))
        if fault.kind == "sparse":
            # All that follow are asked for more at once.
            self._is_wide = True
            story.num_lost -= 1
            return None
        if fault.kind == "filtered":
            return story.failed(story.last, is_transient=False)
        return self._if_lost_too_often(story, is_transient=fault.kind == "garbled")

    def _after_refusal(
        self, error: Refused, story: _Story, request: Request
    ) -> AskFailed | None:
        """Count a refusal; give up where it costs too much, or is the request's."""
        story.last = str(error)
        if error.may_be_billed:
            story.lose(self._bound(request))
            return self._if_lost_too_often(story, is_transient=True)
        story.num_crashes += error.is_crash
        others_answered = self._num_answered > story.num_answered_before
        if story.num_crashes >= MAX_CRASHES and others_answered:
            return story.failed(
                f"{story.last}, {story.num_crashes} times, while it answers others",
                is_transient=False,
            )
        if self._limiter.paused_s > self._until - time.monotonic():
            return story.failed(
                f"{story.last}; it wants a pause of {self._limiter.paused_s:.0f} s, "
                "longer than the shard's deadline",
                is_transient=True,
            )
        return None

    def _if_lost_too_often(
        self, story: _Story, *, is_transient: bool
    ) -> AskFailed | None:
        if story.num_lost < MAX_LOST:
            return None
        return story.failed(
            f"{story.last}; {story.num_lost} attempts that may have been billed were "
            "lost, no more are made",
            is_transient=is_transient,
        )

    def _backoff_s(self, num_tries: int) -> float:
        """Wait anything up to a bound that doubles.

        Source: exponential backoff with full jitter, Brooker 2015 (AWS Architecture).
        """
        longest = min(LAST_BACKOFF_S, self._client.request_timeout_s)
        exponent = min(num_tries - 1, 16)
        return self._rng.uniform(0, min(longest, FIRST_BACKOFF_S * 2**exponent))
