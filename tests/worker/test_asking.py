import threading
import time

import pytest

from db.errors import LeaseLost
from db.queries.answers import AnswerKey
from kompress.errors import InvalidConfig
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed
from kompress.types import Fingerprint
from tests.worker.asks import (
    COSTS,
    ENDPOINTS,
    HOSTED,
    ask_all,
    ask_for,
    ask_world,
    claim,
    claim_each,
    make_paid_runtime,
    money,
    reservations,
    set_budget,
    world_of,
)
from tests.worker.fake_transport import (
    FakeTransport,
    agree,
    dies_at,
    open_fake,
    refuses,
    until,
)
from tests.worker.worlds import at_once, change, make_runtime, query
from worker import asking
from worker.asking import hold_engine
from worker.errors import EngineDied, Interrupted
from worker.heartbeat import Heartbeat

CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture
def runtime(sessions, tmp_path):
    return make_paid_runtime(sessions, tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(asking, "POLL_S", 0.01)
    monkeypatch.setattr(asking, "SLICE_REQUESTS", 6)


def test_every_request_is_answered_stored_and_paid_once(sessions, runtime):
    world = world_of(sessions)
    transport = FakeTransport()

    answers = ask_world(runtime, world, transport)

    assert answers == {n: agree(ask_for(0)) for n in range(4)}
    assert query(sessions, "SELECT count(*) FROM answers") == [(4,)]
    assert reservations(sessions) == 0
    job = world.job_ids[0]
    # Four answers of 10 and 3 tokens; a local engine costs no money.
    assert query(sessions, COSTS) == [
        (job, 1, "input_tokens", 40.0, 40.0),
        (job, 1, "output_tokens", 12.0, 12.0),
    ]


def test_another_loop_reads_the_answers_and_pays_nothing(sessions, runtime):
    one, two = world_of(sessions), world_of(sessions, name="two")
    ask_all(runtime, claim(runtime, one.job_ids[0]), FakeTransport(), one.text_ids)
    transport = FakeTransport()

    answers = ask_all(runtime, claim(runtime, two.job_ids[0]), transport, one.text_ids)

    assert transport.asked == []
    assert [answers[n].samples for n in range(4)] == [agree(ask_for(0)).samples] * 4
    assert {row[0] for row in query(sessions, COSTS)} == {one.job_ids[0]}


def test_another_model_is_asked_anew(sessions, runtime):
    world = world_of(sessions)
    job = claim(runtime, world.job_ids[0])
    ask_all(runtime, job, FakeTransport(), world.text_ids)
    transport = FakeTransport()

    ask_all(runtime, job, transport, world.text_ids, spec=ModelSpec("vllm", "m", "v2"))

    assert len(transport.asked) == 4


def test_equal_requests_about_a_text_are_asked_once(sessions, runtime):
    world = world_of(sessions)
    transport = FakeTransport()
    twice = [(0, ask_for(0)), (1, ask_for(0)), (0, ask_for(0))]

    answers = ask_world(runtime, world, transport, requests=twice)

    # Of two texts, for an answer belongs to its text.
    assert (sorted(answers), len(transport.asked)) == ([0, 1, 2], 2)


def test_what_was_wasted_is_spent_and_not_useful(sessions, runtime):
    world = world_of(sessions, 1)
    sample = agree(ask_for(0)).samples
    transport = FakeTransport(lambda _: Answer(sample, 10, 3, 20, 1))

    ask_world(runtime, world, transport, spec=HOSTED)

    job = world.job_ids[0]
    # 0.1 USD each of 10 + 20 tokens.
    assert query(sessions, COSTS) == [
        (job, 1, "input_tokens", 30.0, 10.0),
        (job, 1, "output_tokens", 4.0, 3.0),
        (job, 1, "usd", pytest.approx(3.0), pytest.approx(1.0)),
    ]


@pytest.mark.parametrize("is_transient", [True, False])
def test_a_failure_is_given_on_and_leaves_nothing_open(sessions, runtime, is_transient):
    world = world_of(sessions, 2)
    transport = FakeTransport(refuses(is_transient=is_transient))

    answers = ask_world(runtime, world, transport)

    assert answers == dict.fromkeys(
        range(2), AskFailed("no answer today", is_transient)
    )
    assert reservations(sessions) == 0
    assert query(sessions, COSTS) == []


def test_two_loops_at_once_pay_for_one_answer_each(sessions, runtime, tmp_path):
    one, two = world_of(sessions, 6), world_of(sessions, 6, name="two")
    transports = [FakeTransport(), FakeTransport()]
    found = [None, None]
    runtimes = [runtime, make_runtime(sessions, tmp_path, worker="w2")]
    claimed = claim_each(runtimes, one.job_ids + two.job_ids)
    for transport in transports:
        transport.before_answer = lambda _: time.sleep(0.01)

    def run(n):
        found[n] = ask_all(runtimes[n], claimed[n], transports[n], one.text_ids)

    at_once(lambda: run(0), lambda: run(1))

    assert [{n: a.samples for n, a in answers.items()} for answers in found] == [
        {n: agree(ask_for(0)).samples for n in range(6)}
    ] * 2
    assert len(transports[0].asked) + len(transports[1].asked) == 6
    assert query(sessions, "SELECT count(*) FROM answers") == [(6,)]


def test_what_another_job_asks_is_waited_for_and_read(sessions, runtime, tmp_path):
    one, two = world_of(sessions), world_of(sessions, name="two")
    slow, second = FakeTransport(), FakeTransport()
    slow.gate.clear()
    first_job = claim(runtime, one.job_ids[0])
    there = make_runtime(sessions, tmp_path, worker="w2")
    second_job = claim(there, two.job_ids[0], "w2")
    found = {}

    def wait():
        until(lambda: reservations(sessions) == 4)
        thread = threading.Timer(0.2, slow.gate.set)
        thread.start()
        # Its own question first, then what the other one asks.
        wanted = [*one.text_ids, two.text_ids[0]]
        found.update(ask_all(there, second_job, second, wanted))
        thread.join()

    at_once(lambda: ask_all(runtime, first_job, slow, one.text_ids), wait)

    assert list(found) == [4, 0, 1, 2, 3]
    assert len(second.asked) == 1


def test_a_dead_attempts_requests_are_taken_over_and_shown_as_spent(sessions, runtime):
    world = world_of(sessions)
    job = claim(runtime, world.job_ids[0])
    lost = FakeTransport()
    lost.before_answer = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):  # what a kill leaves behind
        ask_all(runtime, job, lost, world.text_ids, spec=HOSTED)
    assert reservations(sessions) == 4
    change(sessions, "UPDATE jobs SET status = 'pending'")
    transport = FakeTransport()

    ask_world(runtime, world, transport, spec=HOSTED)

    # At most 20 input and 6 output tokens each, at 0.1 USD an input token.
    rows = {row[1:3]: row[3:] for row in query(sessions, COSTS)}
    assert rows == {
        (1, "input_tokens"): (80.0, 0.0),
        (1, "output_tokens"): (24.0, 0.0),
        (1, "usd"): (pytest.approx(8.0), 0.0),
        (2, "input_tokens"): (40.0, 40.0),
        (2, "output_tokens"): (12.0, 12.0),
        (2, "usd"): (pytest.approx(4.0), pytest.approx(4.0)),
    }


