import logging
import threading

import pytest
from sqlalchemy import text

from db.kinds import ARGS_VERSION
from db.queries import jobs, loops, parked
from db.queries.workers import drain, register
from kompress.errors import InvalidConfig
from tests.worker.worlds import (
    PLAIN,
    at_once,
    change,
    effects,
    eventually,
    job_row,
    leave_an_effect,
    make_runtime,
    make_world,
    query,
    stage_of,
)
from worker.errors import Interrupted
from worker.stage import Stream, StreamStage, run_stage


def failing(error):
    def compute(runtime, inputs, heartbeat):
        raise error

    return stage_of(compute=compute)


def open_step(sessions, world):
    return query(sessions, "SELECT stage, open_jobs FROM rounds WHERE id = :id",
                 id=world.round_id)[0]  # fmt: skip


def test_a_job_stores_ends_and_opens_the_next_step(sessions, runtime):
    world = make_world(sessions)

    job = run_stage(PLAIN, runtime, world.job_ids[0])

    assert job.title == (
        f"loop round 1 aggregate shard 0 wave 0 job {world.job_ids[0]}"
    )
    assert effects(sessions) == {world.job_ids[0]: 1}
    assert open_step(sessions, world) == ("judge", 1)
    columns = "status, attempt, lease_until, progress_done, worker"
    assert job_row(sessions, job.id, columns) == ("done", 1, None, 0, "w1")


def test_a_job_that_has_ended_is_not_claimed_again(sessions, runtime):
    world = make_world(sessions)
    run_stage(PLAIN, runtime, world.job_ids[0])

    assert run_stage(PLAIN, runtime, world.job_ids[0]) is None
    assert effects(sessions) == {world.job_ids[0]: 1}


def test_what_an_attempt_costs_is_useful_only_if_it_was_stored(sessions, tmp_path):
    world = make_world(sessions)
    runtime = make_runtime(sessions, tmp_path, usd_per_hour=7200.0)
    run_stage(failing(OSError("no network")), runtime, world.job_ids[0])
    change(sessions, "UPDATE jobs SET run_after = now()")

    run_stage(PLAIN, runtime, world.job_ids[0])

    found = query(
        sessions, "SELECT attempt, kind, spent, useful FROM costs ORDER BY 1, 2"
    )
    assert [row[:2] for row in found] == [
        (1, "seconds"), (1, "usd"), (2, "seconds"), (2, "usd"),
    ]  # fmt: skip
    assert [row[3] for row in found[:2]] == [0, 0]
    assert found[2][3] == found[2][2] > 0
    # 7200 dollars an hour are 2 a second.
    assert found[3][2] == pytest.approx(2 * found[2][2])


def test_a_zombie_stores_nothing_and_counts_nothing(sessions, runtime, tmp_path):
    world = make_world(sessions, num_shards=2)
    job_id = world.job_ids[0]

    def overtaken(session, job):
        """While the first attempt computes, its lease ends and another claims."""
        change(sessions, "UPDATE jobs SET status = 'pending' WHERE id = :id", id=job_id)
        with sessions.begin() as other:
            assert jobs.claim(other, job_id, worker="w2", lease_s=30).attempt == 2
        return job.id

    run_stage(stage_of(load=overtaken), runtime, job_id)

    assert effects(sessions) == {}
    assert open_step(sessions, world) == ("aggregate", 2)
    assert job_row(sessions, job_id, "status, attempt, num_errors") == ("running", 2, 0)
    assert query(sessions, "SELECT * FROM costs") == []


def test_a_zombie_that_fails_harms_nobody(sessions, runtime):
    world = make_world(sessions)
    job_id = world.job_ids[0]

    def overtaken(runtime, inputs, heartbeat):
        change(sessions, "UPDATE jobs SET attempt = attempt + 1")
        raise OSError("too late")

    run_stage(stage_of(compute=overtaken), runtime, job_id)

    assert job_row(sessions, job_id, "status, num_errors") == ("running", 0)


