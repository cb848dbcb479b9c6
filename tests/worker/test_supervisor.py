import itertools
import signal
import subprocess
import sys
import threading
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from db.queries import voters, workers
from kompress import VERSION
from kompress.types import Fingerprint
from tests.worker.worlds import change, eventually, make_runtime, query
from worker import supervisor
from worker.supervisor import (
    WorkerPlan,
    needs_engine,
    plan_worker,
    supervise,
    version,
)

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class ScriptPlan:
    """A plan whose child is a small script instead of Celery."""

    name: str
    code: str
    queues: tuple[str, ...] = ("cpu",)
    slots: int = 2
    owns_model: bool = False

    def command(self):
        return [sys.executable, "-S", "-c", self.code]


OBEDIENT = "import signal; signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({ready!r}, "w").close()
while True: signal.pause()
"""


@pytest.fixture
def start(sessions, tmp_path):
    """Supervise in a thread; stop all at the end."""
    running = []

    def start(plan, *, makers=None, **settings):
        stop = threading.Event()
        codes = []
        given = make_runtime(sessions, tmp_path, **settings).settings
        thread = threading.Thread(
            target=lambda: codes.append(
                supervise(plan, makers or sessions, given, stop)
            )
        )
        thread.start()

        def end():
            stop.set()
            thread.join(30)
            assert not thread.is_alive()
            return codes

        running.append(end)
        return end

    yield start
    for end in running:
        end()


def listed(sessions):
    with sessions() as session:
        return {row["name"]: row for row in workers.list_workers(session)}


@pytest.mark.parametrize(
    ("queues", "slots", "pool", "expected"),
    [
        (["train"], None, "threads", 1),
        (["train"], 1, "threads", 1),
        (["cpu", "train"], None, "threads", 1),
        (["cpu", "control"], 3, "prefork", 3),
        (["teach.salience"], 4, "prefork", 4),
    ],
)
def test_what_owns_a_model_runs_alone_in_one_thread(queues, slots, pool, expected):
    plan = plan_worker("w1", queues, slots)

    assert (plan.pool, plan.slots, plan.queues) == (pool, expected, tuple(queues))


def test_a_worker_without_a_model_has_a_slot_a_core(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)

    assert plan_worker("w1", ["cpu"], None).slots == 6


def test_a_second_owner_of_a_model_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"found --slots 2 .* start more workers"):
        plan_worker("w1", ["train"], 2)


def test_the_command_is_celerys():
    command = WorkerPlan("w1", ("cpu", "control"), 3).command()

    assert command[:7] == [
        sys.executable, "-m", "celery", "--app", "worker.app", "--quiet", "worker",
    ]  # fmt: skip
    options = dict(itertools.pairwise(command))
    assert options["--queues"] == "cpu,control"
    assert (options["--pool"], options["--concurrency"]) == ("prefork", "3")
    assert options["--hostname"] == "w1@%h"
    assert "--task-events" in command


def test_a_worker_is_announced_and_forgotten(sessions, start):
    end = start(ScriptPlan("w1", OBEDIENT))
    eventually(lambda: "w1" in listed(sessions))

    row = listed(sessions)["w1"]
    assert (row["queues"], row["slots"], row["version"]) == (["cpu"], 2, version())
    assert end() == [0]
    assert listed(sessions) == {}


def test_the_child_learns_its_name(start, tmp_path):
    code = f"""
import os, signal
open({str(tmp_path / "name")!r}, "w").write(os.environ["FARM_WORKER_NAME"] + ".")
signal.pause()
"""

    start(ScriptPlan("w7", code))

    path = tmp_path / "name"
    eventually(lambda: path.exists() and path.read_text() == "w7.")


def test_a_child_that_exits_is_started_again(start, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "BEAT_S", 0.05)
    log = tmp_path / "log"
    code = f"open({str(log)!r}, 'a').write('x'); raise SystemExit(70)"

    start(ScriptPlan("w1", code))

    # At once, after 0.5 s, and after 1.5 s more.
    eventually(lambda: log.exists() and len(log.read_text()) >= 2)


def test_a_row_that_was_removed_comes_back(sessions, start, monkeypatch):
    monkeypatch.setattr(supervisor, "BEAT_S", 0.05)
    start(ScriptPlan("w1", OBEDIENT))
    eventually(lambda: "w1" in listed(sessions))

    change(sessions, "DELETE FROM workers")

    eventually(lambda: "w1" in listed(sessions))


def test_a_stopping_worker_asks_its_jobs_first(sessions, start, tmp_path):
    ready = tmp_path / "ready"
    end = start(
        ScriptPlan("w1", STUBBORN.format(ready=str(ready))), soft_shutdown_s=0.3
    )
    eventually(lambda: "w1" in listed(sessions) and ready.exists())
    stopping = []
    ender = threading.Thread(target=end)

    ender.start()
    eventually(lambda: (ender.is_alive() and stopping) or note(sessions, stopping))
    ender.join(20)

    # SIGTERM is ignored, SIGQUIT is not.
    assert stopping
    assert listed(sessions) == {}


def note(sessions, stopping):
    """Remember that the row said `stopping` while the child was still there."""
    rows = query(sessions, "SELECT name FROM workers WHERE stopping")
    stopping.extend(rows)
    return bool(rows)


class Away:
    """Sessions of a database that does not answer."""

    def begin(self):
        raise OperationalError("connect", {}, Exception("refused"))


def test_a_worker_runs_and_ends_without_its_database(start, tmp_path):
    ready = tmp_path / "ready"
    code = f"import signal; open({str(ready)!r}, 'w').close(); signal.pause()"
    end = start(ScriptPlan("w1", code), makers=Away())
    eventually(ready.exists)

    assert end() == [0]


@pytest.mark.slow  # starts Python and a supervisor
def test_sigterm_ends_a_supervisor_and_its_row(sessions, tmp_path):
    code = f"""