def test_a_budget_leaves_out_what_it_cannot_pay_and_says_so(sessions, runtime):
    world = world_of(sessions)
    set_budget(sessions, world.loop_id, 5.0)
    transport = FakeTransport()

    answers = ask_world(runtime, world, transport, spec=HOSTED)

    # 2 + 2 USD at most fit into 5, a third text does not.
    assert [type(answers[n]) for n in range(4)] == [
        Answer,
        Answer,
        AskFailed,
        AskFailed,
    ]
    assert answers[2].is_transient
    assert "the budget of the loop, 5 USD, is spent" in answers[2].error
    ((decisions,),) = query(sessions, "SELECT decisions FROM rounds")
    assert decisions["budget"] == {
        "max_usd": 5.0, "spent_usd": 0.0, "refused_requests": {"t": 2},
    }  # fmt: skip


def test_a_text_is_asked_whole_or_not_at_all(sessions, runtime):
    world = world_of(sessions, 2)
    set_budget(sessions, world.loop_id, 5.0)
    transport = FakeTransport()
    # Three questions, at most 6 USD, about the first text, one about the second.
    asked = [(0, ask_for(n)) for n in range(3)] + [(1, ask_for(3))]

    answers = ask_world(runtime, world, transport, spec=HOSTED, requests=asked)

    assert [type(answers[n]) for n in range(4)] == [AskFailed] * 3 + [Answer]


def test_parallel_shards_never_pass_the_budget(
    sessions, runtime, tmp_path, monkeypatch
):
    monkeypatch.setattr(asking, "SLICE_REQUESTS", 3)
    world = world_of(sessions, 12, num_shards=2)
    set_budget(sessions, world.loop_id, 9.0)
    runtimes = [runtime, make_paid_runtime(sessions, tmp_path, "w2")]
    claimed = claim_each(runtimes, world.job_ids)
    found = [{}, {}]
    most = []
    transports = [FakeTransport(), FakeTransport()]

    for transport in transports:
        transport.before_answer = lambda _: most.append(money(sessions))

    def run(n):
        mine = world.text_ids[n::2]
        found[n] = ask_all(runtimes[n], claimed[n], transports[n], mine, spec=HOSTED)

    at_once(lambda: run(0), lambda: run(1))

    results = [*found[0].values(), *found[1].values()]
    num_answers = sum(isinstance(result, Answer) for result in results)
    assert len(results) == 24
    assert max(most) <= 9.0
    # Answers cost half of what was held for them, so that money comes free: 8 texts
    # at 1 USD, after which 1 USD is left and 2 are needed.
    assert num_answers == 8


