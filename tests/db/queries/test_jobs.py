import pytest
from sqlalchemy import text

from db.errors import Conflict, JobCancelled, LeaseLost, NotFound
from db.kinds import ARGS_VERSION
from db.models import Job
from db.queries import jobs, workers
from db.queries.jobs import JobSpec


def read(session, job_id, columns):
    return tuple(
        session.execute(text(f"SELECT {columns} FROM jobs WHERE id = {job_id}")).one()
    )


def change(session, values):
    session.execute(text(f"UPDATE jobs SET {values}"))


@pytest.fixture
def job_id(session, world, add_job):
    return add_job(session, world, "aggregate")


@pytest.fixture
def job(session, job_id):
    return jobs.claim(session, job_id, worker="w1", lease_s=60)


def test_jobs_wait_in_the_queue_of_their_stage_or_voter(session, world):
    jobs.insert_jobs(
        session,
        world.round_id,
        [JobSpec("train"), JobSpec("teach", 1, "salience", 3, {"a": 1}, 99)],
    )

    found = session.execute(
        text("SELECT stage, voter, shard, queue, args, deadline_s FROM jobs ORDER BY 1")
    ).all()
    assert [tuple(row) for row in found] == [
        ("teach", "salience", 3, "teach.salience", {"a": 1}, 99),
        ("train", "", 0, "train", {}, 3600),
    ]


def test_a_job_that_exists_stays_as_it_is(session, world):
    jobs.insert_jobs(session, world.round_id, [JobSpec("judge", args={"a": 1})])
    change(session, "status = 'done'")

    jobs.insert_jobs(session, world.round_id, [JobSpec("judge", args={"a": 2})])

    rows = session.execute(text("SELECT status, args FROM jobs")).all()
    assert [tuple(row) for row in rows] == [("done", {"a": 1})]


def test_no_jobs_are_no_statement(session, world):
    jobs.insert_jobs(session, world.round_id, [])

    assert session.scalar(text("SELECT count(*) FROM jobs")) == 0


def test_a_claim_tells_everything_about_the_job(session, world, job_id):
    job = jobs.claim(session, job_id, worker="w1", lease_s=60)

    assert (job.loop, job.round, job.stage, job.attempt) == ("small", 1, "aggregate", 1)
    assert (job.loop_id, job.round_id) == (world.loop_id, world.round_id)
    columns = """status, worker,
        round(extract(epoch FROM lease_until - started_at))::int"""
    assert read(session, job_id, columns) == ("running", "w1", 60)


def test_a_job_is_claimed_once(session, job, job_id):
    assert jobs.claim(session, job_id, worker="w2", lease_s=60) is None
    assert read(session, job_id, "worker, attempt") == ("w1", 1)


@pytest.mark.parametrize("status", ["finished", "cancelled"])
def test_no_job_of_an_ended_round_is_claimed(session, job_id, status):
    session.execute(text(f"UPDATE rounds SET status = '{status}'"))

    assert jobs.claim(session, job_id, worker="w1", lease_s=60) is None


def test_a_refused_hint_rests_a_second(session, job_id):
    change(session, f"args_version = {ARGS_VERSION + 1}, sent_at = now()")

    assert jobs.claim(session, job_id, worker="w1", lease_s=60) is None

    # Else a worker that may not take it and the relay would play ping-pong.
    rest = "extract(epoch FROM run_after - clock_timestamp()) BETWEEN 0.5 AND 1"
    assert read(session, job_id, f"sent_at IS NULL, {rest}") == (True, True)


def test_a_refused_hint_does_not_shorten_or_lengthen_a_longer_wait(session, job_id):
    change(session, "run_after = '2100-01-01'")

    assert jobs.claim(session, job_id, worker="w1", lease_s=60) is None

    assert read(session, job_id, "run_after = '2100-01-01'") == (True,)


def test_another_worker_may_claim_what_a_draining_one_may_not(session, job_id):
    workers.register(session, "w1", queues=["cpu"], slots=1, version="1")
    workers.drain(session, "w1", on=True)

    assert jobs.claim(session, job_id, worker="w1", lease_s=60) is None
    change(session, "run_after = now()")
    assert jobs.claim(session, job_id, worker="w2", lease_s=60).attempt == 1


def test_a_title_names_the_voter_of_a_teaching_job(session, world, add_job):
    job_id = add_job(session, world, "teach", wave=1, voter="salience", shard=4)

    title = jobs.get_job(session, job_id).title

    assert title == (f"small round 1 teach/salience shard 4 wave 1 job {job_id}")


def pulse(session, job, *, has_progressed=True):
    return jobs.renew(
        session, job, lease_s=500, done=1, total=2, has_progressed=has_progressed
    )


@pytest.mark.parametrize(("has_progressed", "seconds"), [(True, 500), (False, 60)])
def test_only_progress_renews_a_lease(session, job, has_progressed, seconds):
    found = pulse(session, job, has_progressed=has_progressed)

    assert (found.alive, found.interrupted) == (True, "")
    columns = """progress_done, progress_total,
        round(extract(epoch FROM lease_until - started_at))::int"""
    assert read(session, job.id, columns) == (1, 2, seconds)


