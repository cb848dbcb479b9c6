"""`farm worker`: the processes that do the work."""

import os
import sys
from typing import Annotated

import typer

from api.cli.output import AsJson, say, show

app = typer.Typer(help="Workers: processes that run jobs.", no_args_is_help=True)

SILENT_S = 15.0  # as the relay counts slots


@app.command("start")
def start_worker(
    queue: Annotated[
        list[str], typer.Option(help="control, cpu, train or teach.VOTER; repeat it.")
    ],
    slots: Annotated[
        int, typer.Option(min=0, help="Jobs at once; 0: one a core, for train one.")
    ] = 0,
    name: Annotated[str, typer.Option(help="Its name; unique in the farm.")] = "",
) -> None:
    """Start a worker here and keep it alive; Ctrl-C hands its jobs back."""
    from api.errors import InvalidInput
    from api.settings import load_settings
    from db.kinds import CONTROL, CPU, TEACH, TRAIN

    for wanted in queue:
        known = wanted in (CONTROL, CPU, TRAIN)
        if not known and not (wanted.startswith(TEACH) and wanted != TEACH):
            raise InvalidInput(
                f"no queue is named {wanted!r}; expected {CONTROL}, {CPU}, {TRAIN} or "
                f"{TEACH}VOTER"
            )
    own_name = name or load_settings().worker_name or _make_name()
    arguments = ["start", "--name", own_name]
    for wanted in queue:
        arguments += ["--queue", wanted]
    if slots:
        arguments += ["--slots", str(slots)]
    _become_worker(arguments)


@app.command("list")
def list_workers(as_json: AsJson = False) -> None:
    """List workers, what they take and whether they are alive."""
    from api.cli.connection import open_session
    from db.queries import workers

    with open_session() as session:
        rows = workers.list_workers(session)
    for row in rows:
        row["state"] = _describe_state(row)
    columns = ("name", "state", "queues", "slots", "running_jobs", "version")
    empty = "no workers; `farm up` or `farm worker start --queue …` starts some"
    show(rows, as_json=as_json, empty=empty, columns=columns)


@app.command("drain")
def drain_worker(
    name: Annotated[str, typer.Argument(help="The worker.")],
    off: Annotated[bool, typer.Option("--off", help="Let it take jobs again.")] = False,
) -> None:
    """Let a worker finish what it has and take nothing new."""
    from api.cli.connection import actor, open_session
    from db.queries import records, workers

    with open_session() as session:
        workers.drain(session, name, on=not off)
        kind = "worker_undrained" if off else "worker_drained"
        records.add_event(session, actor(), kind, detail={"worker": name})
    say(f"{name} " + ("takes jobs again" if off else "takes no new job"))


def run_relay() -> None:
    """Run the relay, which sends hints for pending jobs."""
    _become_worker(["relay"])


def _become_worker(arguments: list[str]) -> None:
    """Replace this process, so that signals and exit codes are the worker's own."""
    from api.cli.connection import worker_environment

    environment = worker_environment()
    command = [sys.executable, "-m", "worker", *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606  # our own program


def _make_name() -> str:
    import socket

    return f"worker-{socket.gethostname()}-{os.getpid()}"


def _describe_state(row: dict[str, object]) -> str:
    silent_s = row["silent_seconds"]
    if isinstance(silent_s, float) and silent_s > SILENT_S:
        return f"silent for {silent_s:.0f} s"
    if row["stopping"]:
        return "stopping"
    return "draining" if row["draining"] else "alive"
