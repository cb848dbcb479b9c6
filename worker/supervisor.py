"""Keeps one Celery worker alive, and speaks for it in the `workers` table.

Celery 5.7 workers exit when Redis restarts, and a process past its deadline exits on
purpose: the supervisor starts the next one. SIGTERM hands running jobs back.
"""

import importlib.metadata
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from db.kinds import TEACH, TRAIN
from db.queries import voters, workers
from kompress import VERSION
from kompress.voters import VOTERS
from worker.settings import WorkerSettings

LOGGER = logging.getLogger(__name__)
BEAT_S = 2.0
MAX_BACKOFF_S = 30.0
# A child that ran this long has recovered: its next start is immediate again.
STEADY_S = 60.0
# How often a worker that forks looks whether a voter of its queues became a model.
LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What a worker takes: the pool follows from the queues."""

    name: str
    queues: tuple[str, ...]
    slots: int
    owns_model: bool = False

    @property
    def pool(self) -> str:
        """`threads` for what owns a model (its process keeps it), else `prefork`."""
        return "threads" if self.owns_model else "prefork"

    def command(self) -> list[str]:
        """Give the Celery command line."""
        return [
            sys.executable, "-m", "celery", "--app", "worker.app", "--quiet", "worker",
            "--queues", ",".join(self.queues),
            "--pool", self.pool,
            "--concurrency", str(self.slots),
            "--hostname", f"{self.name}@%h",
            "--task-events", "--without-gossip", "--without-mingle",
            "--loglevel", "INFO",
        ]  # fmt: skip


def plan_worker(
    name: str, queues: Sequence[str], slots: int | None, *, has_engine: bool = False
) -> WorkerPlan:
    """Choose the slots: one for a model's owner, else the cores.

    Args:
        name: of the worker.
        queues: what it takes.
        slots: as asked for; None to choose.
        has_engine: one of its voters is a model in the worker's own process.

    Raises:
        ValueError: a model's owner was given more than one slot.
    """
    owns_model = has_engine or TRAIN in queues
    if owns_model and slots not in (None, 1):
        owner = repr(TRAIN) if TRAIN in queues else "of a teacher"
        raise ValueError(
            f"found --slots {slots} for the queue {owner}; expected 1: a model has "
            "one owner; start more workers instead"
        )
    default = 1 if owns_model else (os.cpu_count() or 1)
    return WorkerPlan(name, tuple(queues), slots or default, owns_model)


def needs_engine(sessions: sessionmaker[Session], queues: Sequence[str]) -> bool:
    """Tell whether a voter of these queues is a model in the worker's own process.

    A voter is known once it is stored, by a user or a round. False while the
    database is away.
    """
    names = [queue.removeprefix(TEACH) for queue in queues if queue.startswith(TEACH)]
    if not names:
        return False
    try:
        with sessions() as session:
            found = voters.newest_settings(session, names)
    except DBAPIError as error:
        LOGGER.warning("which voters need an engine is unknown: %s", error.orig)
        return False
    for kind, params in found.values():
        asked = VOTERS[kind].needs_engine if kind in VOTERS else None
        if asked is not None and not asked(params).endpoint:
            return True
    return False


def supervise(
    plan: WorkerPlan,
    sessions: sessionmaker[Session],
    settings: WorkerSettings,
    stop: threading.Event,
) -> int:
    """Run the worker until told to stop; returns the exit code."""
    child: subprocess.Popen[bytes] | None = None
    started_at = 0.0
    backoff_s = 0.0
    start_at = 0.0
    look_at = time.monotonic() + LOOK_S
    is_registered = False
    while not stop.is_set():
        now = time.monotonic()
        if now > look_at:
            look_at = now + LOOK_S
            if not plan.owns_model and needs_engine(sessions, plan.queues):
                LOGGER.warning("worker %s now owns a model: one slot", plan.name)
                if child is not None:
                    _hand_back(plan, sessions, child, settings.soft_shutdown_s)
                plan = plan_worker(plan.name, plan.queues, None, has_engine=True)
                child, start_at, is_registered = None, now, False
        if child is not None and child.poll() is not None:
            steady = now - started_at > STEADY_S
            backoff_s = 0.0 if steady else min(MAX_BACKOFF_S, backoff_s * 2 + 0.5)
            LOGGER.warning(
                "worker %s exited with %s; restart in %.1f s",
                plan.name, child.returncode, backoff_s,
            )  # fmt: skip
            child, start_at = None, now + backoff_s
        if child is None and now >= start_at:
            child, started_at = _start(plan), now
        is_registered = _beat(plan, sessions, is_registered=is_registered)
        stop.wait(BEAT_S if is_registered else 0.5)
    if child is not None:
        _hand_back(plan, sessions, child, settings.soft_shutdown_s)
    _quietly(plan, sessions, "remove")
    return 0


def _start(plan: WorkerPlan) -> "subprocess.Popen[bytes]":
    """Start the Celery worker; it learns its name in `workers` from the environment."""
    environment = {**os.environ, "FARM_WORKER_NAME": plan.name}
    return subprocess.Popen(plan.command(), env=environment)  # noqa: S603  # our own argv


def _beat(
    plan: WorkerPlan, sessions: sessionmaker[Session], *, is_registered: bool
) -> bool:
    """Register or beat; False while the database is away."""
    try:
        with sessions.begin() as session:
            if not (is_registered and workers.beat(session, plan.name)):
                workers.register(
                    session,
                    plan.name,
                    queues=plan.queues,
                    slots=plan.slots,
                    version=version(),
                )
    except DBAPIError as error:
        LOGGER.warning("worker %s cannot reach the database: %s", plan.name, error.orig)
        return False
    return True


def _hand_back(
    plan: WorkerPlan,
    sessions: sessionmaker[Session],
    child: "subprocess.Popen[bytes]",
    patience_s: float,
) -> None:
    """Ask jobs to hand themselves back, then the process to end, ever more firmly."""
    _quietly(plan, sessions, "stop")
    for number, wait_s in (
        (signal.SIGTERM, patience_s),
        (signal.SIGQUIT, 5.0),
        (signal.SIGKILL, 5.0),
    ):
        child.send_signal(number)
        try:
            child.wait(wait_s)
        except subprocess.TimeoutExpired:
            LOGGER.warning("worker %s ignores %s", plan.name, number.name)
        else:
            return


def _quietly(plan: WorkerPlan, sessions: sessionmaker[Session], what: str) -> None:
    """Write the worker's end if the database is there; else its silence tells."""
    try:
        with sessions.begin() as session:
            if what == "stop":
                workers.mark_stopping(session, plan.name)
            else:
                workers.remove(session, plan.name)
    except DBAPIError as error:
        LOGGER.warning("worker %s ends unannounced: %s", plan.name, error.orig)


def version() -> str:
    """Give the farm's version, as installed or from its own source tree."""
    try:
        return importlib.metadata.version("kompress-farm")
    except importlib.metadata.PackageNotFoundError:
        return VERSION
