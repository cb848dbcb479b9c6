import json
import logging
import math
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.teachers.request import Request
from tests.worker.transports.asked import FORCED, FREE, as_body, ask
from tests.worker.transports.endpoint_server import Reply, completion, running_server
from worker.transports.openai_client import AnswerFault, ExpectedAnswer, read_answer

KEY = "sk-very-secret-0123456789"
TWO_SAMPLES = Request("s", "u", max_tokens=8, num_samples=2, temperature=0.7)
TWO_LETTERS = Request("s", "u", max_tokens=2, choices=("K", "D"), logprobs=True)
ONLY_LETTERS = Request("s", "u", max_tokens=2, choices=("K", "D"))


def test_a_hosted_endpoint_is_sent_nothing_that_only_vllm_takes(connect, server):
    transport = connect(forced_tokens=False, logprobs=False)

    (answer,) = ask(transport, [FREE])

    assert answer.samples[0].text == "echo text"
    assert set(server.bodies[0]) == {"model", "messages", "max_tokens", "temperature"}


def test_choices_are_looked_up_once(connect, server):
    transport = connect()

    ask(transport, [FORCED] * 20)
    ask(transport, [FORCED] * 20)

    assert server.paths.count("/tokenize") == 2


def test_a_choice_that_is_no_single_token_is_refused_by_name(connect):
    odd = Request("s", "u", max_tokens=1, choices=("K", "keep"), logprobs=True)

    with pytest.raises(InvalidConfig, match=r"'micro' at endpoint 'e'.*\[1, 2\]"):
        ask(connect(), [odd])


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_request_that_is_refused_for_good_says_why(connect, server, status):
    why = as_body({"error": {"message": "maximum context length is 2048 " + "x" * 500}})
    server.decide = lambda *_: Reply(status, body=why)

    (failed,) = ask(connect(), [FREE])

    assert not failed.is_transient
    assert "maximum context length is 2048" in failed.error
    assert len(failed.error) < 300
    assert server.num_asked == 1


def test_a_redirect_is_never_followed(connect, server):
    with running_server() as elsewhere:
        server.decide = lambda *_: Reply(
            307, headers={"Location": f"{elsewhere.url}/chat/completions"}
        )

        with pytest.raises(InvalidConfig, match="'e' answered 307, a redirect"):
            ask(connect(), [FREE] * 3)

        assert elsewhere.paths == []


