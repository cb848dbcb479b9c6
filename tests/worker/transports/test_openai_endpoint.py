import email.utils
import itertools
import threading
import time

import pytest

from kompress.errors import InvalidConfig
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Request
from tests.worker.transports.asked import FORCED, FREE, as_body, ask, first
from tests.worker.transports.endpoint_server import Reply, completion, running_server
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


@pytest.mark.parametrize(
    "status", [429, 500, 502, 503], ids=["busy", "broken", "gateway", "away"]
)
def test_a_refusal_is_asked_again_and_costs_nothing(connect, server, status):
    server.decide = first(Reply(status))

    (answer,) = ask(connect(), [FREE])

    assert answer.samples[0].text == "echo text"
    assert answer.wasted_input_tokens == 0
    assert server.num_asked == 2


@pytest.mark.slow
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_nobody_sends_before_retry_after_is_over(connect, server, form):
    now = time.time()
    # A date has whole seconds: 2.x s from now is 2 s or more.
    wait = "1.5" if form == "seconds" else email.utils.formatdate(now + 3, usegmt=True)
    at_least = 1.5 if form == "seconds" else 2.0
    server.decide = first(Reply(429, headers={"Retry-After": wait}))

    ask(connect(max_concurrency=1), [FREE, FREE])

    assert server.num_asked == 3
    assert server.sent_at[1] - server.sent_at[0] >= at_least - 0.05


def test_a_pause_beyond_the_deadline_ends_the_shard_at_once(connect, server):
    server.decide = lambda *_: Reply(429, headers={"Retry-After": "3600"})
    began = time.monotonic()

    (failed,) = ask(connect(), [FREE], deadline_s=10)

    assert time.monotonic() - began < 5
    assert failed.is_transient
    assert "pause of 3600 s" in failed.error
    assert server.num_asked == 1


@pytest.mark.slow
def test_an_endpoint_that_stays_away_fails_transiently_at_the_deadline(connect, server):
    server.decide = lambda *_: Reply(503)

    failures = ask(connect(), [FREE] * 5, deadline_s=1.5)

    assert all(isinstance(failed, AskFailed) for failed in failures)
    assert all(failed.is_transient for failed in failures)
    assert "answered 503" in failures[0].error
    assert failures[0].wasted_output_tokens == 0


def test_the_operators_own_deadline_holds_too(connect, server):
    server.decide = lambda *_: Reply(503)
    began = time.monotonic()

    (failed,) = ask(connect(shard_deadline_s=1.0), [FREE], deadline_s=60)

    assert failed.is_transient
    assert time.monotonic() - began < 5


def test_late_answers_are_given_up_after_three_and_shown_as_waste(connect, server):
    server.decide = lambda *_: Reply(delay_s=0.5)

    (failed,) = ask(connect(request_timeout_s=0.2), [FREE])

    assert failed.is_transient
    assert server.num_asked == 3
    # 3 x ("instruct" 8 bytes, "text" 4 bytes, overhead); 3 x 8 tokens
    assert failed.wasted_input_tokens == 3 * (12 + OVERHEAD_TOKENS)
    assert failed.wasted_output_tokens == 24


def test_half_a_response_is_asked_again_and_shown_as_waste(connect, server):
    whole = as_body(completion({"max_tokens": 8, "messages": [{}, {"content": "x"}]}))
    server.decide = first(Reply(body=whole, cut_at=40))

    (answer,) = ask(connect(), [FREE])

    assert answer.samples[0].text == "echo text"
    assert answer.wasted_output_tokens == 8


def broken(**changes):
    """A forced answer of three tokens with something wrong in its only sample."""
    answer = completion({"max_tokens": 3, "allowed_token_ids": [45, 38], "logprobs": 1})
    answer["choices"][0] |= changes
    return as_body(answer)


def tokens(count, logprob=-0.1, token="token_id:45"):
    top = [{"token": token, "logprob": logprob}, {"token": "token_id:38", "logprob": 0}]
    return {"content": [top[0] | {"top_logprobs": top}] * count}


NONSENSE = {
    "another shape": b'{"error": "overloaded"}',
    "a list": b"[]",
    "no samples": as_body({"choices": []}),
    "no text": broken(message={"content": None}),
    "too few tokens": broken(logprobs=tokens(2)),
    "too many tokens": broken(logprobs=tokens(4)),
    "another token": broken(logprobs=tokens(3, token="token_id:7")),
    "no log-probabilities": broken(logprobs=None),
    "NaN": broken(logprobs=tokens(3, logprob=float("nan"))),
    "above one": broken(logprobs=tokens(3, logprob=2.0)),
    "a word for a number": broken(logprobs=tokens(3, logprob="high")),
}


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_asked_again_and_never_an_answer(connect, server, body):
    server.decide = lambda *_: Reply(body=body)

    (failed,) = ask(connect(), [FORCED])

    assert isinstance(failed, AskFailed)
    assert not failed.is_transient
    assert server.num_asked == 3
    assert failed.wasted_output_tokens == 9


def test_nonsense_once_is_no_failure_and_its_cost_is_kept(connect, server):
    server.decide = first(Reply(body=NONSENSE["too few tokens"]))

    (answer,) = ask(connect(), [FORCED])

    assert answer.samples[0].text == "KKK"
    # what the nonsense said that it cost
    assert (answer.wasted_input_tokens, answer.wasted_output_tokens) == (11, 3)


def test_a_page_that_is_no_json_is_the_endpoints_fault(connect, server):
    server.decide = lambda *_: Reply(body=b"<html>Bad gateway</html>")

    (failed,) = ask(connect(), [FREE])

    assert failed.is_transient
    assert "no chat completion" in failed.error
    assert server.num_asked == 3


def test_a_filtered_answer_is_not_asked_again(connect, server):
    server.decide = lambda *_: Reply(body=broken(finish_reason="content_filter"))

    (failed,) = ask(connect(), [FORCED])

    assert not failed.is_transient
    assert server.num_asked == 1


def test_a_request_that_breaks_the_endpoint_alone_is_at_fault(connect, server):
    server.decide = lambda _, body: (
        Reply(500) if body["messages"][1]["content"] == "poison" else None
    )
    poison = Request("s", "poison", max_tokens=8)

    answers = ask(connect(), [poison, FREE, FREE])

    assert not answers[0].is_transient
    assert "500" in answers[0].error
    assert all(isinstance(answer, Answer) for answer in answers[1:])
