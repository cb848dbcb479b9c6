"""What turns requests into answers: a model in this process, or an endpoint."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sqlalchemy.orm import Session, sessionmaker

from kompress.errors import InvalidConfig
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Capabilities, Request
from worker.errors import NotHere
from worker.settings import WorkerSettings


class Transport(Protocol):
    """A model that can be asked; one caller at a time."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; protocols fall back by this."""
        ...

    def ask(
        self,
        requests: Sequence[Request],
        *,
        tick: Callable[[], None],
        deadline_s: float,
    ) -> Iterator[tuple[int, Answer | AskFailed]]:
        """Answer requests, all in flight at once up to the engine's own limit.

        Args:
            requests: what is asked.
            tick: called at least once a second while there is progress; what it raises
                aborts the open requests and is raised here.
            deadline_s: seconds from now after which open requests fail.

        Yields:
            The request's place in `requests` and its answer, as they come: every place
            once. A request's own fault is an AskFailed that is not transient; the
            engine's or endpoint's lateness is a transient one.

        Raises:
            EngineDied: this process's engine can answer nothing any more.
        """
        ...

    def max_tokens(self, request: Request) -> tuple[int, int]:
        """Give the most input and output tokens that a request can cost."""
        ...

    def close(self) -> None:
        """Free what it holds: memory, devices, connections."""
        ...


def open_transport(
    spec: ModelSpec,
    settings: WorkerSettings,
    sessions: sessionmaker[Session],
    worker_name: str,
) -> Transport:
    """Load the model, or connect to the endpoint, that a voter's settings name.

    Args:
        spec: engine, model, revision, endpoint, dtype, GPUs and longest prompt.
        settings: `endpoints` and `gpu_locks` of this worker.
        sessions: of the database, where workers share an endpoint's limit.
        worker_name: whose share of that limit this is.

    Raises:
        InvalidConfig: there is no such engine, model or endpoint.
        NotHere: a device that the model needs is held by another process, or vLLM
            is not installed here.
        EngineDied: the engine broke while it loaded.
    """
    # An engine takes seconds to import, and each environment has only some of them.
    if spec.engine == "vllm":
        if importlib.util.find_spec("vllm") is None:
            raise NotHere(
                "vLLM is not installed in this worker's environment; start a worker in "
                "one that has it (requirements/teacher.txt, vllm.txt without a GPU)"
            )
        from worker.transports.vllm_engine import VllmEngine  # noqa: PLC0415

        return VllmEngine(spec, gpu_locks=settings.gpu_locks)
    if spec.engine == "transformers":
        from worker.transports.transformers_engine import (  # noqa: PLC0415
            TransformersEngine,
        )

        return TransformersEngine(spec, gpu_locks=settings.gpu_locks)
    if spec.engine == "openai":
        from worker.transports.openai_endpoint import OpenAIEndpoint  # noqa: PLC0415

        return OpenAIEndpoint(spec, settings, sessions, worker_name)
    raise InvalidConfig(
        f"found engine {spec.engine!r}; expected vllm, transformers or openai; correct "
        "the voter's `engine`"
    )
