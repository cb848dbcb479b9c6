import pytest

from api.cli.output import format_seconds
from api.cli.status import draw_bar, name_step, with_rate
from db.queries import jobs, workers


@pytest.fixture
def loop(farm, ndjson):
    farm("corpus", "add", "ops", ndjson({"text": "disk full", "split": "train"}))
    farm("loop", "start", "ops", "--name", "mine")
    return "mine"


def fail(sessions):
    with sessions.begin() as session:
        (row,) = jobs.list_jobs(session)
        claimed = jobs.claim(session, row["id"], worker="w", lease_s=60)
        jobs.fail(session, claimed, "File …\nValueError: no such thing", park=True)
    return row["id"]


def test_a_failed_job_is_listed_shown_and_tried_again(farm, loop, sessions):
    job_id = fail(sessions)

    (row,) = farm.json("job", "list", "--status", "failed")
    shown = farm("job", "show", job_id).stdout
    status = farm("status")
    farm("job", "retry", job_id)

    assert (row["id"], row["stage"], row["num_errors"]) == (job_id, "select", 1)
    assert "ValueError: no such thing" in shown
    assert f"job {job_id} failed (round 1, select): ValueError" in status.stderr
    assert farm.json("job", "show", job_id)["status"] == "pending"
    assert "no failed job" in farm.mistake("job", "retry", job_id)


def test_wrong_ids_names_and_statuses_are_explained(farm, loop):
    assert "no job has id 99" in farm.mistake("job", "show", "99")
    assert "expected one of pending" in farm.mistake("job", "list", "--status", "odd")
    assert "no loop is called" in farm.mistake("job", "list", "--loop", "other")
    assert farm.json("job", "list", "--loop", "mine")[0]["status"] == "pending"


def test_status_shows_steps_and_queues_that_nobody_takes(farm, loop, sessions):
    before = farm("status")
    with sessions.begin() as session:
        workers.register(session, "w", queues=["control"], slots=1, version="1")
    after = farm.json("status")

    assert "1 jobs wait in control and no live worker takes it" in before.stderr
    assert "farm worker start --queue control" in before.stderr
    assert after["unserved_queues"] == {}
    (step,) = after["loops"][0]["steps"]
    assert (step["stage"], step["jobs"], step["pending"]) == ("select", 1, 1)
    assert [row["name"] for row in after["workers"]] == ["w"]


def test_watching_ends_with_the_loop(farm, loop, sessions):
    farm("loop", "cancel", loop)

    said = farm("status", loop, "--watch").stdout

    assert "mine: cancelled" in said


def test_an_empty_farm_says_how_to_begin(farm):
    assert "farm demo" in farm("status").stdout
    assert "no such jobs" in farm("job", "list").stdout


def test_a_worker_is_listed_and_drained(farm, sessions):
    with sessions.begin() as session:
        workers.register(session, "w", queues=["cpu", "train"], slots=2, version="1")

    (row,) = farm.json("worker", "list")
    assert (row["state"], row["queues"]) == ("alive", ["cpu", "train"])
    farm("worker", "drain", "w")
    assert farm.json("worker", "list")[0]["state"] == "draining"
    farm("worker", "drain", "w", "--off")
    assert farm.json("worker", "list")[0]["state"] == "alive"
    assert "no worker is named" in farm.mistake("worker", "drain", "x")


def test_a_worker_refuses_a_queue_that_nothing_fills(farm):
    said = farm.mistake("worker", "start", "--queue", "teach.")

    assert "no queue is named 'teach.'" in said
    assert "teach.VOTER" in said


STEP = {"jobs": 4, "done": 1, "running": 1, "pending": 2, "failed": 0, "cancelled": 0,
        "jobs_worth": 1.5, "seconds": 30.0}  # fmt: skip


def test_rate_and_time_left_count_a_running_job_in_part():
    found = with_rate(STEP)

    assert found["jobs_per_minute"] == 3.0  # 1.5 jobs in half a minute
    assert found["seconds_left"] == 50.0  # 2.5 jobs at one each 20 s


def test_nothing_is_known_of_a_step_that_has_not_begun():
    found = with_rate({**STEP, "jobs_worth": 0, "seconds": None})

    assert (found["jobs_per_minute"], found["seconds_left"]) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (3.4, "3 s"), (75, "1 min 15 s"), (3725, "1 h 02 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert format_seconds(seconds) == text


def test_nothing_is_left_where_a_job_failed_for_good():
    found = with_rate({**STEP, "running": 0, "pending": 0, "failed": 1})

    assert found["seconds_left"] is None


def test_a_bar_is_full_at_one_and_empty_at_nothing():
    assert draw_bar(0) == "░" * 24
    assert draw_bar(0.5) == "█" * 12 + "░" * 12
    assert draw_bar(1.2) == "█" * 24


def test_a_step_is_named_by_its_voter_or_wave():
    assert name_step({"stage": "teach", "voter": "salience", "wave": 1}) == (
        "teach salience"
    )
    assert name_step({"stage": "aggregate", "voter": "", "wave": 2}) == "aggregate 2"
    assert name_step({"stage": "train", "voter": "", "wave": 0}) == "train"