def test_a_slice_of_a_zombie_is_refused(sessions, runtime):
    world = make_world(sessions)

    def overtaken(runtime, inputs, heartbeat):
        heartbeat.store_slice(lambda s: leave_an_effect(s, job_of(s), None))
        change(sessions, "UPDATE jobs SET attempt = attempt + 1")
        heartbeat.store_slice(lambda s: leave_an_effect(s, job_of(s), None))

    def job_of(session):
        return jobs.get_job(session, world.job_ids[0])

    run_stage(stage_of(compute=overtaken), runtime, world.job_ids[0])

    # The first slice was stored at once, and stays.
    assert effects(sessions) == {world.job_ids[0]: 1}


def test_an_interrupted_job_is_handed_back_without_blame(sessions, runtime):
    world = make_world(sessions)

    run_stage(failing(Interrupted("the worker is stopping")), runtime, world.job_ids[0])

    columns = "status, attempt, num_errors, num_lost_leases, worker, sent_at"
    assert job_row(sessions, world.job_ids[0], columns) == (
        "pending", 1, 0, 0, "", None,
    )  # fmt: skip
    assert run_stage(PLAIN, runtime, world.job_ids[0]).attempt == 2


def test_errors_back_off_then_park_the_job_with_its_traceback(sessions, runtime):
    world = make_world(sessions)
    job_id = world.job_ids[0]
    waits = []
    for _ in range(3):
        run_stage(failing(OSError("no network")), runtime, job_id)
        columns = """status, num_errors,
            round(extract(epoch FROM run_after - clock_timestamp()))::int"""
        waits.append(job_row(sessions, job_id, columns))
        change(sessions, "UPDATE jobs SET run_after = now()")

    # 2 ** 0, 2 ** 1, 2 ** 2 seconds
    assert [row[:2] for row in waits] == [
        ("pending", 1), ("pending", 2), ("failed", 3),
    ]  # fmt: skip
    assert [row[2] for row in waits[:2]] == [1, 2]
    error = job_row(sessions, job_id, "last_error")[0]
    assert error.startswith("Traceback")
    assert error.endswith("OSError: no network\n")
    assert open_step(sessions, world) == ("aggregate", 0)
    assert len(query(sessions, "SELECT * FROM events WHERE kind = 'job_failed'")) == 3


def test_what_kompress_refuses_parks_at_once(sessions, runtime):
    world = make_world(sessions)

    run_stage(failing(InvalidConfig("no such voter")), runtime, world.job_ids[0])

    columns = "status, num_errors"
    assert job_row(sessions, world.job_ids[0], columns) == ("failed", 1)


def test_a_parked_job_revives_and_the_round_goes_on(sessions, runtime):
    world = make_world(sessions)
    run_stage(failing(InvalidConfig("no such voter")), runtime, world.job_ids[0])

    with sessions.begin() as session:
        parked.retry(session, world.job_ids[0])
    run_stage(PLAIN, runtime, world.job_ids[0])

    assert open_step(sessions, world) == ("judge", 1)


def ends(sessions):
    return query(
        sessions,
        "SELECT r.status, r.stop_reason, l.status, l.stop_reason, l.stop ->> 'error' "
        "FROM rounds r JOIN loops l ON l.id = r.loop_id",
    )[0]


def test_a_job_that_failed_for_good_ends_its_loop_once_nothing_else_can_run(
    sessions, runtime
):
    world = make_world(sessions, num_shards=3)
    first, second, third = world.job_ids
    run_stage(failing(InvalidConfig("no such\nvoter")), runtime, first)
    run_stage(PLAIN, runtime, second)
    assert ends(sessions) == ("running", "", "running", "", None)

    run_stage(PLAIN, runtime, third)

    said = "kompress.errors.InvalidConfig: no such\nvoter"
    assert ends(sessions) == ("failed", "failed", "stopped", "failed", said)
    assert effects(sessions) == {second: 1, third: 1}
    events = query(
        sessions,
        "SELECT job_id, detail ->> 'error' FROM events WHERE kind = 'loop_stopped'",
    )
    assert events == [(first, said)]


