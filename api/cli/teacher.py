"""Teachers on the command line: what they need of this machine, and one question."""

from typing import TYPE_CHECKING, Any

from api.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kompress.teachers.protocol import ModelSpec

# What of a teacher's parameters a listing shows in columns of their own.
SHOWN = ("protocol", "criterion", "engine", "model", "endpoint")


def is_teacher(kind: str) -> bool:
    """Tell whether a kind of voter asks a model that only a worker holds."""
    from kompress.voters import VOTERS

    return kind in VOTERS and VOTERS[kind].needs_engine is not None


def declare_teacher(params: "Mapping[str, Any]") -> bytes:
    """Write down what a teacher's endpoint or engine can do.

    Raises:
        InvalidConfig: the params are wrong, or the file that FARM_ENDPOINTS names has
            no such endpoint, or one without that model.
    """
    from api.settings import load_settings
    from kompress.teachers.endpoints import read_endpoints
    from kompress.voters.teacher import declare

    return declare(params, read_endpoints(load_settings().endpoints))


def describe_teacher(params: "Mapping[str, Any]") -> dict[str, Any]:
    """Give what a listing shows of a teacher: its parameters, defaults included."""
    return {key: params.get(key) for key in SHOWN}


def explain_start(name: str, spec: "ModelSpec") -> None:
    """Say how to start what answers for a teacher."""
    start = f"farm worker start --queue teach.{name} --slots 1"
    if spec.engine == "openai":
        say(f"\nand start a worker on its queue, anywhere: {start}")
        say(
            f"workers share the limit of endpoint {spec.endpoint!r}; FARM_ENDPOINTS "
            "must name the same file on each of their machines"
        )
        return
    devices = ",".join(map(str, range(spec.gpus))) or "0"
    say(f"\nand start a worker on its queue, on the GPUs that it is to have:\n\n"
        f"CUDA_VISIBLE_DEVICES={devices} {start}\n")  # fmt: skip
    say(
        f"it loads {spec.model} once, onto all GPUs that it sees"
        + (f" (it wants {spec.gpus})" if spec.gpus else "")
        + ", and no other teacher gets them meanwhile"
    )


def ask_teacher(name: str, params: "Mapping[str, Any]", text: str) -> dict[str, Any]:
    """Let a worker's own program ask a teacher about one text; nothing is stored.

    Raises:
        InvalidInput: there is no answer; says why.
    """
    import json
    import subprocess
    import sys

    from api.cli.connection import worker_environment
    from api.errors import InvalidInput

    question = {"name": name, "params": dict(params), "text": text}
    done = subprocess.run(  # our own program
        [sys.executable, "-m", "worker", "ask"],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=worker_environment(),
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        # What a worker says before it can answer: settings, or a library's last words.
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InvalidInput(
            f"the worker's program gave no answer: {lines[-1]}; expected an engine of "
            f"{params.get('engine')!r} here; run this where the teacher's workers run"
        ) from None
    if "error" in answer:
        raise InvalidInput(str(answer["error"]))
    return dict(answer)
