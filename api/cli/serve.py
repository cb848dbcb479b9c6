"""`farm serve`: one student as a service, in a process of its own, without torch."""

import signal
import socket
from typing import Annotated

import typer

from api.cli.options import (
    Override,
    Pairs,
    Shown,
    StudentName,
    check_choice,
    parse_override,
)
from api.cli.output import say
from api.errors import InvalidInput

GRACE_S = 30

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 for any.")
]
Engine = Annotated[
    str,
    typer.Option(
        help="onnx, onnx-int8, openvino or openvino-int8; default: the fastest."
    ),
]
MaxQueue = Annotated[
    int, typer.Option(min=1, help="Requests that may wait; others get 503.")
]
MaxBatch = Annotated[int, typer.Option(min=1, help="Tokens scored together, about.")]
Deadline = Annotated[
    float,
    typer.Option(min=0.001, help="Seconds; words not scored by then stay."),
]


def serve_student(
    student: StudentName,
    host: Host = "127.0.0.1",
    port: Port = 8010,
    engine: Engine = "",
    max_queue: MaxQueue = 64,
    max_batch: MaxBatch = 8_192,
    deadline: Deadline = 30.0,
    override: Override = "headroom-0.42",
    pairs: Pairs = False,
    as_shown: Shown = False,
) -> None:
    """Serve a student: POST /compress, the deployed client's remote contract."""
    import uvicorn

    from api.cli.loading import open_student
    from api.limits import TimedProtocol
    from api.serving import Manner, create_app
    from kompress.students.engines.registry import CPU_ENGINE, ENGINES
    from kompress.types import RULE_SETS

    rules = parse_override(override)
    if rules is not None:
        check_choice("--override", rules, RULE_SETS, ", or none")
    engine = engine or CPU_ENGINE
    light = [name for name in ENGINES if name != "torch"]
    check_choice("--engine", engine, light, ": a server does not load torch")
    with _listen(host, port) as door, open_student(student, engine=engine) as loaded:
        app = create_app(
            loaded,
            manner=Manner(rules, pairs, as_shown),
            max_queue=max_queue,
            max_batch=max_batch,
            deadline_s=deadline,
        )
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=TimedProtocol,
                log_level="warning",
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        # uvicorn raises the signal that stopped it once more; having stopped as asked
        # is no failure.
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, lambda *_: None)
        say(f"student {loaded.id[:12]} at http://{host}:{door.getsockname()[1]}")
        server.run(sockets=[door])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise InvalidInput(
            f"cannot listen on {host}:{port} ({error.strerror}); expected a free port "
            "of this machine; choose another with --port"
        ) from error
