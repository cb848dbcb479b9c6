import pytest
from sqlalchemy import text

from db.queries import dispatch, jobs, workers
from db.queries.dispatch import ExpiredJob, Hint


def run(session, statement):
    session.execute(text(statement))


def register(session, name="w1", *, slots=1, queues=("cpu",)):
    workers.register(session, name, queues=queues, slots=slots, version="1")


def chosen(session):
    return [hint.job_id for hint in dispatch.choose_hints(session)]


@pytest.fixture
def add_jobs(session, add_job):
    """Add jobs of one round; give their ids."""

    def add(world, number, **values):
        return [
            add_job(session, world, "aggregate", shard=shard, **values)
            for shard in range(number)
        ]

    return add


def test_a_hint_says_where_and_what(session, world, add_job):
    register(session, queues=["cpu"])
    job_id = add_job(session, world, "teach", wave=1, voter="salience", shard=7)

    (hint,) = dispatch.choose_hints(session)

    title = f"small round 1 teach/salience shard 7 wave 1 job {job_id}"
    assert hint == Hint(job_id, "teach", "cpu", title)
    assert hint.title == jobs.get_job(session, job_id).title


def test_at_most_two_hints_a_slot_are_out(session, world, add_jobs):
    register(session, slots=2)
    ids = add_jobs(world, 7)

    assert chosen(session) == ids[:4]
    assert chosen(session) == []


def test_a_running_job_takes_the_place_of_a_hint(session, world, add_jobs):
    register(session, slots=1)
    ids = add_jobs(world, 4)
    assert chosen(session) == ids[:2]

    jobs.claim(session, ids[0], worker="w1", lease_s=60)
    assert chosen(session) == []
    run(session, f"UPDATE jobs SET status = 'done' WHERE id = {ids[0]}")
    assert chosen(session) == [ids[2]]


def test_slots_of_all_workers_on_a_queue_count(session, world, add_jobs):
    register(session, "w1", slots=1)
    register(session, "w2", slots=2, queues=("cpu", "train"))
    ids = add_jobs(world, 9)

    assert chosen(session) == ids[:6]


def test_each_queue_has_room_of_its_own(session, world, add_job):
    register(session, queues=("cpu", "train"))
    for shard in range(3):
        add_job(session, world, "aggregate", shard=shard)
    run(session, "UPDATE jobs SET queue = 'train' WHERE shard = 2")

    assert len(chosen(session)) == 3


@pytest.mark.parametrize(
    "silence",
    [
        "heartbeat_at = clock_timestamp() - interval '16 s'",
        "draining = true",
        "stopping = true",
        "queues = '{train}'",
    ],
)
def test_a_worker_that_takes_nothing_has_no_slots(session, world, add_jobs, silence):
    register(session)
    add_jobs(world, 1)
    run(session, f"UPDATE workers SET {silence}")

    assert chosen(session) == []


def test_a_worker_that_was_silent_for_a_while_still_counts(session, world, add_jobs):
    register(session)
    ids = add_jobs(world, 1)
    run(session, "UPDATE workers SET heartbeat_at = clock_timestamp() - interval '9 s'")

    assert chosen(session) == ids


@pytest.mark.parametrize(
    "hindrance",
    [
        "UPDATE jobs SET run_after = clock_timestamp() + interval '1 min'",
        "UPDATE jobs SET status = 'failed'",
        "UPDATE jobs SET sent_at = now()",
        "UPDATE loops SET status = 'paused'",
        "UPDATE rounds SET status = 'cancelled'",
    ],
)
def test_no_hint_is_sent_for_what_cannot_run(session, world, add_jobs, hindrance):
    register(session)
    add_jobs(world, 1)
    run(session, hindrance)

    assert chosen(session) == []


def test_the_higher_priority_goes_first(session, build_world, add_jobs):
    register(session, slots=2)
    low = add_jobs(build_world(session, name="low"), 3)
    high = add_jobs(build_world(session, name="high"), 3)
    run(session, "UPDATE loops SET priority = 5 WHERE name = 'high'")

    # Four places: all three of the high one, then one of the low one.
    assert chosen(session) == [low[0], *high]


def test_loops_of_one_priority_share_alike(session, build_world, add_jobs):
    register(session, slots=2)
    first = add_jobs(build_world(session, name="first"), 5)
    second = add_jobs(build_world(session, name="second"), 5)

    assert chosen(session) == [*first[:2], *second[:2]]


