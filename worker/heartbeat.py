"""The heartbeat of a running job: renews the lease only while there is progress.

A thread beside `compute`. It carries flags back (stop, pause, cancel, lost lease) and
ends the process when an attempt outlives its deadline: a wedged computation cannot be
stopped from within, but its supervisor starts a new process.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from db.queries import jobs
from db.queries.jobs import JobRow
from worker.errors import Interrupted
from worker.runtime import Runtime

EXIT_DEADLINE = 70
HEAD_START_S = 0.02
# For numerical work that cannot report: fits of many voters, resamples of many groups.
# The longest takes a minute.
PATIENCE_S = 600.0
LOGGER = logging.getLogger(__name__)


class Heartbeat:
    """Context of one attempt: `compute` reports progress to it, the thread renews."""

    def __init__(
        self,
        runtime: Runtime,
        job: JobRow,
        *,
        at_start: Callable[[], object] = lambda: None,
    ) -> None:
        self._runtime = runtime
        self._at_start = at_start
        self._job = job
        self._done = 0
        self._total = 0
        self._ticks = 1  # a claim counts as progress: the first renewal is free
        self._seen_ticks = 0
        self._interrupted = ""
        self._patient_until = 0.0
        self._renewed_at = time.monotonic()
        self._started_at = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"heartbeat-{job.id}", daemon=True
        )

    def __enter__(self) -> Self:
        """Start to beat."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to beat."""
        self._ended.set()
        self._thread.join()

    @property
    def job(self) -> JobRow:
        """The job whose attempt this is."""
        return self._job

    @property
    def elapsed_s(self) -> float:
        """Seconds since the attempt began."""
        return time.monotonic() - self._started_at

    def tick(self) -> None:
        """Report progress within a unit, as `progress` does between units.

        Raises:
            Interrupted: the job must hand itself back now.
        """
        self.progress(self._done, self._total)

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Renew the lease without progress for so long: what follows cannot report."""
        self._patient_until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._patient_until = 0.0
            self._ticks += 1

    def progress(self, done: int, total: int) -> None:
        """Report progress; call it at least every third of a lease.

        Args:
            done: units finished in this attempt.
            total: units there are.

        Raises:
            Interrupted: the job must hand itself back now.
        """
        self._done, self._total = done, total
        self._ticks += 1
        if self._interrupted:
            raise Interrupted(self._interrupted)

    def store_slice(self, write: Callable[[Session], None]) -> None:
        """Store part of the result now, in a fenced transaction of its own.

        Raises:
            LeaseLost: another attempt owns the job; nothing was stored.
        """
        with self._runtime.sessions.begin() as session:
            jobs.fence(session, self._job)
            write(session)

    def _run(self) -> None:
        """Beat until the attempt ends."""
        settings = self._runtime.settings
        # After `load`, which it would slow down; a job that is over by then waits.
        self._ended.wait(HEAD_START_S)
        self._at_start()
        while not self._ended.wait(settings.heartbeat_s):
            if time.monotonic() - self._started_at > self._job.deadline_s:
                LOGGER.error(
                    "%s passed its deadline of %d s; this process exits",
                    self._job.title,
                    self._job.deadline_s,
                )
                os._exit(EXIT_DEADLINE)
            try:
                self._beat(settings.lease_s)
            except DBAPIError as error:
                # The database may be restarting; the lease outlasts a short pause.
                LOGGER.warning("heartbeat of %s: %s", self._job.title, error.orig)

    def _beat(self, lease_s: float) -> None:
        """Renew if a third of the lease is over and something moved; read flags."""
        ticks = self._ticks
        is_patient = time.monotonic() < self._patient_until
        has_progressed = is_patient or ticks != self._seen_ticks
        is_due = time.monotonic() - self._renewed_at > lease_s / 3
        with self._runtime.sessions.begin() as session:
            pulse = jobs.renew(
                session,
                self._job,
                lease_s=lease_s,
                done=self._done,
                total=self._total,
                has_progressed=has_progressed and is_due,
            )
        if has_progressed and is_due:
            self._seen_ticks = ticks
            self._renewed_at = time.monotonic()
        self._interrupted = pulse.interrupted
