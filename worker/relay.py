"""The relay: sends hints for the jobs that Postgres chose, and mends what was lost.

Any number of relays may run. A worker tops up too when a job of its own has ended, so
that a slot never waits for the next poll.
"""

import logging
import signal
import threading
import time
from typing import Protocol

import redis
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from db.garbage import EVENT, Collected, collect, is_due
from db.queries import dispatch, loops, records, reservations, rights
from db.queries.dispatch import Hint
from db.queries.locks import RELAY, take_lock
from worker.bisection import after_lost_lease
from worker.pipeline import advance
from worker.settings import WorkerSettings

LOGGER = logging.getLogger(__name__)
# A hint older than this is sent again even if its queue is not empty.
MAX_HINT_AGE_S = 120.0
# How often every running round is looked at, in case a step was never opened.
RECOUNT_S = 5.0
# How often somebody asks whether the daily collection is due.
COLLECT_S = 600.0


class Sender(Protocol):
    """The broker as the relay sees it; the seam where tests count messages."""

    def send(self, hint: Hint) -> None:
        """Send one hint.

        Raises:
            ConnectionError: the broker does not answer; the hint counts as lost.
        """
        ...

    def depth(self, queue: str) -> int:
        """Count the messages that wait in a queue.

        Raises:
            ConnectionError: the broker does not answer.
        """
        ...


def top_up(sessions: sessionmaker[Session], sender: Sender) -> int:
    """Choose the next jobs, commit, then send their hints; returns how many.

    A hint that is lost after the commit is sent again by `mend`.
    """
    with sessions.begin() as session:
        hints = dispatch.choose_hints(session)
    for hint in hints:
        sender.send(hint)
    return len(hints)


def mend(
    sessions: sessionmaker[Session],
    sender: Sender,
    *,
    resend_s: float,
    max_reader_s: float = rights.MAX_READER_S,
) -> None:
    """Take back expired leases, and let lost hints be sent again.

    Readers' sessions that last too long are ended: a login can lift its own limits.
    """
    with sessions.begin() as session:
        for job in dispatch.expire_leases(session):
            LOGGER.warning("job %d lost its lease (%d)", job.id, job.num_lost_leases)
            after_lost_lease(session, job)
    with sessions.begin() as session:
        num_lost = reservations.settle(session)
    if num_lost:
        LOGGER.warning("%d paid requests were lost with their attempts", num_lost)
    with sessions() as session:
        num_ended = rights.end_overlong(session, max_s=max_reader_s)
    if num_ended:
        LOGGER.warning("%d sessions of %s lasted too long", num_ended, rights.READER)
    with sessions() as session:
        stale = dispatch.stale_hints(session, age_s=resend_s)
    for queue in stale:
        # Waiting hints stand in the queue; an empty one has lost them.
        age_s = resend_s if sender.depth(queue) == 0 else MAX_HINT_AGE_S
        with sessions.begin() as session:
            num_lost = dispatch.forget_hints(session, queue, age_s=age_s)
        if num_lost:
            LOGGER.warning("%d hints of %s are sent again", num_lost, queue)


def recount(sessions: sessionmaker[Session]) -> None:
    """Look at every running round and open the step that is due, if any."""
    with sessions() as session:
        round_ids = loops.running_rounds(session)
    for round_id in round_ids:
        with sessions.begin() as session:
            advance(session, round_id, num_finished=0)


def collect_nightly(
    sessions: sessionmaker[Session], settings: WorkerSettings
) -> Collected | None:
    """Collect garbage once a day, whichever relay looks first; None if it is not due.

    The event is written before the work: another relay that looks meanwhile leaves it.
    """
    with sessions.begin() as session:
        take_lock(session, RELAY)
        if not is_due(session):
            return None
        event_id = records.add_event(session, "relay", EVENT)
    found = collect(sessions, settings.artifacts, days=settings.retention_days)
    with sessions.begin() as session:
        records.set_detail(session, event_id, found.as_dict())
    return found


def _collect_aside(sessions: sessionmaker[Session], settings: WorkerSettings) -> None:
    """Collect in a thread: hints do not wait for files to be deleted."""

    def run() -> None:
        try:
            if found := collect_nightly(sessions, settings):
                LOGGER.info("collected %s", found)
        except (DBAPIError, OSError) as error:
            LOGGER.warning("garbage is collected another time: %s", error)

    threading.Thread(target=run, name="garbage", daemon=True).start()


def run_relay(
    sessions: sessionmaker[Session],
    sender: Sender,
    settings: WorkerSettings,
    stop: threading.Event,
) -> None:
    """Relay until told to stop; outages of either service are waited out."""
    next_recount = 0.0
    next_mend = 0.0
    next_collection = time.monotonic() + COLLECT_S
    pause_s = settings.relay_poll_s
    while not stop.wait(pause_s):
        try:
            now = time.monotonic()
            if now >= next_mend:
                mend(sessions, sender, resend_s=settings.resend_s)
                next_mend = now + min(1.0, settings.resend_s / 2)
            if now >= next_recount:
                recount(sessions)
                next_recount = now + RECOUNT_S
            if now >= next_collection:
                _collect_aside(sessions, settings)
                next_collection = now + COLLECT_S
            top_up(sessions, sender)
            pause_s = settings.relay_poll_s
        except (DBAPIError, OSError, redis.RedisError) as error:
            pause_s = min(5.0, pause_s * 2)
            LOGGER.warning("relay waits %.1f s: %s", pause_s, error)


def stop_on_signals() -> threading.Event:
    """Give an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
