"""How much time and room a client may take: what keeps one from blocking all others.

`ClientLimits` counts requests and times their bodies; `TimedProtocol` times what comes
before a request is known at all, which no ASGI middleware sees.
"""

import asyncio
import time
from collections import OrderedDict
from typing import Any

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from api.problems import RETRY_S, problem

# Answered however many requests run: who watches the service must always hear it.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
MAX_REQUESTS = 64
# Without a byte for so long, or slower than this, a client is gone or means no good.
IDLE_S = 20.0
MIN_BYTES_S = 1_024
HEADERS_S = 10.0
# Wrong keys of one address: so many at once, then one every few seconds.
MAX_FAILURES = 20
REFILL_S = 3.0
MAX_ADDRESSES = 4_096


class ClientLimits:
    """Refuse requests beyond a number, and bodies that do not come."""

    def __init__(
        self, app: ASGIApp, *, max_requests: int = MAX_REQUESTS, idle_s: float = IDLE_S
    ) -> None:
        """Wrap an app.

        Args:
            app: what answers.
            max_requests: that run at once, `OPEN_PATHS` aside.
            idle_s: seconds that a body may make the server wait, and one more for each
                `MIN_BYTES_S` bytes that came.
        """
        self._app = app
        self._max_requests = max_requests
        self._idle_s = idle_s
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        if self._running >= self._max_requests:
            refusal = problem(
                503,
                f"{self._max_requests} requests run already; expected fewer; send this "
                "one again later",
                instance=scope["path"],
                headers={"Retry-After": str(RETRY_S)},
            )
            await refusal(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, self._timed(receive), send)
        finally:
            self._running -= 1

    def _timed(self, receive: Receive) -> Receive:
        """Bound the time that is spent waiting for a body, not that of its handling."""
        left_s = self._idle_s
        is_whole = False

        async def receive_in_time() -> Message:
            nonlocal left_s, is_whole
            if is_whole:  # what comes now is that the client has gone
                return await receive()
            began = time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(left_s, 0.0))
            except TimeoutError:
                raise HTTPException(
                    408,
                    "the body did not come in time; expected it within "
                    f"{self._idle_s:g} s, and {MIN_BYTES_S:,} bytes a second; send the "
                    "request again",
                    {"Connection": "close"},
                ) from None
            size = len(message.get("body", b""))
            left_s += size / MIN_BYTES_S - (time.monotonic() - began)
            left_s = min(left_s, self._idle_s)
            is_whole = not message.get("more_body", False)
            return message

        return receive_in_time


class FailedLogins:
    """A bucket of attempts for each address: wrong keys empty it, time fills it."""

    def __init__(
        self, max_failures: int = MAX_FAILURES, refill_s: float = REFILL_S
    ) -> None:
        """Prepare.

        Args:
            max_failures: wrong keys that an address may send at once.
            refill_s: seconds until it may send one more.
        """
        self._max_failures = max_failures
        self._refill_s = refill_s
        # Address to (attempts left, since when); the least recent is forgotten.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Say how many seconds an address has to wait; 0 if it may try."""
        left = self._left(address, time.monotonic())
        return 0.0 if left >= 1 else (1 - left) * self._refill_s

    def count(self, address: str) -> None:
        """Count a wrong key."""
        now = time.monotonic()
        self._buckets[address] = (self._left(address, now) - 1, now)
        self._buckets.move_to_end(address)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)

    def _left(self, address: str, now: float) -> float:
        left, since = self._buckets.get(address, (float(self._max_failures), now))
        return min(self._max_failures, left + (now - since) / self._refill_s)


class TimedProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # h11's or httptools'
    """uvicorn's protocol, that closes connections whose request does not come."""

    headers_s = HEADERS_S

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.headers_s, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        """Stop waiting once a request runs."""
        super().data_received(data)
        if self._is_answering():
            self._timer.cancel()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._timer.cancel()
        self._timer = self.loop.call_later(self.headers_s, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if not self._is_answering():
            self.transport.close()
