import pytest
from sqlalchemy import text

from db.queries import jobs, records
from db.queries.answers import AnswerKey, StoredAnswer, store_answers
from db.queries.reservations import Wanted, release, reserve, settle
from tests.worker.worlds import make_world, query


@pytest.fixture
def world(sessions):
    return make_world(sessions, num_shards=2, documents_per_shard=2)


def claim(sessions, job_id):
    with sessions.begin() as session:
        return jobs.claim(session, job_id, worker="w", lease_s=60)


def wanted(text_ids, usd=1.0):
    return [Wanted(AnswerKey(t, "f", 0), 10, 5, usd) for t in text_ids]


def reserve_now(sessions, job, requests):
    with sessions.begin() as session:
        return reserve(session, job, requests)


def costs(sessions):
    return query(
        sessions, "SELECT job_id, attempt, kind, spent, useful FROM costs ORDER BY 1, 3"
    )


def end(sessions, job, status="pending"):
    with sessions.begin() as session:
        session.execute(
            text("UPDATE jobs SET status = :status WHERE id = :id"),
            {"id": job.id, "status": status},
        )


def test_a_request_is_reserved_by_one_job_at_a_time(sessions, world):
    one, two = (claim(sessions, job_id) for job_id in world.job_ids)
    requests = wanted(world.text_ids[:2])

    mine = reserve_now(sessions, one, requests)
    theirs = reserve_now(sessions, two, wanted(world.text_ids[1:3]))

    assert mine.mine == {request.key for request in requests}
    assert theirs.held == {requests[1].key}
    assert {key.text_id for key in theirs.mine} == {world.text_ids[2]}


def test_what_is_answered_is_not_reserved(sessions, world):
    job = claim(sessions, world.job_ids[0])
    (request,) = wanted(world.text_ids[:1])
    with sessions.begin() as session:
        store_answers(session, [(request.key, StoredAnswer(b"K", 1, 1))])

    found = reserve_now(sessions, job, [request])

    assert (found.answered, found.mine) == ({request.key}, set())


def test_a_commit_that_went_through_unseen_is_not_reserved_twice(sessions, world):
    job = claim(sessions, world.job_ids[0])
    requests = wanted(world.text_ids[:2])
    reserve_now(sessions, job, requests)

    again = reserve_now(sessions, job, requests)

    assert again.mine == {request.key for request in requests}
    assert query(sessions, "SELECT count(*) FROM reservations") == [(2,)]


def test_a_reservation_is_released_once_and_only_by_its_attempt(sessions, world):
    one, two = (claim(sessions, job_id) for job_id in world.job_ids)
    keys = {request.key for request in wanted(world.text_ids[:1])}
    reserve_now(sessions, one, wanted(world.text_ids[:1]))

    released = []
    for job in (two, one, one):
        with sessions.begin() as session:
            released.append(release(session, job, keys))

    assert released == [set(), keys, set()]


def test_a_living_attempt_is_not_settled(sessions, world):
    reserve_now(sessions, claim(sessions, world.job_ids[0]), wanted(world.text_ids))

    with sessions.begin() as session:
        assert settle(session) == 0
    assert costs(sessions) == []


@pytest.mark.parametrize("status", ["pending", "cancelled", "failed", "done", "split"])
def test_what_an_ended_attempt_left_is_spent_and_not_useful(sessions, world, status):
    job = claim(sessions, world.job_ids[0])
    reserve_now(sessions, job, wanted(world.text_ids[:3], usd=0.5))
    end(sessions, job, status)

    for _ in range(2):
        with sessions.begin() as session:
            settle(session)

    # Three requests of at most 10 and 5 tokens.
    assert costs(sessions) == [
        (job.id, 1, "input_tokens", 30.0, 0.0),
        (job.id, 1, "output_tokens", 15.0, 0.0),
        (job.id, 1, "usd", 1.5, 0.0),
    ]


def test_a_later_attempt_takes_over_what_an_earlier_one_left(sessions, world):
    first = claim(sessions, world.job_ids[0])
    reserve_now(sessions, first, wanted(world.text_ids[:1], usd=0.0))
    end(sessions, first)
    second = claim(sessions, world.job_ids[0])

    found = reserve_now(sessions, second, wanted(world.text_ids[:1], usd=0.0))

    assert len(found.mine) == 1
    assert costs(sessions) == [
        (first.id, 1, "input_tokens", 10.0, 0.0),
        (first.id, 1, "output_tokens", 5.0, 0.0),
    ]


def test_a_budget_counts_what_is_spent_and_what_is_open(sessions, world):
    one, two = (claim(sessions, job_id) for job_id in world.job_ids)
    with sessions.begin() as session:
        session.execute(
            text("""UPDATE loops SET config =
                    jsonb_set(config, '{stop,max_usd}', '4.0')""")
        )
        records.add_cost(session, one.id, 1, "usd", 1.5, 1.0)
        records.add_cost(session, one.id, 1, "seconds", 9.0, 9.0)
    reserve_now(sessions, one, wanted(world.text_ids[:1]))

    found = reserve_now(sessions, two, wanted(world.text_ids[1:]))

    # 4 - 1.5 - 1 leaves room for one more of 1 USD.
    assert (len(found.mine), len(found.refused)) == (1, 2)
    assert found.budget is not None
    assert (found.budget.spent_usd, found.budget.open_usd) == (1.5, 1.0)


def test_what_costs_nothing_needs_no_budget(sessions, world):
    job = claim(sessions, world.job_ids[0])
    with sessions.begin() as session:
        session.execute(
            text("""UPDATE loops SET config =
                    jsonb_set(config, '{stop,max_usd}', '0.0')""")
        )

    found = reserve_now(sessions, job, wanted(world.text_ids, usd=0.0))

    assert (len(found.mine), found.budget) == (4, None)


def test_many_small_costs_are_added_up_exactly_and_kept_as_few_rows(sessions, world):
    one, two = (claim(sessions, job_id) for job_id in world.job_ids)
    with sessions.begin() as session:
        session.execute(
            text("UPDATE loops SET config = jsonb_set(config, '{stop,max_usd}', '9')")
        )
        for attempt in range(1, 301):
            # A tenth is no binary fraction: 300 of them as floats are 30.000000000000…
            records.add_cost(session, one.id, attempt, "usd", 0.1, 0.1)
    unseen = sessions()
    with unseen.begin():
        records.add_cost(unseen, two.id, 1, "usd", 0.5, 0.5)
        during = reserve_now(sessions, one, wanted(world.text_ids[:1], usd=1e-6))
        rows = query(sessions, "SELECT count(*) FROM spending")
    unseen.close()
    after = reserve_now(sessions, one, wanted(world.text_ids[1:2], usd=1e-6))

    assert during.budget.spent_usd == 30.0
    assert rows == [(1,)]
    # What was on its way meanwhile is neither lost nor counted twice.
    assert after.budget.spent_usd == 30.5


def test_what_a_dead_attempt_may_have_paid_is_spent_of_the_budget(sessions, world):
    one, two = (claim(sessions, job_id) for job_id in world.job_ids)
    with sessions.begin() as session:
        session.execute(
            text("UPDATE loops SET config = jsonb_set(config, '{stop,max_usd}', '9')")
        )
    reserve_now(sessions, one, wanted(world.text_ids[:2], usd=1.25))
    end(sessions, one)

    found = reserve_now(sessions, two, wanted(world.text_ids[2:]))

    assert (found.budget.spent_usd, found.budget.open_usd) == (2.5, 0.0)