def test_a_lease_that_is_over_is_not_renewed(session, job):
    change(session, "lease_until = clock_timestamp()")

    assert not pulse(session, job).alive
    assert read(session, job.id, "lease_until < clock_timestamp()") == (True,)


@pytest.mark.parametrize(
    "end",
    [
        jobs.mark_done,
        jobs.release,
        lambda session, job: jobs.fail(session, job, "oh", park=False),
        jobs.fence,
    ],
)
@pytest.mark.parametrize("change_to", ["attempt = 2", "status = 'pending'"])
def test_an_attempt_that_lost_its_job_ends_nothing(session, job, end, change_to):
    change(session, change_to)
    before = read(session, job.id, "status, attempt, num_errors, run_after")

    with pytest.raises(LeaseLost, match=r"attempt 1 of job \d+ lost its lease"):
        end(session, job)

    assert read(session, job.id, "status, attempt, num_errors, run_after") == before


@pytest.mark.parametrize(
    "end", [jobs.mark_done, jobs.release, jobs.fence], ids=["done", "release", "fence"]
)
def test_an_attempt_of_a_cancelled_job_is_told_so(session, job, end):
    change(session, "status = 'cancelled'")

    with pytest.raises(JobCancelled, match=r"attempt 1 of job \d+ was cancelled"):
        end(session, job)


def test_a_job_that_is_done_shows_all_its_progress(session, job):
    pulse(session, job)

    jobs.mark_done(session, job)

    columns = "status, progress_done, progress_total, lease_until"
    assert read(session, job.id, columns) == ("done", 2, 2, None)


@pytest.mark.parametrize(
    ("num_errors", "park", "status", "wait_s"),
    [
        (0, False, "pending", 1),  # 2 ** 0
        (1, False, "pending", 2),  # 2 ** 1
        (2, False, "failed", 4),  # the third parks it
        (0, True, "failed", 1),
    ],
)
def test_errors_back_off_and_park(session, job, num_errors, park, status, wait_s):
    change(session, f"num_errors = {num_errors}")

    jobs.fail(session, job, "Traceback", park=park)

    columns = """status, num_errors, last_error, worker,
        round(extract(epoch FROM run_after - clock_timestamp()))::int"""
    found = read(session, job.id, columns)
    assert found == (status, num_errors + 1, "Traceback", "", wait_s)


def test_a_released_job_waits_if_asked(session, job):
    jobs.release(session, job, delay_s=30)

    columns = """status, attempt, worker,
        round(extract(epoch FROM run_after - clock_timestamp()))::int"""
    assert read(session, job.id, columns) == ("pending", 1, "", 30)


def test_a_retry_forgives_everything(session, job):
    change(session, "num_lost_leases = 2, num_errors = 2, sent_at = now()")
    change(session, "furthest_done = 9")
    jobs.fail(session, job, "oh", park=True)

    jobs.retry(session, job.id)

    columns = "status, num_errors, num_lost_leases, furthest_done, sent_at, attempt"
    assert read(session, job.id, columns) == ("pending", 0, 0, 0, None, 1)
    assert jobs.claim(session, job.id, worker="w1", lease_s=60).attempt == 2


def test_only_a_parked_job_is_retried(session, job):
    with pytest.raises(NotFound, match="no failed job has id"):
        jobs.retry(session, job.id)


def test_a_parked_job_keeps_what_to_do(session, job_id):
    jobs.park(session, job_id, "see the log")

    assert read(session, job_id, "status, last_error") == ("failed", "see the log")


def test_a_split_job_has_ended(session, job):
    jobs.mark_split(session, job.id)

    assert read(session, job.id, "status, lease_until") == ("split", None)


def test_a_job_that_is_not_there_is_named(session):
    with pytest.raises(NotFound, match="no job has id 7; see the list of jobs"):
        jobs.get_job(session, 7)


def test_jobs_are_listed_newest_first_and_by_what_is_asked(session, build_world):
    ids = []
    for name in ("one", "two"):
        made = build_world(session, name=name)
        for status in ("pending", "failed"):
            row = Job(round_id=made.round_id, stage="judge", queue="cpu",
                      voter=status, status=status)  # fmt: skip
            session.add(row)
            session.flush()
            ids.append(row.id)

    def listed(**filters):
        return [row["id"] for row in jobs.list_jobs(session, **filters)]

    assert listed() == ids[::-1]
    assert listed(loop="one") == [ids[1], ids[0]]
    assert listed(status="failed") == [ids[3], ids[1]]
    assert listed(job_id=ids[2]) == [ids[2]]
    assert listed(limit=1) == [ids[3]]
    assert jobs.list_jobs(session)[0]["seconds"] is None


def test_a_job_is_not_claimed_for_another_stage(session, job_id):
    columns = "status, attempt, sent_at, run_after"
    before = read(session, job_id, columns)

    with pytest.raises(Conflict, match="was to be run as 'evaluate'"):
        jobs.claim(session, job_id, worker="w1", lease_s=60, stage="evaluate")

    assert read(session, job_id, columns) == before
    assert jobs.claim(session, job_id, worker="w1", lease_s=60, stage="aggregate")
