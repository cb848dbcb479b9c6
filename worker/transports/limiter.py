"""A worker's share of what an endpoint bears: who may send now, and what came of it.

Lives in the event loop of one transport. About once a second it tells the database what
it saw and learns how many requests it may have open (db.queries.endpoints).
"""

import asyncio
import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from db.queries import endpoints
from db.queries.endpoints import Allowance

REPORT_S = 1.0
# Long against a report's second, short against a job's minute.
LEASE_S = 15.0
LOGGER = logging.getLogger(__name__)


class Limiter:
    """Admits requests, first come first served, as far as the endpoint bears.

    A context: it reports while it is open, and gives its slots back at its end.

    Args:
        sessions: where workers share the endpoint's limit.
        endpoint: its name.
        worker: a name that no other limiter has.
        max_concurrency: the operator's limit for all workers, at least 1.
        report_s: seconds between two reports.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        endpoint: str,
        worker: str,
        *,
        max_concurrency: int,
        report_s: float = REPORT_S,
    ) -> None:
        self._sessions = sessions
        self._endpoint = endpoint
        self._worker = worker
        self._max_concurrency = max_concurrency
        self._report_s = report_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._num_open = 0
        self._slots = 0
        self._lease_until = 0.0
        self._paused_until = 0.0
        self._num_ok = 0
        self._num_refused = 0
        self._told_pause_until = 0.0
        self._reduced_at: dt.datetime | None = None
        # By our own clock: refusals of what was sent before are the burst's.
        self._learnt_reduction = 0.0
        self._asked = asyncio.Event()
        self._reporter: asyncio.Task[None] | None = None
        # A report whose task was cancelled goes on in its thread: the last one waits.
        self._in_turn = threading.Lock()

    async def __aenter__(self) -> Self:
        """Begin to report."""
        self._reporter = asyncio.create_task(self._keep_reporting())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Report what is left to tell and give the slots back."""
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.wait([self._reporter])
        await self._report(wanted=0)

    @property
    def num_open(self) -> int:
        """Requests admitted and not yet over."""
        return self._num_open

    @property
    def paused_s(self) -> float:
        """Seconds in which nobody may send, as the endpoint said; 0 for none."""
        return max(0.0, self._paused_until - time.monotonic())

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Wait for a slot and hold it; gives the time it was got, for `refused`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._asked.set()
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            # Cancelled, by a deadline, just as its turn came.
            if turn.done() and not turn.cancelled():
                self._leave()
            raise
        try:
            yield time.monotonic()
        finally:
            self._leave()

    def answered(self) -> None:
        """Say that a request was answered, while it still holds its slot."""
        # Answers prove that more is bearable only where all was used.
        if self._num_open >= self._slots:
            self._num_ok += 1

    def refused(self, sent_at: float, *, pause_s: float = 0.0) -> None:
        """Say that a request was refused, late or cut.

        Args:
            sent_at: what `slot` gave.
            pause_s: seconds in which nobody is to send, 0 for none.
        """
        if sent_at >= self._learnt_reduction:
            self._num_refused += 1
        if pause_s > 0:
            until = time.monotonic() + pause_s
            self._told_pause_until = max(self._told_pause_until, until)
            self._paused_until = max(self._paused_until, until)

    def _leave(self) -> None:
        self._num_open -= 1
        self._admit()

    def _admit(self) -> None:
        """Let in who waits, as far as there are slots."""
        now = time.monotonic()
        slots = self._slots if now < self._lease_until else 0
        if now < self._paused_until:
            return
        while self._waiting and self._num_open < slots:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._num_open += 1

    async def _keep_reporting(self) -> None:
        """Report at once when a first request comes, then about every second."""
        while True:
            await self._asked.wait()
            self._waiting = deque(turn for turn in self._waiting if not turn.done())
            wanted = self._num_open + len(self._waiting)
            if wanted == 0:
                self._asked.clear()
                continue
            await self._report(wanted=wanted)
            self._admit()
            pause = self.paused_s
            await asyncio.sleep(min(self._report_s, pause) if pause else self._report_s)
            self._admit()

    async def _report(self, *, wanted: int) -> None:
        """Tell and learn; a database that is away is told at the next report."""
        num_ok, num_refused = self._num_ok, self._num_refused
        asked_at = time.monotonic()
        pause_s = max(0.0, self._told_pause_until - asked_at)
        if num_refused:
            # What else is refused of all that was sent by now is the same burst.
            self._learnt_reduction = asked_at
        try:
            told = await asyncio.to_thread(
                self._exchange, wanted, num_ok, num_refused, pause_s
            )
        except DBAPIError as error:
            LOGGER.warning(
                "the limit of endpoint %r cannot be shared: %s",
                self._endpoint,
                error.orig,
            )
            return
        self._num_ok -= num_ok
        self._num_refused -= num_refused
        self._slots = told.slots
        # From before the question: never longer than the database thinks.
        self._lease_until = asked_at + LEASE_S
        if told.reduced_at != self._reduced_at:
            self._reduced_at = told.reduced_at
            self._learnt_reduction = time.monotonic()
        if told.paused_s > 0:
            self._paused_until = time.monotonic() + told.paused_s

    def _exchange(
        self, wanted: int, num_ok: int, num_refused: int, pause_s: float
    ) -> Allowance:
        """One transaction, in a thread beside the loop."""
        with self._in_turn, self._sessions.begin() as session:
            return endpoints.report(
                session,
                self._endpoint,
                self._worker,
                wanted=min(wanted, self._max_concurrency),
                num_ok=num_ok,
                num_refused=num_refused,
                pause_s=pause_s,
                max_concurrency=self._max_concurrency,
                lease_s=LEASE_S,
            )
