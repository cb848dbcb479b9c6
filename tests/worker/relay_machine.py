"""Relay, workers and a broker that loses, repeats and reorders, step by step.

Hypothesis chooses what happens next; Postgres is real, time moves when a rule says so.
"""

import random
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from db.queries import jobs, parked, workers
from db.queries.dispatch import HINTS_PER_SLOT
from tests.worker.worlds import (
    EVERYTHING,
    age,
    change,
    leave_an_effect,
    make_world,
    query,
)
from worker.pipeline import advance
from worker.relay import mend, recount, top_up

SLOTS = 2
LEASE_S = 60
SMALL = settings(
    max_examples=15,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
QUEUES = ["cpu", "control", "train"]


class FakeBroker:
    """Keeps hints in a list; the seam that `worker.relay.Sender` is."""

    def __init__(self):
        self.sent = []
        self.waiting = []
        self.is_down = False

    def send(self, hint):
        if self.is_down:
            raise ConnectionError("the broker does not answer")
        self.sent.append(hint)
        self.waiting.append(hint)

    def depth(self, queue):
        if self.is_down:
            raise ConnectionError("the broker does not answer")
        return sum(hint.queue == queue for hint in self.waiting)

    def take_all(self):
        hints, self.waiting = self.waiting, []
        return hints


class RelayMachine(RuleBasedStateMachine):
    """A round of five shards; what is claimed may end, crash or wake as a zombie."""

    sessions = None  # given by the test

    @initialize()
    def begin(self):
        change(self.sessions, f"TRUNCATE {EVERYTHING} RESTART IDENTITY CASCADE")
        self.broker = FakeBroker()
        self.claimed = []
        self.attempts = {}
        self.world = make_world(self.sessions, num_shards=5)
        self.revive()

    @rule()
    def revive(self):
        with self.sessions.begin() as session:
            workers.register(session, "w1", queues=QUEUES, slots=SLOTS, version="1")

    @rule()
    def relay(self):
        if not self.broker.is_down:
            top_up(self.sessions, self.broker)
            mend(self.sessions, self.broker, resend_s=3)

    @rule()
    def look_at_rounds(self):
        recount(self.sessions)

    @rule(seconds=st.sampled_from([1, 5, LEASE_S + 1, 200]))
    def wait(self, seconds):
        age(self.sessions, seconds)

    @rule(is_down=st.booleans())
    def cut_broker(self, is_down):
        self.broker.is_down = is_down

    @rule()
    def lose_messages(self):
        self.broker.waiting.clear()

    @rule(seed=st.integers(0, 9))
    def repeat_and_reorder(self, seed):
        self.broker.waiting += self.broker.sent[-4:]
        random.Random(seed).shuffle(self.broker.waiting)

    @rule()
    def claim(self):
        if not self.broker.waiting:
            return
        hint = self.broker.waiting.pop(0)
        with self.sessions.begin() as session:
            job = jobs.claim(session, hint.job_id, worker="w1", lease_s=LEASE_S)
        if job is not None:
            assert job.attempt > self.attempts.get(job.id, 0)
            self.attempts[job.id] = job.attempt
            self.claimed.append(job)

    @rule(place=st.integers(0, 9))
    def end(self, place):
        """An attempt ends, though it may have lost its lease long ago."""
        if self.claimed:
            self.finish(self.claimed.pop(place % len(self.claimed)))

    @rule(place=st.integers(0, 9))
    def end_twice(self, place):
        if self.claimed:
            job = self.claimed.pop(place % len(self.claimed))
            self.finish(job)
            self.finish(job)

    @rule(place=st.integers(0, 9))
    def crash(self, place):
        if self.claimed:
            self.claimed.pop(place % len(self.claimed))

    @rule(place=st.integers(0, 9))
    def hand_back(self, place):
        if self.claimed:
            job = self.claimed.pop(place % len(self.claimed))
            self.attempt(lambda session: jobs.release(session, job))

    def finish(self, job):
        def write(session):
            jobs.fence(session, job)
            leave_an_effect(session, job, None)
            jobs.mark_done(session, job)
            advance(session, job.round_id, num_finished=1)

        self.attempt(write)

    def attempt(self, write):
        try:
            with self.sessions.begin() as session:
                write(session)
        except jobs.LeaseLost:
            pass  # a zombie: nothing of its transaction stays

    @invariant()
    def nothing_is_lost_repeated_or_unbounded(self):
        rows = query(
            self.sessions,
            """
            SELECT j.id, j.queue, j.attempt, j.status = 'done',
                   j.status = 'running'
                   OR (j.status = 'pending' AND j.sent_at IS NOT NULL),
                   (SELECT count(*) FROM events e
                    WHERE e.job_id = j.id AND e.kind = 'effect')
            FROM jobs j
            """,
        )
        for job_id, _, attempt, is_done, _, num_effects in rows:
            assert num_effects == is_done
            assert attempt >= self.attempts.get(job_id, 0)
        busy = Counter(queue for _, queue, _, _, is_busy, _ in rows if is_busy)
        assert all(count <= HINTS_PER_SLOT * SLOTS for count in busy.values())

    def teardown(self):
        """Once faults stop, the round ends."""
        self.broker.is_down = False
        self.claimed.clear()
        for _ in range(120):
            if self.has_ended():
                break
            self.revive()
            age(self.sessions, 200)
            mend(self.sessions, self.broker, resend_s=3)
            self.retry_parked()
            recount(self.sessions)
            top_up(self.sessions, self.broker)
            for hint in self.broker.take_all():
                self.run_to_its_end(hint)
        assert self.has_ended()
        self.nothing_is_lost_repeated_or_unbounded()

    def retry_parked(self):
        """Jobs that lost too many leases are parked: a person retries them."""
        for (job_id,) in query(
            self.sessions, "SELECT id FROM jobs WHERE status = 'failed'"
        ):
            with self.sessions.begin() as session:
                parked.retry(session, job_id)

    def run_to_its_end(self, hint):
        with self.sessions.begin() as session:
            job = jobs.claim(session, hint.job_id, worker="w1", lease_s=LEASE_S)
        if job is not None:
            self.finish(job)

    def has_ended(self):
        rows = query(self.sessions, "SELECT stage, open_jobs FROM rounds")
        return rows == [("conclude", 0)]
