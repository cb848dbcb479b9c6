"""Warn before a round spends money on a rule that would collapse."""

from sqlalchemy.orm import Session

from db.queries.jobs import JobRow
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage


def load(session: Session, job: JobRow) -> None:
    """Read nothing yet."""


def compute(runtime: Runtime, inputs: None, heartbeat: Heartbeat) -> None:
    """Find nothing yet."""
    heartbeat.progress(0, 1)


def store(session: Session, job: JobRow, out: None) -> None:
    """Write nothing yet."""


STAGE = Stage(load=load, compute=compute, store=store)
