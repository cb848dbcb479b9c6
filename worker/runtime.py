"""What a job may use: sessions, artifacts, settings, and what stays loaded.

One runtime per process. A forked child makes its own: connections and locks of the
parent do not survive a fork.
"""

import os
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.orm import Session, sessionmaker

from db.engine import make_engine, make_sessions
from worker.artifacts import ArtifactStore
from worker.settings import WorkerSettings

T = TypeVar("T")
# Models and voters stay loaded between jobs, but only as many as this.
MAX_RESIDENT = 8


@dataclass(slots=True)
class Runtime:
    """The surroundings of every job in this process."""

    settings: WorkerSettings
    sessions: sessionmaker[Session]
    artifacts: ArtifactStore
    worker: str
    _resident: OrderedDict[str, Any] = field(default_factory=OrderedDict)

    def resident(self, key: str, make: Callable[[], T]) -> T:
        """Give what `key` names, made once and kept while it is in use."""
        if key not in self._resident:
            self._resident[key] = make()
            while len(self._resident) > MAX_RESIDENT:
                self._resident.popitem(last=False)
        self._resident.move_to_end(key)
        value: T = self._resident[key]
        return value


def make_runtime(settings: WorkerSettings) -> Runtime:
    """Build a runtime; connects only when a session is first used."""
    engine = make_engine(
        settings.database_url.get_secret_value(),
        # A thread worker needs one for the job, one for its heartbeat, one to relay.
        pool_size=4,
        application_name=f"farm worker {settings.worker_name}",
        pre_ping=False,
    )
    return Runtime(
        settings=settings,
        sessions=make_sessions(engine),
        artifacts=ArtifactStore(settings.artifacts),
        worker=settings.worker_name or f"{socket.gethostname()}-{os.getpid()}",
    )