@pytest.mark.slow
def test_the_key_is_sent_and_never_told(connect, server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    echo = as_body({"error": {"message": f"Incorrect API key: {KEY}"}})
    # One that refuses it, one that is broken, one that does not like the request.
    said = []
    for status in (401, 403):
        server.decide = lambda *_, status=status: Reply(status, body=echo)
        with pytest.raises(InvalidConfig, match=str(file)) as caught:
            ask(connect(api_key_file=str(file)), [FREE])
        said += [
            str(caught.value),
            repr(caught.value),
            *traceback.format_exception(caught.value),
        ]
    for status in (400, 500):
        server.decide = lambda *_, status=status: Reply(status, body=echo)
        (failed,) = ask(connect(api_key_file=str(file)), [FREE], deadline_s=1)
        said.append(repr(failed))

    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert any("answered 500" in words for words in said)
    for words in [*said, *caplog.text.splitlines()]:
        assert KEY not in words


def test_what_the_environment_says_of_another_vendor_is_not_sent(
    connect, server, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {KEY}")

    ask(connect(), [FREE])

    assert "org" not in server.headers[0].values()
    assert KEY not in str(server.headers[0])


@pytest.mark.parametrize("key", [None, "", "two\nlines"])
def test_a_key_that_cannot_be_sent_is_named_by_its_file(connect, tmp_path, key):
    file = tmp_path / "key"
    if key is not None:
        file.write_text(key)

    with pytest.raises(InvalidConfig, match=str(file)):
        connect(api_key_file=str(file))


def expected(request, **given):
    ids = (45, 38) if request.choices else ()
    return ExpectedAnswer(request, ids, bound=(100, 50), **given)


def forced(*places, **changes):
    """A completion whose tokens have the (token, log-probability) pairs given."""
    content = [
        {
            "token": pairs[0][0],
            "logprob": pairs[0][1],
            "top_logprobs": [{"token": t, "logprob": p} for t, p in pairs],
        }
        for pairs in places
    ]
    choice = {
        "index": 0,
        "message": {"content": "x"},
        "finish_reason": "length",
        "logprobs": {"content": content},
    }
    return json.dumps({"choices": [choice | changes]}).encode()


def test_samples_come_in_the_order_of_their_index():
    answer = completion({"n": 2, "max_tokens": 8, "messages": [{}, {"content": "x"}]})
    answer["choices"][0]["message"]["content"] = "first"
    answer["choices"].reverse()

    read = read_answer(json.dumps(answer).encode(), expected(TWO_SAMPLES))

    assert [sample.text for sample in read.samples] == ["first", "echo x"]
    assert (read.input_tokens, read.output_tokens) == (11, 4)


def test_without_usage_the_bound_is_what_it_cost():
    body = forced(*[[("token_id:45", -0.1), ("token_id:38", -2.0)]] * 2)

    read = read_answer(body, expected(TWO_LETTERS))

    assert (read.input_tokens, read.output_tokens) == (100, 50)


def test_probabilities_are_shared_out_among_the_choices_alone():
    # raw log-probabilities: K 0.3, D 0.1 and another token 0.6 -> 3/4 and 1/4
    row = [
        ("token_id:45", math.log(0.3)),
        ("token_id:9", math.log(0.6)),
        ("token_id:38", math.log(0.1)),
    ]

    read = read_answer(forced(row, row), expected(TWO_LETTERS))

    assert read.samples[0].text == "KK"
    assert read.samples[0].choice_probs == (pytest.approx((0.75, 0.25)),) * 2


def test_tokens_may_be_named_by_their_text():
    row = [("D", math.log(0.8)), ("K", math.log(0.2))]

    read = read_answer(forced(row, row), expected(TWO_LETTERS))

    assert read.samples[0].text == "DD"
    assert read.samples[0].choice_probs[0] == pytest.approx((0.2, 0.8))


def test_a_choice_that_is_not_listed_asks_for_more_and_then_gets_what_is_left():
    row = [("token_id:45", math.log(0.5)), ("token_id:9", math.log(0.3))]
    body = forced(row, row)

    with pytest.raises(AnswerFault) as caught:
        read_answer(body, expected(TWO_LETTERS))
    read = read_answer(body, expected(TWO_LETTERS, may_lack=True))

    assert caught.value.kind == "sparse"
    # 1 - 0.5 - 0.3 = 0.2 is left for D: 0.5/0.7 and 0.2/0.7
    assert read.samples[0].choice_probs[0] == pytest.approx((5 / 7, 2 / 7))


def test_a_choice_that_is_impossible_is_zero_not_nan():
    row = [("token_id:45", 0.0), ("token_id:38", -9999.0)]

    read = read_answer(forced(row, row), expected(TWO_LETTERS))

    assert read.samples[0].choice_probs[0] == (1.0, 0.0)


def test_the_temperature_is_taken_out_of_the_probabilities():
    # softmax(x / 0.5) = (0.9, 0.1): x apart by log(9) / 2 = log(3) -> 3/4, 1/4
    row = [("token_id:45", math.log(0.9)), ("token_id:38", math.log(0.1))]
    warm = Request(
        "s", "u", max_tokens=1, choices=("K", "D"), logprobs=True, temperature=0.5
    )

    read = read_answer(forced(row), expected(warm))

    assert read.samples[0].choice_probs[0] == pytest.approx((0.75, 0.25))


@pytest.mark.parametrize(
    ("text", "is_read"), [("KD", True), ("K", False), ("KDK", False), ("K D", False)]
)
def test_forced_letters_are_read_without_log_probabilities(text, is_read):
    body = forced(message={"content": text}, logprobs=None)

    if is_read:
        sample = read_answer(body, expected(ONLY_LETTERS)).samples[0]
        assert (sample.text, sample.choice_probs) == (text, None)
    else:
        with pytest.raises(AnswerFault, match=r"text is not|has . tokens"):
            read_answer(body, expected(ONLY_LETTERS))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "garbled"),
        (b'{"choices": [', "garbled"),
        (b"<html>", "garbled"),
        (b"null", "nonsense"),
        (forced(index=1), "nonsense"),
        (forced(finish_reason=None), "filtered"),
        (forced(finish_reason="tool_calls"), "filtered"),
    ],
)
def test_faults_are_told_apart(body, kind):
    with pytest.raises(AnswerFault) as caught:
        read_answer(body, expected(TWO_LETTERS))

    assert caught.value.kind == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "index", "message", "logprobs", "content"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(body=st.binary(max_size=50) | JSON.map(lambda found: json.dumps(found).encode()))
def test_garbage_is_a_fault_and_nothing_else(body):
    with pytest.raises(AnswerFault):
        read_answer(body, expected(TWO_LETTERS))


@given(
    logprobs=st.lists(
        st.tuples(st.floats(-1e5, 0.0), st.floats(-1e5, 0.0)), min_size=2, max_size=2
    ),
    lacks=st.booleans(),
)
def test_probabilities_are_finite_and_sum_to_one(logprobs, lacks):
    places = [
        [("token_id:45", first), ("token_id:9" if lacks else "token_id:38", second)]
        for first, second in logprobs
    ]

    read = read_answer(forced(*places), expected(TWO_LETTERS, may_lack=True))

    for row in read.samples[0].choice_probs:
        assert all(0.0 <= p <= 1.0 for p in row)
        assert sum(row) == pytest.approx(1.0)
