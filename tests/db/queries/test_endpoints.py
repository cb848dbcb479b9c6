from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from db.queries import endpoints

_SUMS = text("""
    SELECT (SELECT sum(slots) FROM endpoint_workers), floor(concurrency) FROM endpoints
""")


def tell(session, worker="w1", **given):
    """A report of endpoint e; of a worker that wants much and saw nothing."""
    seen = {
        "wanted": 100,
        "num_ok": 0,
        "num_refused": 0,
        "pause_s": 0.0,
        "max_concurrency": 16,
        "lease_s": 10.0,
    }
    return endpoints.report(session, "e", worker, **(seen | given))


def later(session, seconds):
    """Move what the endpoint remembers into the past."""
    for table, column in (
        ("endpoints", "reduced_at"),
        ("endpoints", "paused_until"),
        ("endpoint_workers", "lease_until"),
    ):
        session.execute(
            text(f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s)"),
            {"s": seconds},
        )


def held(session):
    rows = session.execute(text("SELECT worker, slots FROM endpoint_workers"))
    return {row.worker: row.slots for row in rows}


def test_a_first_worker_gets_all_that_the_operator_allows(session):
    assert tell(session).slots == 16
    assert tell(session, wanted=3).slots == 3


def test_workers_come_to_equal_shares_within_a_few_reports(session):
    first, second = tell(session, "w1"), tell(session, "w2")
    assert (first.slots, second.slots) == (16, 0)

    for _ in range(5):  # w2 doubles from 1: 1, 2, 4, 8
        first, second = tell(session, "w1"), tell(session, "w2")

    assert (first.slots, second.slots) == (8, 8)


def test_who_wants_little_holds_back_little(session):
    tell(session, "w1")
    for _ in range(5):
        first, second = tell(session, "w1"), tell(session, "w2", wanted=2)

    # 16 - 2 held - 2 that w2 may grow by
    assert (first.slots, second.slots) == (12, 2)


def test_a_burst_of_refusals_halves_the_limit_once(session):
    tell(session, "w1")

    first = tell(session, "w1", num_refused=9)
    second = tell(session, "w2", num_refused=4)

    assert first.concurrency == second.concurrency == 8.0
    assert second.reduced_at == first.reduced_at is not None


def test_the_next_burst_halves_it_again_down_to_one(session):
    limits = []
    for _ in range(6):
        limits.append(tell(session, num_refused=1).concurrency)
        later(session, endpoints.BURST_S + 0.1)

    assert limits == [8.0, 4.0, 2.0, 1.0, 1.0, 1.0]
    assert tell(session).slots == 1


def test_answers_raise_the_limit_by_one_a_window(session):
    tell(session, num_refused=1)
    later(session, 10)

    assert tell(session, num_ok=8).concurrency == 9.0  # 8 + 8/8
    assert tell(session, num_ok=10_000).concurrency == 16.0  # the operator's


def test_a_lowered_limit_lowers_what_others_hold(session):
    for _ in range(6):
        tell(session, "w1"), tell(session, "w2")
    assert held(session) == {"w1": 8, "w2": 8}

    tell(session, "w1", num_refused=1)  # 8 for both: 4 each

    assert held(session) == {"w1": 4, "w2": 4}


def test_an_operator_who_lowers_the_limit_is_heard(session):
    tell(session)

    assert tell(session, max_concurrency=5).slots == 5


def test_a_dead_workers_slots_lapse_with_its_lease(session):
    tell(session, "dead", lease_s=10.0)
    assert tell(session, "w2").slots == 0

    later(session, 10.1)

    assert tell(session, "w2").slots == 16
    assert held(session) == {"w2": 16}


def test_who_wants_nothing_gives_its_slots_back(session):
    tell(session, "w1")

    assert tell(session, "w1", wanted=0).slots == 0

    assert held(session) == {}
    assert tell(session, "w2").slots == 16


def test_a_pause_holds_for_everybody_and_is_not_shortened(session):
    tell(session, "w1", pause_s=30.0)

    assert tell(session, "w2", pause_s=1.0).paused_s == pytest.approx(30, abs=1)
    later(session, 31)
    assert tell(session, "w2").paused_s == 0


def test_workers_at_once_never_hold_more_than_the_limit(sessions):
    def work(name):
        sums = []
        for step in range(15):
            with sessions.begin() as session:
                refused = int(step == 7)
                tell(session, name, num_refused=refused, num_ok=1, wanted=5 + step)
                row = session.execute(_SUMS).one()
                sums.append(tuple(row))
        return sums

    with ThreadPoolExecutor(3) as pool:
        seen = [pair for sums in pool.map(work, ["w1", "w2", "w3"]) for pair in sums]

    assert len(seen) == 45
    assert all(0 < total <= limit for total, limit in seen)


@given(
    limit=st.integers(1, 600),
    reports=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 700)), min_size=1, max_size=30
    ),
)
def test_shares_stay_within_the_limit_and_somebody_may_send(limit, reports):
    slots = {}
    for worker, wanted in reports:
        others = {w: s for w, s in slots.items() if w != worker}
        slots[worker] = endpoints.share(limit, wanted=wanted, others=others)

        assert 0 <= slots[worker] <= wanted
        assert sum(slots.values()) <= limit
        assert sum(slots.values()) > 0 or wanted == 0