def test_a_loop_that_already_runs_much_waits_for_the_others(
    session, build_world, add_jobs
):
    register(session, slots=2)
    first = add_jobs(build_world(session, name="first"), 5)
    assert chosen(session) == first[:4]
    second = add_jobs(build_world(session, name="second"), 3)
    run(
        session, f"UPDATE jobs SET status = 'done' WHERE id IN ({first[0]}, {first[1]})"
    )

    # The first loop has two under way: the next two turns are the second loop's.
    assert chosen(session) == second[:2]


def test_an_expired_lease_comes_back_and_is_counted(session, world, add_jobs):
    (job_id,) = add_jobs(world, 1)
    jobs.claim(session, job_id, worker="w1", lease_s=60)
    assert dispatch.expire_leases(session) == []
    run(session, "UPDATE jobs SET lease_until = clock_timestamp()")

    expired = dispatch.expire_leases(session)

    assert expired == [ExpiredJob(job_id, world.round_id, "aggregate", 1)]
    row = session.execute(
        text("SELECT status, attempt, worker, num_errors, num_lost_leases FROM jobs")
    ).one()
    assert tuple(row) == ("pending", 1, "", 0, 1)
    costs = session.execute(text("SELECT attempt, spent > 0, useful FROM costs")).all()
    assert [tuple(row) for row in costs] == [(1, True, 0)]


def lose(session, job_id, *, done):
    """An attempt comes so far, and its lease runs out; gives the count."""
    jobs.claim(session, job_id, worker="w1", lease_s=60)
    run(session, f"UPDATE jobs SET progress_done = {done}, lease_until = now()")
    (expired,) = dispatch.expire_leases(session)
    return expired.num_lost_leases


def test_lost_leases_count_only_while_no_attempt_comes_further(
    session, world, add_jobs
):
    (job_id,) = add_jobs(world, 1)

    # 20 and 21 are further than everything before; 7, 21 and 21 again are not.
    found = [lose(session, job_id, done=done) for done in (0, 20, 7, 21, 21, 21)]

    assert found == [1, 1, 2, 1, 2, 3]


def test_a_forfeited_lease_counts_like_one_that_ran_out(session, world, add_jobs):
    (job_id,) = add_jobs(world, 1)
    counts = []
    for done in (5, 5, 6):
        job = jobs.claim(session, job_id, worker="w1", lease_s=60)
        run(session, f"UPDATE jobs SET progress_done = {done}")
        counts.append(dispatch.forfeit_lease(session, job, "died").num_lost_leases)

    assert counts == [1, 2, 1]


def test_only_old_hints_of_jobs_that_wait_are_stale(session, world, add_jobs):
    old, new, ran, _unsent = add_jobs(world, 4)
    run(session, f"UPDATE jobs SET sent_at = now() WHERE id IN ({old}, {new}, {ran})")
    run(session, f"""UPDATE jobs SET sent_at = now() - interval '9 s'
                     WHERE id IN ({old}, {ran})""")  # fmt: skip
    jobs.claim(session, ran, worker="w1", lease_s=60)

    assert dispatch.stale_hints(session, age_s=8) == {"cpu": 1}
    assert dispatch.forget_hints(session, "train", age_s=8) == 0
    assert dispatch.forget_hints(session, "cpu", age_s=8) == 1
    assert dispatch.stale_hints(session, age_s=8) == {}
    register(session, slots=2)
    assert old in chosen(session)


def test_a_backlog_is_not_looked_at(session, world, add_jobs):
    register(session, slots=2)
    add_jobs(world, 3)
    run(
        session,
        f"""INSERT INTO jobs (round_id, stage, queue, shard, status)
            SELECT {world.round_id}, 'aggregate', 'cpu', shard,
                   CASE WHEN shard % 2 = 0 THEN 'done' ELSE 'pending' END
            FROM generate_series(10, 20000) AS shard""",
    )
    session.execute(text("ANALYZE jobs"))

    explain = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {dispatch._CHOOSE.text}")
    key = {"per_slot": 2, "alive_s": 15.0}
    plan = session.scalar(explain, key)

    def rows(node):
        yield node["Actual Rows"] * node["Actual Loops"]
        for child in node.get("Plans", ()):
            yield from rows(child)

    # Four hints fit; no step of the plan touches the other ten thousand jobs.
    assert max(rows(plan[0]["Plan"])) <= 20
