import signal
import threading
from collections import Counter

import psycopg
import pytest
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from db.engine import driver_url
from db.models import Event
from db.queries import dispatch, workers
from db.queries.reader import reader_url
from tests.worker.relay_machine import SMALL, FakeBroker, RelayMachine
from tests.worker.worlds import (
    PLAIN,
    age,
    at_once,
    change,
    effects,
    eventually,
    job_row,
    make_runtime,
    make_world,
    query,
    someone_waits,
)
from worker.relay import (
    collect_nightly,
    mend,
    recount,
    run_relay,
    stop_on_signals,
    top_up,
)
from worker.stage import run_stage


@pytest.fixture
def broker():
    return FakeBroker()


@pytest.fixture
def world(sessions):
    with sessions.begin() as session:
        workers.register(session, "w1", queues=["cpu"], slots=2, version="1")
    return make_world(sessions, num_shards=7)


def test_hints_never_pile_up_in_the_broker(sessions, world, broker):
    assert top_up(sessions, broker) == 4
    assert top_up(sessions, broker) == 0

    assert [hint.job_id for hint in broker.sent] == world.job_ids[:4]
    assert broker.depth("cpu") == 4


def test_two_relays_at_once_send_each_job_once(sessions, world, broker):
    start = threading.Barrier(3, timeout=20)

    def relay():
        start.wait()
        for _ in range(5):
            top_up(sessions, broker)

    at_once(relay, relay, relay)

    assert Counter(hint.job_id for hint in broker.sent) == dict.fromkeys(
        world.job_ids[:4], 1
    )


def test_a_relay_waits_for_the_choice_of_another(sessions, world, broker):
    second = threading.Thread(target=top_up, args=(sessions, broker))

    with sessions.begin() as session:
        assert len(dispatch.choose_hints(session)) == 4
        make_world(sessions, name="urgent", num_shards=4, priority=9)
        second.start()
        eventually(lambda: someone_waits(sessions))
    second.join(20)

    # It saw that the four places are taken, though not by the urgent loop.
    assert broker.sent == []


def test_a_hint_that_was_not_sent_is_sent_again(sessions, world, broker):
    broker.is_down = True
    with pytest.raises(ConnectionError):
        top_up(sessions, broker)
    broker.is_down = False
    assert top_up(sessions, broker) == 0

    age(sessions, 4)
    mend(sessions, broker, resend_s=3)

    assert top_up(sessions, broker) == 4


def test_a_hint_that_still_waits_is_not_sent_again(sessions, world, broker):
    top_up(sessions, broker)

    age(sessions, 4)
    mend(sessions, broker, resend_s=3)
    assert top_up(sessions, broker) == 0

    # One message is left, so nobody can tell which hints are lost, but all are old.
    broker.waiting = broker.waiting[:1]
    age(sessions, 120)
    mend(sessions, broker, resend_s=3)
    assert top_up(sessions, broker) == 4


def test_an_expired_lease_is_taken_back_and_sent_again(sessions, world, broker):
    top_up(sessions, broker)
    change(sessions, """UPDATE jobs SET status = 'running', started_at = now(),
        lease_until = clock_timestamp() + interval '9 s' WHERE id = :id""",
        id=world.job_ids[0])  # fmt: skip

    mend(sessions, broker, resend_s=30)
    assert job_row(sessions, world.job_ids[0], "status") == ("running",)
    age(sessions, 10)
    mend(sessions, broker, resend_s=30)

    columns = "status, num_lost_leases, num_errors"
    assert job_row(sessions, world.job_ids[0], columns) == ("pending", 1, 0)
    top_up(sessions, broker)
    assert broker.sent[-1].job_id == world.job_ids[0]


def test_a_step_that_was_never_opened_is_opened(sessions, world):
    # As if the transaction of the last job had ended without counting down.
    change(sessions, "UPDATE jobs SET status = 'done'")

    recount(sessions)
    recount(sessions)

    assert query(sessions, "SELECT stage, open_jobs FROM rounds") == [("judge", 1)]
    found = query(sessions, "SELECT stage FROM jobs WHERE status = 'pending'")
    assert found == [("judge",)]


