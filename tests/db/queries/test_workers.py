import pytest
from sqlalchemy import text

from db.errors import NotFound
from db.queries import jobs, workers


def register(session, name="w1", slots=2):
    workers.register(session, name, queues=["cpu", "control"], slots=slots, version="1")


def test_a_worker_is_listed_with_what_it_takes(session, world, add_job):
    register(session)
    job_id = add_job(session, world, "judge")
    jobs.claim(session, job_id, worker="w1", lease_s=60)

    (found,) = workers.list_workers(session)

    assert found["silent_seconds"] < 60
    del found["silent_seconds"]
    assert found == {
        "name": "w1",
        "queues": ["cpu", "control"],
        "slots": 2,
        "version": "1",
        "draining": False,
        "stopping": False,
        "running_jobs": 1,
    }


def test_a_restart_forgets_that_the_worker_was_to_stop(session):
    register(session)
    workers.drain(session, "w1", on=True)
    workers.mark_stopping(session, "w1")

    register(session, slots=4)

    (found,) = workers.list_workers(session)
    assert (found["draining"], found["stopping"], found["slots"]) == (False, False, 4)


def test_a_beat_ends_the_silence(session):
    register(session)
    session.execute(text("UPDATE workers SET heartbeat_at = now() - interval '1 hour'"))
    assert workers.list_workers(session)[0]["silent_seconds"] > 3000

    assert workers.beat(session, "w1")

    assert workers.list_workers(session)[0]["silent_seconds"] < 60


def test_a_worker_that_was_removed_learns_it_at_its_next_beat(session):
    register(session)
    workers.remove(session, "w1")

    assert not workers.beat(session, "w1")
    assert workers.list_workers(session) == []


def test_draining_is_taken_back(session):
    register(session)
    workers.drain(session, "w1", on=True)

    workers.drain(session, "w1", on=False)

    assert not workers.list_workers(session)[0]["draining"]


def test_only_a_worker_that_is_there_drains(session):
    with pytest.raises(NotFound, match="no worker is named 'w9'; see the list"):
        workers.drain(session, "w9", on=True)