def test_a_retried_job_opens_the_loop_that_ended_for_it(sessions, runtime):
    world = make_world(sessions, num_shards=2)
    for job_id in world.job_ids:
        run_stage(failing(InvalidConfig("no such voter")), runtime, job_id)
    assert ends(sessions)[:2] == ("failed", "failed")

    for job_id in world.job_ids:
        with sessions.begin() as session:
            parked.retry(session, job_id)
        assert ends(sessions) == ("running", "", "running", "", None)
        run_stage(PLAIN, runtime, job_id)

    # The first one ran alone, so the loop ended again for the second.
    assert effects(sessions) == dict.fromkeys(world.job_ids, 1)
    assert open_step(sessions, world) == ("judge", 1)


def test_a_store_that_fails_leaves_nothing(sessions, runtime):
    world = make_world(sessions)

    def half(session, job, out):
        leave_an_effect(session, job, out)
        raise OSError("half way")

    run_stage(stage_of(store=half), runtime, world.job_ids[0])

    assert effects(sessions) == {}
    assert open_step(sessions, world) == ("aggregate", 1)
    assert job_row(sessions, world.job_ids[0], "status, num_errors") == ("pending", 1)


def test_effects_vanish_if_the_next_step_cannot_be_opened(sessions, runtime):
    world = make_world(sessions)
    change(sessions, "UPDATE rounds SET config = '{}'")

    run_stage(PLAIN, runtime, world.job_ids[0])

    assert effects(sessions) == {}
    assert job_row(sessions, world.job_ids[0], "status") == ("failed",)


def test_two_last_shards_open_the_next_step_exactly_once(sessions, runtime, tmp_path):
    world = make_world(sessions, num_shards=2)
    both_have_stored = threading.Barrier(2, timeout=20)

    def together(session, job, out):
        leave_an_effect(session, job, out)
        both_have_stored.wait()

    stage = stage_of(store=together)
    runtimes = [make_runtime(sessions, tmp_path, worker) for worker in ("w1", "w2")]
    at_once(
        *(
            lambda here=here, job_id=job_id: run_stage(stage, here, job_id)
            for here, job_id in zip(runtimes, world.job_ids, strict=True)
        )
    )

    assert effects(sessions) == dict.fromkeys(world.job_ids, 1)
    assert open_step(sessions, world) == ("judge", 1)
    assert query(sessions, "SELECT count(*) FROM jobs WHERE stage = 'judge'") == [(1,)]


def pause(session):
    loop = loops.get_loop(session, "loop")
    loops.set_status(session, loop.id, "paused")


def drain_w1(session):
    register(session, "w1", queues=["cpu"], slots=1, version="1")
    drain(session, "w1", on=True)


def stop_w1(session):
    register(session, "w1", queues=["cpu"], slots=1, version="1")
    session.execute(text("UPDATE workers SET stopping = true"))


def delay(session):
    session.execute(text("UPDATE jobs SET run_after = now() + interval '1 min'"))


def renew_args(session):
    session.execute(text(f"UPDATE jobs SET args_version = {ARGS_VERSION + 1}"))


@pytest.mark.parametrize("hinder", [pause, drain_w1, stop_w1, delay, renew_args])
def test_a_job_stays_pending_where_it_may_not_be_claimed(sessions, runtime, hinder):
    world = make_world(sessions)
    with sessions.begin() as session:
        hinder(session)
    change(sessions, "UPDATE jobs SET sent_at = now()")

    assert run_stage(PLAIN, runtime, world.job_ids[0]) is None

    columns = "status, attempt, sent_at, worker"
    # Its hint is spent, so the relay may send another.
    assert job_row(sessions, world.job_ids[0], columns) == ("pending", 0, None, "")


