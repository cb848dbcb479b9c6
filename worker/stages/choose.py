"""Fit qualities, verify, and let the winning reference vote."""

from sqlalchemy.orm import Session

from db.queries.jobs import JobRow
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage


def load(session: Session, job: JobRow) -> None:
    """Read nothing yet."""


def compute(runtime: Runtime, inputs: None, heartbeat: Heartbeat) -> None:
    """Compute nothing yet."""


def store(session: Session, job: JobRow, out: None) -> None:
    """Store nothing yet."""


STAGE = Stage(load=load, compute=compute, store=store)