import sys
from sqlalchemy import make_url
from db.engine import make_engine, make_sessions
from tests.worker.test_supervisor import OBEDIENT, ScriptPlan
from tests.worker.worlds import make_runtime
from worker.relay import stop_on_signals
from worker.supervisor import supervise
sessions = make_sessions(make_engine(sys.argv[1], pool_size=1))
settings = make_runtime(sessions, {str(tmp_path)!r}).settings
raise SystemExit(supervise(ScriptPlan("w1", OBEDIENT), sessions, settings,
                           stop_on_signals()))
"""
    url = sessions.kw["bind"].url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", code, url])
    try:
        eventually(lambda: "w1" in listed(sessions), timeout_s=40)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(5)

    assert listed(sessions) == {}


def test_a_version_is_known_without_an_installation():
    assert version()[0].isdigit()


def test_a_source_tree_states_the_version_of_its_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION


def test_a_late_child_is_killed(start, sessions, tmp_path, monkeypatch):
    """Nothing but SIGKILL ends it."""
    monkeypatch.setattr(subprocess.Popen, "wait", hurried(subprocess.Popen.wait))
    ready = tmp_path / "ready"
    code = f"""
import signal
for number in (signal.SIGTERM, signal.SIGQUIT): signal.signal(number, signal.SIG_IGN)
open({str(ready)!r}, "w").close()
while True: signal.pause()
"""
    end = start(ScriptPlan("w1", code), soft_shutdown_s=0.1)
    eventually(ready.exists)
    started = time.monotonic()

    assert end() == [0]
    assert time.monotonic() - started < 10


def hurried(wait):
    def wait_less(self, timeout=None):
        return wait(self, None if timeout is None else min(timeout, 0.5))

    return wait_less


def add_teacher(sessions, name="large", **params):
    given = {"engine": "vllm", "model": "m"} | params
    with sessions.begin() as session:
        voters.register_voter(
            session, Fingerprint(name, {"params": given}), "teacher", given
        )


@pytest.mark.parametrize(
    ("params", "queues", "expected"),
    [
        ({}, ["teach.large"], True),
        ({}, ["cpu", "teach.other"], False),
        ({"engine": "openai", "endpoint": "e"}, ["teach.large"], False),
        ({}, ["cpu"], False),
    ],
)
def test_a_worker_asks_whether_its_voter_is_a_model(sessions, params, queues, expected):
    add_teacher(sessions, **params)

    assert needs_engine(sessions, queues) is expected


def test_a_teachers_worker_has_one_slot():
    plan = plan_worker("w1", ["teach.large"], None, has_engine=True)

    assert (plan.pool, plan.slots) == ("threads", 1)
    with pytest.raises(ValueError, match="a model has one owner"):
        plan_worker("w1", ["teach.large"], 2, has_engine=True)


def test_a_worker_becomes_the_owner_of_a_model_that_is_added_later(
    sessions, start, monkeypatch
):
    monkeypatch.setattr(supervisor, "LOOK_S", 0.05)
    monkeypatch.setattr(supervisor, "BEAT_S", 0.05)
    monkeypatch.setattr(
        WorkerPlan, "command", lambda _: [sys.executable, "-S", "-c", OBEDIENT]
    )
    start(WorkerPlan("w1", ("teach.large",), 4))
    eventually(lambda: "w1" in listed(sessions))
    assert listed(sessions)["w1"]["slots"] == 4

    add_teacher(sessions)

    eventually(lambda: listed(sessions)["w1"]["slots"] == 1)
