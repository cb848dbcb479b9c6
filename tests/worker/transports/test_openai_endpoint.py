import itertools
import threading
import time

import pytest

from kompress.errors import InvalidConfig
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, Request
from tests.worker.transports.asked import FORCED, FREE, ask
from tests.worker.transports.endpoint_server import running_server
from worker.errors import Interrupted
from worker.transports.openai_endpoint import OVERHEAD_TOKENS


def test_forced_tokens_come_back_with_the_probabilities_of_the_choices(connect, server):
    (answer,) = ask(connect(), [FORCED])

    (sample,) = answer.samples
    assert (sample.text, sample.finish_reason) == ("KKK", "length")
    assert sample.choice_probs == (pytest.approx((0.75, 0.25)),) * 3
    assert (answer.input_tokens, answer.output_tokens) == (11, 3)
    assert (answer.wasted_input_tokens, answer.wasted_output_tokens) == (0, 0)
    (body,) = server.bodies
    assert body["allowed_token_ids"] == [45, 38]
    assert (body["min_tokens"], body["max_tokens"], body["ignore_eos"]) == (3, 3, True)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


def test_samples_come_of_one_prompt_or_of_several(connect, server):
    request = Request("s", "u", max_tokens=8, num_samples=3, temperature=0.7, seed=5)

    (together,) = ask(connect(), [request])
    assert (server.num_asked, server.bodies[0]["n"]) == (1, 3)
    (apart,) = ask(connect(samples=False), [request])

    assert together.samples == apart.samples
    assert len(apart.samples) == 3
    assert (together.input_tokens, apart.input_tokens) == (11, 33)
    assert sorted(body["seed"] for body in server.bodies[1:]) == [5, 6, 7]


def test_samples_at_temperature_zero_are_one_paid_once(connect, server):
    request = Request("s", "u", max_tokens=8, num_samples=3)

    (answer,) = ask(connect(), [request])

    assert len(answer.samples) == 3
    assert answer.output_tokens == 2
    assert "n" not in server.bodies[0]


def test_an_endpoint_that_is_not_in_the_settings_is_refused(connect):
    with pytest.raises(InvalidConfig, match="no endpoint is called 'other'"):
        connect(ModelSpec(engine="openai", model="micro", endpoint="other"))


def test_an_interruption_cuts_what_is_open_and_frees_the_slots(
    connect, server, sessions
):
    server.delay_s = 30.0
    transport = connect(max_concurrency=4)
    began = time.monotonic()

    def tick():
        if server.num_open == 4:
            raise Interrupted("drain")

    with pytest.raises(Interrupted):
        ask(transport, [FREE] * 50, tick=tick)

    assert time.monotonic() - began < 5
    assert server.num_asked == 4
    server.delay_s = 0.0
    assert isinstance(ask(transport, [FREE])[0], Answer)


def test_an_interruption_at_the_first_tick_ends_too(connect):
    def tick():
        raise Interrupted("drain")

    with pytest.raises(Interrupted):
        ask(connect(), [FREE] * 3, tick=tick)


@pytest.mark.slow
def test_it_ticks_while_an_answer_is_computed(connect, server):
    server.delay_s = 1.5
    ticks = []

    ask(connect(), [FREE], tick=lambda: ticks.append(time.monotonic()))

    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    assert len(ticks) >= 3
    assert max(gaps) < 1.0


@pytest.mark.slow
def test_two_workers_together_keep_to_the_endpoints_limit(connect, server):
    server.delay_s = 0.05
    transports = [connect(max_concurrency=6), connect(max_concurrency=6)]
    answers = []

    def work(transport):
        answers.extend(ask(transport, [FREE] * 60))

    threads = [threading.Thread(target=work, args=(each,)) for each in transports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 120
    assert all(isinstance(answer, Answer) for answer in answers)
    assert server.most_open <= 6


@pytest.mark.slow
def test_a_connection_refused_costs_nothing_and_heals(connect, server, sessions):
    transport = connect()
    port = server.server_port
    server.shutdown()
    server.server_close()

    (failed,) = ask(transport, [FREE], deadline_s=1.5)
    assert failed.is_transient
    assert "cannot be reached" in failed.error
    assert failed.wasted_input_tokens == 0

    with running_server(port):
        assert isinstance(ask(transport, [FREE])[0], Answer)


def test_the_most_tokens_are_bytes_and_what_was_allowed(connect):
    request = Request("ab", "é", max_tokens=10, num_samples=3, temperature=1.0)

    # 2 + 2 bytes of UTF-8
    assert connect().max_tokens(request) == (4 + OVERHEAD_TOKENS, 30)
    assert connect(samples=False).max_tokens(request) == (
        3 * (4 + OVERHEAD_TOKENS),
        30,
    )


@pytest.mark.slow
def test_five_hundred_and_twelve_requests_are_open_at_once(connect, server):
    server.delay_s = 2.0

    answers = ask(connect(max_concurrency=512), [FREE] * 512)

    assert all(isinstance(answer, Answer) for answer in answers)
    assert server.most_open == 512
