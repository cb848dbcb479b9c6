"""What the relay and a budget cost beside a backlog, in ms under farm-wide locks.

100,000 pending and 700,000 done jobs of three loops with a budget, 32 slots.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from db.embedded import start_postgres, stop_postgres
from db.engine import make_engine, make_sessions
from db.migrate import upgrade
from db.queries import dispatch, jobs, records, reservations
from db.queries.answers import AnswerKey
from db.queries.reservations import Wanted

NUM_DONE = 700_000
NUM_PENDING = 100_000
NUM_LOOPS = 3
REPEATS = 9

_FILL = (
    "INSERT INTO corpora (name) VALUES ('bench')",
    """INSERT INTO texts (sha256, content, num_words, num_bytes)
       VALUES (sha256('one'), 'one', 1, 3)""",
    """INSERT INTO loops (name, corpus_id, corpus_seq, config)
       SELECT 'loop ' || n, 1, 1,
              jsonb_build_object('stop', jsonb_build_object('max_usd', 1e6))
       FROM generate_series(1, :num_loops) AS n""",
    """INSERT INTO rounds (loop_id, number, config)
       SELECT id, 1, '{}' FROM loops""",
    """INSERT INTO jobs (round_id, stage, queue, shard, status, voter)
       SELECT 1 + n % :num_loops, 'teach', 'queue ' || n % 5, n, 'done', 'a'
       FROM generate_series(1, :num_done) AS n""",
    """INSERT INTO jobs (round_id, stage, queue, shard, voter)
       SELECT 1 + n % :num_loops, 'teach', 'queue ' || n % 5, n, 'b'
       FROM generate_series(1, :num_pending) AS n""",
    """INSERT INTO costs (job_id, attempt, kind, spent, useful)
       SELECT id, 1, 'usd', .001, .001 FROM jobs WHERE status = 'done'""",
    """INSERT INTO workers (name, queues, slots, version, heartbeat_at)
       SELECT 'worker ' || n, ARRAY['queue 0', 'queue 1', 'queue 2', 'queue 3',
              'queue 4'], 4, '1', now() + interval '1 day'
       FROM generate_series(1, 8) AS n""",
)


def main(*, num_done: int = NUM_DONE, num_pending: int = NUM_PENDING) -> None:
    """Fill a database and print the median of each."""
    folder = Path(tempfile.mkdtemp(prefix="farm-"))
    try:
        url = start_postgres(folder / "pg")
        upgrade(url)
        engine = make_engine(url)
        sessions = make_sessions(engine)
        fill(sessions, num_done=num_done, num_pending=num_pending)
        for name, milliseconds in measure(sessions).items():
            print(f"{name:32} {milliseconds:8.1f} ms")
        engine.dispose()
    finally:
        stop_postgres(folder / "pg")
        shutil.rmtree(folder)


def fill(sessions: sessionmaker[Session], *, num_done: int, num_pending: int) -> None:
    """Make the loops, their jobs, and workers that could take some of them."""
    values = {
        "num_loops": NUM_LOOPS,
        "num_done": num_done,
        "num_pending": num_pending,
    }
    with sessions.begin() as session:
        for statement in _FILL:
            session.execute(text(statement), values)
    with sessions.begin() as session:
        session.execute(text("ANALYZE"))


def measure(sessions: sessionmaker[Session]) -> dict[str, float]:
    """Time choosing hints, and reserving one request of a loop with a budget."""
    with sessions.begin() as session:
        (first, *_) = dispatch.choose_hints(session)
        job = jobs.claim(session, first.job_id, worker="worker 1", lease_s=600)
        assert job is not None  # it was chosen just now

    def reserve(session: Session) -> None:
        # A hundred attempts ended since the budget was last read.
        for _ in range(100):
            records.add_cost(session, job.id, job.attempt, "usd", 0.001, 0.001)
        began = time.perf_counter()
        wanted = Wanted(AnswerKey(1, "f", 0), 1, 1, 0.001)
        reservations.reserve(session, job, [wanted])
        spent_s.append(time.perf_counter() - began)
        session.rollback()

    spent_s: list[float] = []
    figures = {"choose_hints": _median_ms(sessions, dispatch.choose_hints)}
    for _ in range(REPEATS):
        with sessions() as session:
            reserve(session)
    return figures | {"reserve with a budget": statistics.median(spent_s) * 1e3}


def _median_ms(
    sessions: sessionmaker[Session], work: Callable[[Session], Any]
) -> float:
    times = []
    for _ in range(REPEATS):
        with sessions.begin() as session:
            began = time.perf_counter()
            work(session)
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    main()
