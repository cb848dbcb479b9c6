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
from kompress.teachers.endpoints import Endpoint, read_endpoints
from kompress.teachers.protocol import ModelSpec
from worker.artifacts import ArtifactStore
from worker.errors import EngineDied, NotHere, Retryable
from worker.settings import WorkerSettings
from worker.transports.transport import Transport, open_transport

T = TypeVar("T")
# `open_transport`, or a test's: the seam where an engine is replaced.
OpenTransport = Callable[
    [ModelSpec, WorkerSettings, sessionmaker[Session], str], Transport
]
# Models and voters stay loaded between jobs, but only as many as this.
MAX_RESIDENT = 8


@dataclass(slots=True)
class Runtime:
    """The surroundings of every job in this process."""

    settings: WorkerSettings
    sessions: sessionmaker[Session]
    artifacts: ArtifactStore
    worker: str
    # A child of a prefork pool: it may hold no engine.
    is_forked: bool = False
    # Its engine died: nothing may run here any more.
    is_broken: bool = False
    open_transport: OpenTransport = open_transport
    _resident: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    _engine: tuple[ModelSpec, Transport] | None = None
    _connections: dict[ModelSpec, Transport] = field(default_factory=dict)

    def resident(self, key: str, make: Callable[[], T]) -> T:
        """Give what `key` names, made once and kept while it is in use."""
        if key not in self._resident:
            self._resident[key] = make()
            while len(self._resident) > MAX_RESIDENT:
                self._resident.popitem(last=False)
        self._resident.move_to_end(key)
        value: T = self._resident[key]
        return value

    def endpoints(self) -> dict[str, Endpoint]:
        """Give the operator's endpoints, read once.

        Raises:
            InvalidConfig: their file is wrong.
        """
        path = self.settings.endpoints
        return self.resident("endpoints", lambda: read_endpoints(path))

    def transport(self, spec: ModelSpec) -> Transport:
        """Give what answers for a model; it stays open between jobs.

        A process holds one engine: a second one would fight it for the device.

        Raises:
            NotHere: another engine is resident, or the model cannot be held here.
            InvalidConfig: there is no such engine, model or endpoint.
            Retryable: the engine broke while it loaded: no text is to blame for that.
        """
        if spec.engine == "openai":
            if spec not in self._connections:
                self._connections[spec] = self._open(spec)
            return self._connections[spec]
        if self._engine is None:
            if self.is_forked:
                raise NotHere(
                    f"{spec.model!r} on {spec.engine} needs a process of its own, but "
                    f"worker {self.worker!r} forks one a slot; its supervisor restarts "
                    "it with one slot that owns the model"
                )
            self._engine = (spec, self._open(spec))
        resident, transport = self._engine
        if resident != spec:
            raise NotHere(
                f"worker {self.worker!r} holds {resident.model!r} on "
                f"{resident.engine}; {spec.model!r} on {spec.engine} needs a worker of "
                "its own: start one on this voter's queue alone"
            )
        return transport

    def give_up_engine(self) -> Transport | None:
        """Mark this process as broken, and give the engine that died in it, if any."""
        self.is_broken = True
        held, self._engine = self._engine, None
        return None if held is None else held[1]

    def _open(self, spec: ModelSpec) -> Transport:
        try:
            return self.open_transport(spec, self.settings, self.sessions, self.worker)
        except EngineDied as death:
            self.is_broken = True
            raise Retryable(
                f"{spec.engine} could not load {spec.model!r}: {death}; see the "
                "worker's log, and whether the model fits the device"
            ) from death


def make_runtime(settings: WorkerSettings, *, is_forked: bool = False) -> Runtime:
    """Build a runtime; connects only when a session is first used.

    Args:
        settings: of this worker.
        is_forked: the process is a child of a prefork pool.
    """
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
        is_forked=is_forked,
    )
