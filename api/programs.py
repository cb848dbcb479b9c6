"""Which programs make a farm on one machine, with the environment of each."""

import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.embedded import Services
from api.errors import InvalidInput
from api.stack import Program
from db.kinds import CONTROL, CPU, TEACH, TRAIN

HOST = "127.0.0.1"
NUM_CPU_SLOTS = 2
# Two: the students of a round train side by side, faster than one after the other.
TRAINERS = ("worker-train-1", "worker-train-2")
READY_TIMEOUT_S = 60.0
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Doors:
    """Where people find the farm, and how they get in.

    Attributes:
        api_port: port of the HTTP service on this machine.
        flower_port: port of Flower on this machine.
        flower_user: who may look at Flower.
        flower_password: their password.
    """

    api_port: int
    flower_port: int
    flower_user: str
    flower_password: str

    @property
    def api_url(self) -> str:
        """The HTTP service."""
        return f"http://{HOST}:{self.api_port}"

    @property
    def flower_url(self) -> str:
        """Flower, without the password."""
        return f"http://{HOST}:{self.flower_port}"


def make_password() -> str:
    """Make a password that is easy to copy."""
    return secrets.token_urlsafe(12)


def choose_port(wanted: int, *, is_given: bool, taken: Sequence[int] = ()) -> int:
    """Take the wanted port, or another free one where nobody insisted on it.

    Args:
        wanted: a port, 0 for any.
        is_given: whether a person named this port.
        taken: ports given out just now, which nothing listens on yet.

    Raises:
        InvalidInput: the port that was asked for is in use.
    """
    if wanted in taken or (wanted and not _is_free(wanted)):
        if is_given:
            raise InvalidInput(
                f"port {wanted} is in use; expected a free one; stop what listens "
                "there, or choose another (0 takes any)"
            )
        wanted = 0
    if wanted:
        return wanted
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def list_programs(
    services: Services,
    doors: Doors,
    *,
    voters: Sequence[str],
    lease_s: float,
    home: Path,
) -> list[Program]:
    """List the relay, the workers, the API and Flower.

    Args:
        services: where Postgres, Redis and the artifacts are.
        doors: ports and the password of Flower.
        voters: names of the voters whose jobs the cpu worker takes.
        lease_s: seconds that a claim of a job lasts without progress.
        home: the data folder.
    """
    environment = {
        "FARM_DATABASE_URL": services.database_url,
        "FARM_BROKER_URL": services.broker_url,
        "FARM_ARTIFACTS": services.artifacts,
        "FARM_LEASE_S": str(lease_s),
        "FARM_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
    }
    python = (sys.executable, "-m")
    serve = (*python, "api", "--host", HOST)
    port = str(doors.api_port)
    flower = {
        **environment,
        # In the environment, for `ps` shows arguments to everyone.
        "FARM_FLOWER_USER": doors.flower_user,
        "FARM_FLOWER_PASSWORD": doors.flower_password,
    }
    return [
        Program("relay", (*python, "worker", "relay"), environment),
        *_list_workers(environment, voters),
        Program(
            "api", (*serve, "--port", port), {**environment, "FARM_API_PORT": port}
        ),
        Program(
            "flower",
            (*python, "worker.flower", "--port", str(doors.flower_port)),
            flower,
        ),
    ]


def wait_until_open(
    doors: Doors, tend: Callable[[], object], *, timeout_s: float = READY_TIMEOUT_S
) -> bool:
    """Wait until the API and Flower answer.

    Args:
        doors: where they listen.
        tend: called while waiting, to restart what ends.
        timeout_s: how long to wait, in seconds.

    Returns:
        Whether both answer.
    """
    deadline = time.monotonic() + timeout_s
    urls = [f"{doors.api_url}/healthz", f"{doors.flower_url}/healthcheck"]
    while urls and time.monotonic() < deadline:
        tend()
        urls = [url for url in urls if not _answers(url)]
        if urls:
            time.sleep(POLL_S)
    return not urls


def _list_workers(
    environment: Mapping[str, str], voters: Sequence[str]
) -> list[Program]:
    # Threads of one process that wait for another's would spin on the cores that this
    # one needs: a trainer gets its share of them, and its threads sleep at once.
    share = max(1, (os.cpu_count() or 1) // len(TRAINERS))
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    trainer = {"OMP_NUM_THREADS": str(share), "GOMP_SPINCOUNT": "0"}
    queues = [CONTROL, CPU, *(TEACH + voter for voter in voters)]
    cpu_queues = [part for queue in queues for part in ("--queue", queue)]
    start = (sys.executable, "-m", "worker", "start", "--name")
    return [
        Program(
            "worker-cpu",
            (*start, "worker-cpu", "--slots", str(NUM_CPU_SLOTS), *cpu_queues),
            {**environment, **single},
        ),
        *(
            Program(name, (*start, name, "--queue", TRAIN), {**environment, **trainer})
            for name in TRAINERS
        ),
    ]


def _answers(url: str) -> bool:
    """Any HTTP answer will do: Flower asks for its password first."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # our own http URL
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((HOST, port)):
            return True
    except OSError:
        return False
