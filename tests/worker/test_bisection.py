import pytest

from db.queries import dispatch, records, selections
from db.queries.jobs import FIRST_CHILD_SHARD
from tests.worker.relay_machine import FakeBroker
from tests.worker.worlds import (
    PLAIN,
    age,
    change,
    job_row,
    make_world,
    query,
)
from worker.bisection import after_lost_lease
from worker.relay import mend
from worker.stage import run_stage

TEACH = {"stage": "teach", "wave": 1, "voters": ("alpha",)}


def lose_lease(sessions, job_id, times=3):
    """A worker claims the job and dies, again and again."""
    for _ in range(times):
        change(sessions, """UPDATE jobs SET status = 'running', attempt = attempt + 1,
            started_at = now(), lease_until = clock_timestamp() + interval '60 s'
            WHERE id = :id""", id=job_id)  # fmt: skip
        age(sessions, 61)
        mend(sessions, FakeBroker(), resend_s=3)


def read_round(sessions):
    return query(sessions, "SELECT stage, wave, open_jobs FROM rounds")[0]


def note_voter(sessions, voter_id):
    change(
        sessions,
        "INSERT INTO voters (name, fingerprint, kind, params, parts, snapshot_hash) "
        "VALUES ('alpha', 'f', 'simulated', '{}', '{}', '')",
    )
    change(
        sessions,
        """UPDATE rounds SET decisions = jsonb_build_object('version', 2, 'voters',
           jsonb_build_object('alpha', CAST(:id AS int)))""",
        id=voter_id,
    )


def test_two_lost_leases_only_come_back(sessions):
    world = make_world(sessions, documents_per_shard=4, **TEACH)

    lose_lease(sessions, world.job_ids[0], times=2)

    columns = "status, num_lost_leases"
    assert job_row(sessions, world.job_ids[0], columns) == ("pending", 2)
    assert read_round(sessions) == ("teach", 1, 1)


def test_three_lost_leases_halve_a_shard(sessions):
    world = make_world(sessions, documents_per_shard=5, num_shards=2, **TEACH)

    lose_lease(sessions, world.job_ids[0])

    children = [FIRST_CHILD_SHARD, FIRST_CHILD_SHARD + 1]
    found = query(sessions, "SELECT shard, status, voter FROM jobs ORDER BY id")
    assert found == [
        (0, "split", "alpha"),
        (1, "pending", "alpha"),
        (children[0], "pending", "alpha"),
        (children[1], "pending", "alpha"),
    ]
    with sessions() as session:
        halves = [
            [row.id for row in selections.shard_documents(session, 1, 1, shard)]
            for shard in (0, *children)
        ]
        assert selections.shards(session, 1, 1) == [0, 1]
    assert [len(half) for half in halves] == [5, 2, 3]
    assert halves[0] == halves[1] + halves[2]
    # The other shard and both children are open.
    assert read_round(sessions) == ("teach", 1, 3)


def test_the_children_end_the_step_like_any_shard(sessions, runtime):
    world = make_world(sessions, documents_per_shard=2, **TEACH)
    lose_lease(sessions, world.job_ids[0])

    for (job_id,) in query(sessions, "SELECT id FROM jobs WHERE status = 'pending'"):
        run_stage(PLAIN, runtime, job_id)

    assert read_round(sessions) == ("count", 0, 1)
    assert query(sessions, "SELECT shard FROM jobs WHERE stage = 'count'") == [(0,)]


def test_a_text_that_kills_its_worker_is_a_failure_and_the_round_goes_on(sessions):
    world = make_world(sessions, **TEACH)
    note_voter(sessions, 1)

    lose_lease(sessions, world.job_ids[0])

    failures = query(
        sessions,
        "SELECT text_id, voter_id, stage, attempt, round_id, error FROM failures",
    )
    error = "its worker died or hung 3 times on this text alone"
    assert failures == [(world.text_ids[0], 1, "teach", 3, world.round_id, error)]
    assert job_row(sessions, world.job_ids[0], "status") == ("split",)
    assert read_round(sessions) == ("count", 0, 1)


def test_a_later_round_does_not_ask_the_voter_about_that_text_again(sessions):
    world = make_world(sessions, **TEACH)
    note_voter(sessions, 1)
    lose_lease(sessions, world.job_ids[0])

    with sessions() as session:
        found = records.failed_texts(
            session, 1, "teach", world.text_ids, before_round=2
        )

    assert list(found) == world.text_ids


def test_a_text_that_kills_the_student_is_a_failure_of_no_voter(sessions):
    world = make_world(sessions, stage="self_label")

    lose_lease(sessions, world.job_ids[0])

    found = query(sessions, "SELECT text_id, voter_id, stage FROM failures")
    assert found == [(world.text_ids[0], None, "self_label")]


@pytest.mark.parametrize("stage", ["train", "aggregate"])
def test_what_cannot_be_halved_is_parked_with_what_to_do(sessions, stage):
    world = make_world(sessions, stage=stage)

    lose_lease(sessions, world.job_ids[0])

    status, error = job_row(sessions, world.job_ids[0], "status, last_error")
    assert status == "failed"
    assert error.startswith("3 leases were lost: its worker dies or hangs")
    assert "retry the job" in error
    assert read_round(sessions) == (stage, 0, 0)
    assert query(sessions, "SELECT status, stop_reason FROM loops") == [
        ("stopped", "failed")
    ]


def test_a_shard_is_not_halved_before_its_time(sessions):
    world = make_world(sessions, documents_per_shard=2, **TEACH)

    with sessions.begin() as session:
        expired = dispatch.ExpiredJob(world.job_ids[0], world.round_id, "teach", 2)
        after_lost_lease(session, expired)

    assert query(sessions, "SELECT count(*) FROM jobs") == [(1,)]
