"""What the job engine costs: milliseconds a job, and how teaching scales with workers.

Embedded services, real Celery workers, simulated voters that sleep (no CPU share). The
overhead of a job is what a slot spends between two computations: commit, hint, claim,
load; it is the slots' time less the voters' own, divided by the jobs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from api.embedded import Services, start, stop
from api.intake import ingest
from db.engine import make_engine, make_sessions
from db.migrate import upgrade
from db.queries import loops
from kompress.config import LoopConfig, parse_config
from kompress.corpora.generators import generate
from kompress.voters import make_voter

# 320 of them are train or audit: 160 shards of two, ten jobs for each of 16 workers.
NUM_DOCUMENTS = 408
SCALING_JOBS = 160
# One worker needs 160 s for its jobs of a second.
PATIENCE_S = 600


def main() -> dict[str, float]:
    """Run both benches; returns the figures by name."""
    figures = measure_overhead() | measure_scaling()
    for name, value in figures.items():
        print(f"{name:44} {value:10.3f}")
    return figures


def measure_overhead(*, slots: int = 2, latency_s: float = 0.1) -> dict[str, float]:
    """Measure milliseconds a job with as many slots as cores."""
    params = simulated(latency_s)
    with farm() as (services, sessions):
        documents = generate(NUM_DOCUMENTS, 0)
        ingest(sessions, "bench", documents)
        with workers(services, 1, slots=slots, queues=("control", "teach.sim")):
            teach(sessions, params, shard_documents=1)
            jobs, wall_s, _ = teach_times(sessions)
        voter = make_voter("sim", "simulated", params, None)
        shard = [documents[0].text]
        started = time.perf_counter()
        for _ in range(20):
            list(voter.vote(shard))
        compute_s = (time.perf_counter() - started) / 20
    return {
        "engine: jobs": jobs,
        "engine: overhead a job, ms": 1000 * (slots * wall_s / jobs - compute_s),
    }


def measure_scaling(*, num_workers: int = 16) -> dict[str, float]:
    """Measure how much faster many workers of one slot are than one."""
    seconds = {}
    for count in (num_workers, 1):
        with farm() as (services, sessions):
            documents = generate(NUM_DOCUMENTS, 0)
            ingest(sessions, "bench", documents)
            with workers(services, count, slots=1, queues=("teach.sim",)):
                with workers(services, 1, slots=1, queues=("control",), prefix="c"):
                    wait_for_workers(sessions, count + 1)
                    teach(sessions, simulated(1.0), shard_documents=2)
                    jobs, seconds[count], _ = teach_times(sessions)
                assert jobs >= SCALING_JOBS, jobs
    return {
        "scaling: jobs of 1 s": jobs,
        f"scaling: seconds with {num_workers} workers": seconds[num_workers],
        "scaling: seconds with 1 worker": seconds[1],
        f"scaling: {num_workers} workers against 1": seconds[1] / seconds[num_workers],
    }


def simulated(latency_s: float) -> dict[str, object]:
    """A voter that only takes time."""
    return {
        "sensitivity": {"all": 0.8},
        "specificity": {"all": 0.7},
        "truth": "hash",
        "latency_batch_s": latency_s,
    }


@contextmanager
def farm() -> Iterator[tuple[Services, sessionmaker[Session]]]:
    """Embedded services of their own, with the product's settings."""
    home = Path(tempfile.mkdtemp(prefix="farm-"))
    services = start(home)
    upgrade(services.database_url)
    engine = make_engine(services.database_url)
    try:
        yield services, make_sessions(engine)
    finally:
        engine.dispose()
        stop(home)
        shutil.rmtree(home)


@contextmanager
def workers(
    services: Services,
    count: int,
    *,
    slots: int,
    queues: tuple[str, ...],
    prefix: str = "w",
) -> Iterator[None]:
    """A relay and some workers."""
    environment = os.environ | {
        "FARM_DATABASE_URL": services.database_url,
        "FARM_BROKER_URL": services.broker_url,
        "FARM_ARTIFACTS": services.artifacts,
    }
    chosen = [part for queue in queues for part in ("--queue", queue)]
    commands = [["relay"]] if prefix == "w" else []
    commands += [
        ["start", *chosen, "--slots", str(slots), "--name", f"{prefix}{number}"]
        for number in range(count)
    ]
    processes = [
        subprocess.Popen(  # noqa: S603  # our own argv
            [sys.executable, "-m", "worker", *command],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def wait_for_workers(sessions: sessionmaker[Session], count: int) -> None:
    """Wait until all have announced themselves, and a little for Celery to connect."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with sessions() as session:
            if session.scalar(text("SELECT count(*) FROM workers")) == count:
                time.sleep(30 if count > 2 else 10)
                return
        time.sleep(0.5)
    raise TimeoutError(f"not all of {count} workers came")


def teach(
    sessions: sessionmaker[Session], params: dict[str, object], *, shard_documents: int
) -> None:
    """Start a loop and wait until its first wave is taught."""
    config = parse_config(
        LoopConfig,
        {
            "base": {
                "voters": [{"name": "sim", "kind": "simulated", "params": params}],
                "shard_documents": shard_documents,
            }
        },
    )
    with sessions.begin() as session:
        first = config.resolve(1).model_dump(mode="json")
        loops.create_loop(
            session, "bench", "bench", config.model_dump(mode="json"), first
        )
    # `select` plans all of them at once; what follows needs queues that nobody serves.
    is_taught = text("""
        SELECT bool_and(status = 'done') FROM jobs WHERE stage = 'teach'
    """)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with sessions() as session:
            if session.scalar(is_taught):
                return
        time.sleep(0.2)
    raise TimeoutError(f"teaching took more than {PATIENCE_S} s")


def teach_times(sessions: sessionmaker[Session]) -> tuple[int, float, float]:
    """Give jobs, and seconds from the first start to the last commit."""
    with sessions() as session:
        row = session.execute(
            text("""
                SELECT count(*), extract(epoch FROM max(finished_at) - min(started_at)),
                       extract(epoch FROM min(started_at) - min(created_at))
                FROM jobs WHERE stage = 'teach'
            """)
        ).one()
    return int(row[0]), float(row[1]), float(row[2])


if __name__ == "__main__":
    main()
