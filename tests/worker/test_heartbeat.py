import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from db.queries import jobs, loops, workers
from tests.worker.worlds import change, eventually, job_row, make_runtime, make_world
from worker.errors import Interrupted
from worker.heartbeat import EXIT_DEADLINE, Heartbeat


@pytest.fixture
def claimed(sessions):
    make_world(sessions)
    with sessions.begin() as session:
        workers.register(session, "w1", queues=["cpu"], slots=1, version="1")
        job_id = session.scalar(text("SELECT id FROM jobs"))
        return jobs.claim(session, job_id, worker="w1", lease_s=1.0)


def lease(sessions, job):
    return job_row(sessions, job.id, "lease_until")[0]


def interruption(heartbeat):
    """Report progress until the job is told to stop; give the reason."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            heartbeat.progress(1, 2)
        except Interrupted as reason:
            return str(reason)
        time.sleep(0.01)
    return ""


def test_progress_renews_the_lease(sessions, tmp_path, claimed):
    runtime = make_runtime(sessions, tmp_path, lease_s=1.0, heartbeat_s=0.02)
    before = lease(sessions, claimed)

    with Heartbeat(runtime, claimed) as heartbeat:

        def is_renewed():
            heartbeat.progress(3, 7)
            return lease(sessions, claimed) > before

        eventually(is_renewed)

    columns = "progress_done, progress_total"
    assert job_row(sessions, claimed.id, columns) == (3, 7)


def test_a_lease_is_renewed_only_when_a_third_of_it_is_over(
    sessions, tmp_path, claimed
):
    runtime = make_runtime(sessions, tmp_path, lease_s=60.0, heartbeat_s=0.02)
    before = lease(sessions, claimed)

    with Heartbeat(runtime, claimed) as heartbeat:
        heartbeat.progress(1, 2)
        eventually(lambda: job_row(sessions, claimed.id, "progress_done") == (1,))

    assert lease(sessions, claimed) == before


def test_without_progress_the_lease_runs_out(sessions, tmp_path, claimed):
    runtime = make_runtime(sessions, tmp_path, lease_s=0.3, heartbeat_s=0.02)
    change(
        sessions, "UPDATE jobs SET lease_until = clock_timestamp() + interval '0.3s'"
    )

    with Heartbeat(runtime, claimed) as heartbeat:
        # The claim itself is worth one renewal, silence is worth none.
        eventually(
            lambda: job_row(sessions, claimed.id, "lease_until < clock_timestamp()")[0]
        )
        time.sleep(0.1)
        assert interruption(heartbeat) == "the lease was lost"

    assert job_row(sessions, claimed.id, "status, attempt") == ("running", 1)


def pause(session, job):
    loops.set_status(session, job.loop_id, "paused")


def cancel(session, job):
    loops.set_status(session, job.loop_id, "cancelled")


def stop(session, job):
    workers.mark_stopping(session, "w1")


def take_over(session, job):
    session.execute(text("UPDATE jobs SET attempt = attempt + 1"))


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        (pause, "the loop is paused"),
        (cancel, "the loop is cancelled"),
        (stop, "the worker is stopping"),
        (take_over, "the lease was lost"),
    ],
)
def test_a_flag_reaches_the_computation(sessions, runtime, claimed, flag, reason):
    with sessions.begin() as session:
        flag(session, claimed)

    with Heartbeat(runtime, claimed) as heartbeat:
        assert interruption(heartbeat) == reason


def test_a_draining_worker_finishes_what_it_has(sessions, runtime, claimed):
    with sessions.begin() as session:
        workers.drain(session, "w1", on=True)

    with Heartbeat(runtime, claimed) as heartbeat:
        heartbeat.progress(1, 2)
        eventually(lambda: job_row(sessions, claimed.id, "progress_done") == (1,))
        heartbeat.progress(2, 2)


def test_a_heartbeat_outlives_a_broken_connection(sessions, runtime, claimed):
    with Heartbeat(runtime, claimed) as heartbeat:
        heartbeat.progress(1, 9)
        eventually(lambda: job_row(sessions, claimed.id, "progress_done") == (1,))
        with sessions() as session:
            session.execute(
                text("""
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                      AND application_name = 'farm worker tests'
                """)
            )
        heartbeat.progress(2, 9)
        eventually(lambda: job_row(sessions, claimed.id, "progress_done") == (2,))


WEDGED = """
import time
from db.queries.jobs import JobRow
from worker.artifacts import ArtifactStore
from worker.heartbeat import Heartbeat
from worker.runtime import Runtime
from worker.settings import WorkerSettings

settings = WorkerSettings(
    database_url="postgresql://none", broker_url="redis://none", artifacts="none",
    heartbeat_s=0.05,
)
job = JobRow(1, 1, "loop", 1, 1, "train", 0, "", 0, "train", {}, 1, 0, 0)
with Heartbeat(Runtime(settings, None, ArtifactStore("none"), "w1"), job):
    time.sleep(60)
"""


@pytest.mark.slow  # starts Python
def test_a_process_past_its_deadline_exits():
    result = subprocess.run(
        [sys.executable, "-c", WEDGED],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert result.returncode == EXIT_DEADLINE == 70
    assert "passed its deadline of 0 s" in result.stderr


def test_while_a_model_loads_the_lease_is_renewed_without_progress(
    sessions, tmp_path, claimed
):
    runtime = make_runtime(sessions, tmp_path, lease_s=0.6)
    with Heartbeat(runtime, claimed) as heartbeat, heartbeat.patience(60.0):
        time.sleep(1.2)  # the claim's own lease lasts a second
        held = "lease_until > clock_timestamp()"
        assert job_row(sessions, claimed.id, held) == (True,)
