"""The processes of a real farm, and how to hurt them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api.embedded import start_redis, stop_redis
from api.intake import ingest
from db.engine import make_engine, make_sessions
from db.queries import loops
from kompress.config import LoopConfig, parse_config
from kompress.corpora.generators import generate

ROOT = Path(__file__).parents[2]
VOTERS = ("alpha", "beta", "gamma")
TINY = {
    "num_layers": 1,
    "hidden_size": 16,
    "num_heads": 1,
    "intermediate_size": 32,
    "span_channels": 8,
    "vocab_size": 300,
    "max_tokens": 512,
}


def loop_config(*, rounds=1, latency_s=0.0, failure_rate=0.0, epochs=1, **changes):
    """A loop of simulated voters and the smallest student."""
    voters = [
        {
            "name": name,
            "kind": "simulated",
            "params": {
                "sensitivity": {"all": 0.8},
                "specificity": {"all": 0.7},
                "seed": number,
                "latency_s": latency_s,
                "failure_rate": failure_rate,
                "truth": "hash",
            },
        }
        for number, name in enumerate(VOTERS)
    ]
    base = {
        "voters": voters,
        "folds": 0,
        "shard_documents": 10,
        "recipe": {"student": TINY, "epochs": epochs, "num_threads": 1},
        "evaluation": {"suites": ["planted"], "num_bootstraps": 10},
    } | changes
    return parse_config(LoopConfig, {"base": base, "stop": {"max_rounds": rounds}})


class Farm:
    """The processes of a farm, and how to hurt them."""

    def __init__(self, database_url, folder):
        self.database_url = database_url
        self.folder = folder
        self.broker_url = start_redis(folder / "redis")
        self.processes = {}
        # What a test adds to the environment of the processes that it starts.
        self.variables = {}
        self.engine = make_engine(database_url, application_name="farm e2e")
        self.sessions = make_sessions(self.engine)

    def environment(self):
        return os.environ | {
            "FARM_DATABASE_URL": self.database_url,
            "FARM_BROKER_URL": self.broker_url,
            "FARM_ARTIFACTS": f"file://{self.folder}/artifacts",
            "FARM_LEASE_S": "4",
            "FARM_HEARTBEAT_S": "0.3",
            "FARM_RESEND_S": "1",
            "FARM_RELAY_POLL_S": "0.1",
            "FARM_SOFT_SHUTDOWN_S": "8",
            "OMP_NUM_THREADS": "1",
            **self.variables,
        }

    def start(self, name, *arguments, python=sys.executable, **variables):
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [str(python), "-m", "worker", *arguments],
            cwd=ROOT,
            env=self.environment() | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        return self.processes[name]

    def start_relay(self, name="relay"):
        return self.start(name, "relay")

    def start_worker(self, name, *, slots=2, queues=None, **how):
        queues = queues or ("control", "cpu", *(f"teach.{v}" for v in VOTERS))
        chosen = [part for queue in queues for part in ("--queue", queue)]
        where = ("--name", name, "--slots", str(slots))
        return self.start(name, "start", *chosen, *where, **how)

    def start_trainer(self, name="trainer"):
        return self.start_worker(name, slots=1, queues=("train",))

    def children(self, name):
        """Every process below a supervisor, Celery's main process first."""
        return psutil.Process(self.processes[name].pid).children(recursive=True)

    def kill(self, name, number=signal.SIGKILL):
        os.killpg(self.processes[name].pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.processes.pop(name).wait(30)

    def stop(self):
        for name in list(self.processes):
            process = self.processes.pop(name)
            for number in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    break
            process.wait(10)
        stop_redis(self.folder / "redis")
        self.engine.dispose()

    def add_documents(self, num_documents, seed=0):
        ingest(self.sessions, "corpus", generate(num_documents, seed))

    def start_loop(self, config, name="loop"):
        with self.sessions.begin() as session:
            loop = loops.create_loop(
                session,
                name,
                "corpus",
                config.model_dump(mode="json"),
                config.resolve(1).model_dump(mode="json"),
            )
            return loop.id

    def query(self, statement, **values):
        with self.sessions() as session:
            return session.execute(text(statement), values).all()

    def wait(self, condition, *, timeout_s=90.0, what="the condition"):
        """Wait until a query's first value is true."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                rows = self.query(condition)
            except OperationalError:
                rows = []  # the test has stopped Postgres
            if rows and rows[0][0]:
                return
            time.sleep(0.1)
        jobs = self.query(
            "SELECT stage, wave, voter, shard, status, attempt, last_error FROM jobs "
            "WHERE status NOT IN ('done', 'split') ORDER BY id"
        )
        logs = "".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )
        pytest.fail(f"{what} did not come in {timeout_s} s; open jobs {jobs}\n{logs}")

    def wait_for_end(self, timeout_s=120.0):
        self.wait(
            "SELECT every(status = 'stopped') FROM loops",
            timeout_s=timeout_s,
            what="the end of the loop",
        )

    def results(self):
        """Everything that must not depend on workers, order or faults."""
        return {
            "votes": self.query("""
                SELECT l.name, r.number, v.name, w.replicate, encode(t.sha256, 'hex'),
                       encode(w.codes, 'hex'), w.num_samples
                FROM round_votes rv JOIN rounds r ON r.id = rv.round_id
                JOIN loops l ON l.id = r.loop_id JOIN votes w ON w.id = rv.vote_id
                JOIN voters v ON v.id = w.voter_id JOIN texts t ON t.id = w.text_id
                ORDER BY 1, 2, 3, 4, 5"""),
            "labels": self.query("""
                SELECT l.name, r.number, b.source, encode(t.sha256, 'hex'),
                       encode(b.mean, 'hex'), encode(b.sd, 'hex')
                FROM labels b JOIN rounds r ON r.id = b.round_id
                JOIN loops l ON l.id = r.loop_id JOIN texts t ON t.id = b.text_id
                ORDER BY 1, 2, 3, 4"""),
            "counts": self.query("""
                SELECT r.number, c.source, c.kind, c.category, c.rule_set,
                       c.num_documents, c.num_words, c.num_kept, c.num_must_keep,
                       c.num_must_keep_kept
                FROM label_counts c JOIN rounds r ON r.id = c.round_id
                ORDER BY 1, 2, 3, 4, 5"""),
            "voters": self.query("""
                SELECT r.number, s.voter, s.stratum, s.truth, s.num_keep_kept,
                       s.num_drop_dropped, s.num_agreed, s.keep_codes, s.drop_codes
                FROM voter_stats s JOIN rounds r ON r.id = s.round_id
                ORDER BY 1, 2, 3, 4"""),
            "students": self.query("""
                SELECT r.number, s.fold, s.artifact_hash, s.manifest_hash
                FROM students s JOIN rounds r ON r.id = s.round_id ORDER BY 1, 2"""),
        }

    def check_effects(self):
        """Each job has ended, and exactly one attempt of each was of use."""
        assert (
            self.query(
                "SELECT id, status FROM jobs WHERE status NOT IN ('done', 'split')"
            )
            == []
        )
        assert (
            self.query("""
            SELECT j.id FROM jobs j LEFT JOIN costs c ON c.job_id = j.id
                AND c.kind = 'seconds' AND c.useful > 0
            WHERE j.status = 'done' GROUP BY j.id HAVING count(c.job_id) <> 1
        """)
            == []
        )