@pytest.mark.parametrize(
    "then", [None, Interrupted("the loop is cancelled"), OSError("no network")]
)
def test_a_job_of_a_cancelled_loop_stores_nothing_and_says_so(
    sessions, runtime, caplog, then
):
    world = make_world(sessions)
    caplog.set_level(logging.INFO)

    def cancelled(runtime, inputs, heartbeat):
        with sessions.begin() as session:
            loops.set_status(session, world.loop_id, "cancelled")
        if then is not None:
            raise then

    run_stage(stage_of(compute=cancelled), runtime, world.job_ids[0])

    assert "was cancelled; nothing was stored" in caplog.text
    assert "lease" not in caplog.text
    assert effects(sessions) == {}
    assert job_row(sessions, world.job_ids[0], "status") == ("cancelled",)


def test_a_connection_that_breaks_in_store_is_tried_again(sessions, runtime):
    world = make_world(sessions)
    tries = []

    def cut(session, job, out):
        leave_an_effect(session, job, out)
        tries.append(session.scalar(text("SELECT pg_backend_pid()")))
        if len(tries) == 1:
            query(sessions, "SELECT pg_terminate_backend(:pid)", pid=tries[0])
            session.execute(text("SELECT 1"))

    run_stage(stage_of(store=cut), runtime, world.job_ids[0])

    assert len(set(tries)) == 2
    assert effects(sessions) == {world.job_ids[0]: 1}
    assert job_row(sessions, world.job_ids[0], "status, attempt") == ("done", 1)
    assert open_step(sessions, world) == ("judge", 1)


def test_a_connection_that_breaks_in_load_hands_the_job_back(sessions, runtime):
    world = make_world(sessions)

    def cut(session, job):
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        query(sessions, "SELECT pg_terminate_backend(:pid)", pid=pid)
        session.execute(text("SELECT 1"))

    run_stage(stage_of(load=cut), runtime, world.job_ids[0])

    columns = "status, num_errors, run_after > clock_timestamp()"
    assert job_row(sessions, world.job_ids[0], columns) == ("pending", 0, True)


OPEN = """
    SELECT state FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND state LIKE 'idle in transaction%'
"""


def test_no_transaction_is_open_while_it_computes(sessions, runtime):
    world = make_world(sessions)
    found = []

    def look(runtime, inputs, heartbeat):
        found.extend(query(sessions, OPEN))

    run_stage(stage_of(compute=look), make_quiet(runtime), world.job_ids[0])

    assert found == []


def test_shards_are_read_one_at_a_time_and_nothing_is_open_between(sessions, runtime):
    world = make_world(sessions)
    found = []

    def load(session, job):
        session.execute(text("SELECT 1"))
        return Stream(inputs="inputs", shards=[3, 1], sums=[])

    def read(session, runtime, inputs, shard):
        found.append("read")
        return session.scalar(text("SELECT 10 * CAST(:shard AS int)"), {"shard": shard})

    def add(inputs, sums, part, heartbeat):
        found.extend(["add", *query(sessions, OPEN)])
        sums.append(part)

    def finish(runtime, inputs, sums, heartbeat):
        found.extend(["finish", *query(sessions, OPEN)])
        return inputs, sums

    stored = []
    stage = StreamStage(load, read, add, finish, lambda *args: stored.append(args[2]))

    run_stage(stage, make_quiet(runtime), world.job_ids[0])

    assert found == ["read", "add", "read", "add", "finish"]
    assert stored == [("inputs", [30, 10])]
    assert job_row(sessions, world.job_ids[0], "status") == ("done",)


def make_quiet(runtime):
    """The same runtime, whose heartbeat opens no transaction of its own."""
    quiet = runtime.settings.model_copy(update={"heartbeat_s": 60.0})
    runtime.settings = quiet
    return runtime


def test_a_paused_loop_interrupts_at_the_next_progress(sessions, runtime):
    world = make_world(sessions)

    def long(runtime, inputs, heartbeat):
        with sessions.begin() as session:
            loops.set_status(session, world.loop_id, "paused")
        eventually(lambda: heartbeat.progress(1, 2), timeout_s=10)

    run_stage(stage_of(compute=long), runtime, world.job_ids[0])

    columns = "status, attempt, num_errors"
    assert job_row(sessions, world.job_ids[0], columns) == ("pending", 1, 0)