def test_two_relays_open_a_step_once(sessions, world):
    change(sessions, "UPDATE jobs SET status = 'done'")

    at_once(lambda: recount(sessions), lambda: recount(sessions))

    assert query(sessions, "SELECT stage, open_jobs FROM rounds") == [("judge", 1)]


def test_a_recount_while_a_job_ends_loses_no_count(sessions, world, runtime):
    """The count is right whichever comes first: both hold the round's row."""

    def work():
        for job_id in world.job_ids:
            run_stage(PLAIN, runtime, job_id)

    def look():
        for _ in range(20):
            recount(sessions)

    at_once(work, look)

    assert effects(sessions) == dict.fromkeys(world.job_ids, 1)
    assert query(sessions, "SELECT stage, open_jobs FROM rounds") == [("judge", 1)]


class Flaky(FakeBroker):
    """A broker that is away now and then."""

    def send(self, hint):
        if len(self.tries) < 2:
            self.tries.append(hint)
            raise ConnectionError("the broker does not answer")
        super().send(hint)

    def __init__(self):
        super().__init__()
        self.tries = []


def test_the_relay_goes_on_after_an_outage(sessions, world, tmp_path):
    broker = Flaky()
    settings = make_runtime(
        sessions, tmp_path, relay_poll_s=0.01, resend_s=0.05
    ).settings
    stop = threading.Event()
    relay = threading.Thread(target=run_relay, args=(sessions, broker, settings, stop))
    relay.start()
    try:
        eventually(
            lambda: {hint.job_id for hint in broker.sent} == set(world.job_ids[:4])
        )
    finally:
        stop.set()
        relay.join(10)
    assert not relay.is_alive()


def test_the_relay_waits_for_the_database(sessions, world, tmp_path, broker):
    """A maker of sessions that refuses twice stands for a restart of Postgres."""
    refusals = [OperationalError("connect", {}, Exception("refused"))] * 2

    class Away:
        def begin(self):
            if refusals:
                raise refusals.pop()
            return sessions.begin()

        def __call__(self):
            return sessions()

    settings = make_runtime(sessions, tmp_path, relay_poll_s=0.01).settings
    stop = threading.Event()
    relay = threading.Thread(target=run_relay, args=(Away(), broker, settings, stop))
    relay.start()
    try:
        eventually(lambda: len(broker.sent) == 4)
    finally:
        stop.set()
        relay.join(10)
    assert refusals == []


def test_a_signal_asks_the_relay_to_stop():
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop = stop_on_signals()
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_full_relay_ends_a_round_step_by_step(sessions, world, broker, runtime):
    for _ in range(20):
        top_up(sessions, broker)
        for hint in broker.take_all():
            run_stage(PLAIN, runtime, hint.job_id)

    with sessions() as session:
        stage = session.scalar(text("SELECT stage FROM rounds"))
    assert stage == "train"  # nobody takes the queue `train`
    assert effects(sessions) == dict.fromkeys(range(1, 9), 1)


@pytest.mark.slow  # 15 runs of up to 25 steps
def test_whatever_happens_each_job_has_one_effect_and_the_round_ends(sessions):
    class Machine(RelayMachine):
        pass

    Machine.sessions = sessions

    run_state_machine_as_test(Machine, settings=SMALL)


def test_the_relay_ends_a_reader_who_lifted_the_limits(sessions, broker):
    owner = sessions.kw["bind"].url.render_as_string(hide_password=False)
    url = driver_url(reader_url(owner)).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as reader:
        reader.execute("SET statement_timeout = 0")
        reader.execute("SET transaction_timeout = 0")
        reader.execute("SET idle_in_transaction_session_timeout = 0")

        mend(sessions, broker, resend_s=1.0, max_reader_s=0.0)

        with pytest.raises(psycopg.OperationalError):
            reader.execute("SELECT 1")


def test_garbage_is_collected_once_a_day_by_whichever_relay_looks_first(
    sessions, tmp_path
):
    settings = make_runtime(sessions, tmp_path).settings

    first = collect_nightly(sessions, settings)
    second = collect_nightly(sessions, settings)

    assert first is not None
    assert second is None
    with sessions() as session:
        (detail,) = session.scalars(
            select(Event.detail).where(Event.kind == "garbage_collected")
        )
    assert detail == first.as_dict()