def test_an_interruption_keeps_the_answers_that_came(sessions, runtime):
    world = world_of(sessions)
    transport = FakeTransport()

    def interrupt(number):
        if number == 2:
            raise Interrupted("the worker is stopping")

    transport.before_answer = interrupt

    with pytest.raises(Interrupted):
        ask_world(runtime, world, transport)

    assert query(sessions, "SELECT count(*) FROM answers") == [(2,)]
    # The others were perhaps paid: whoever comes next settles them.
    assert reservations(sessions) == 2


def test_an_engine_that_dies_loses_none_of_the_answers_that_came(sessions, runtime):
    world = world_of(sessions)
    last = f"text {world.text_ids[-1]}"

    with pytest.raises(EngineDied):
        ask_world(runtime, world, FakeTransport(dies_at(last)))

    assert query(sessions, "SELECT count(*) FROM answers") == [(3,)]


def test_a_zombie_stores_no_answer(sessions, runtime):
    world = world_of(sessions)
    transport = FakeTransport()
    transport.before_answer = lambda _: change(
        sessions, "UPDATE jobs SET attempt = attempt + 1"
    )

    with pytest.raises(LeaseLost):
        ask_world(runtime, world, transport)

    assert query(sessions, "SELECT count(*) FROM answers") == [(0,)]


def test_answers_are_stored_while_others_are_awaited(sessions, runtime, monkeypatch):
    monkeypatch.setattr(asking, "SLICE_S", 0.0)
    world = world_of(sessions, 2)
    transport = FakeTransport()
    seen = []
    transport.before_answer = lambda _: seen.append(
        query(sessions, "SELECT count(*) FROM answers")[0][0]
    )

    ask_world(runtime, world, transport)

    assert seen == [0, 1]


def test_a_missing_answer_is_a_transient_failure(sessions, runtime):
    world = world_of(sessions, 2)
    transport = FakeTransport()
    transport.ask = lambda requests, tick, deadline_s: iter([(0, agree(requests[0]))])

    answers = ask_world(runtime, world, transport)

    assert answers[1] == AskFailed("the engine gave no answer", is_transient=True)
    assert reservations(sessions) == 0


def test_a_job_hands_itself_back_before_its_deadline(sessions, runtime, monkeypatch):
    world = world_of(sessions)
    monkeypatch.setattr(Heartbeat, "elapsed_s", 3000.0)  # of 3600

    with pytest.raises(Interrupted, match="its answers are stored"):
        ask_world(runtime, world, FakeTransport())


def test_past_the_shards_deadline_nothing_is_asked(sessions, runtime, tmp_path):
    world = world_of(sessions)
    text = ENDPOINTS.replace("external", "shard_deadline_s = 1e-9\nexternal")
    (tmp_path / "endpoints.toml").write_text(text)
    transport = FakeTransport()

    answers = ask_world(runtime, world, transport, spec=HOSTED)

    assert transport.asked == []
    assert all(answer.is_transient for answer in answers.values())


def test_a_slice_holds_whole_texts_and_at_most_its_size(monkeypatch):
    monkeypatch.setattr(asking, "SLICE_REQUESTS", 4)
    sizes = [3, 2, 1, 1, 6, 1]
    keys = [
        AnswerKey(text_id, str(n), 0)
        for text_id, size in enumerate(sizes)
        for n in range(size)
    ]

    slices = list(asking._cut(keys))

    # 3 | 2 + 1 + 1 | 6, too many but one text | 1
    assert [len(slice_) for slice_ in slices] == [3, 4, 6, 1]
    assert [key for slice_ in slices for key in slice_] == keys


def test_texts_do_not_leave_for_an_endpoint_that_became_external(sessions, runtime):
    world = world_of(sessions)
    runtime.open_transport = open_fake(FakeTransport())
    job = claim(runtime, world.job_ids[0])
    known, unknown = (Fingerprint("t", {"external": said}) for said in (True, False))

    with Heartbeat(runtime, job) as heartbeat:
        hold_engine(runtime, heartbeat, HOSTED, known)
        with pytest.raises(InvalidConfig, match="is external in this worker's"):
            hold_engine(runtime, heartbeat, HOSTED, unknown)


def test_an_outage_while_answers_are_stored_is_waited_out(sessions, runtime):
    world = world_of(sessions)
    transport = FakeTransport()

    def cut(number):
        if number == 3:  # the last answer: the slice is stored after it
            change(sessions, CUT)

    transport.before_answer = cut

    answers = ask_world(runtime, world, transport)

    assert len(answers) == 4
    assert query(sessions, "SELECT count(*) FROM answers") == [(4,)]
    # 4 · (10 + 3) tokens, counted once.
    assert query(sessions, "SELECT sum(spent), sum(useful) FROM costs") == [(52, 52)]
