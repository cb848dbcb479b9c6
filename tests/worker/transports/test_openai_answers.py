import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.teachers.request import Request
from tests.worker.transports.endpoint_server import completion
from worker.transports.openai_answers import AnswerFault, Reading, read_answer

FREE = Request("s", "u", max_tokens=8, num_samples=2, temperature=0.7)
FORCED = Request("s", "u", max_tokens=2, choices=("K", "D"), logprobs=True)
LETTERS = Request("s", "u", max_tokens=2, choices=("K", "D"))


def reading(request, **given):
    ids = (45, 38) if request.choices else ()
    return Reading(request, ids, bound=(100, 50), **given)


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

    read = read_answer(json.dumps(answer).encode(), reading(FREE))

    assert [sample.text for sample in read.samples] == ["first", "echo x"]
    assert (read.input_tokens, read.output_tokens) == (11, 4)


def test_without_usage_the_bound_is_what_it_cost():
    body = forced(*[[("token_id:45", -0.1), ("token_id:38", -2.0)]] * 2)

    read = read_answer(body, reading(FORCED))

    assert (read.input_tokens, read.output_tokens) == (100, 50)


def test_probabilities_are_shared_out_among_the_choices_alone():
    # raw log-probabilities: K 0.3, D 0.1 and another token 0.6 -> 3/4 and 1/4
    row = [
        ("token_id:45", math.log(0.3)),
        ("token_id:9", math.log(0.6)),
        ("token_id:38", math.log(0.1)),
    ]

    read = read_answer(forced(row, row), reading(FORCED))

    assert read.samples[0].text == "KK"
    assert read.samples[0].choice_probs == (pytest.approx((0.75, 0.25)),) * 2


def test_tokens_may_be_named_by_their_text():
    row = [("D", math.log(0.8)), ("K", math.log(0.2))]

    read = read_answer(forced(row, row), reading(FORCED))

    assert read.samples[0].text == "DD"
    assert read.samples[0].choice_probs[0] == pytest.approx((0.2, 0.8))


def test_a_choice_that_is_not_listed_asks_for_more_and_then_gets_what_is_left():
    row = [("token_id:45", math.log(0.5)), ("token_id:9", math.log(0.3))]
    body = forced(row, row)

    with pytest.raises(AnswerFault) as caught:
        read_answer(body, reading(FORCED))
    read = read_answer(body, reading(FORCED, may_lack=True))

    assert caught.value.kind == "sparse"
    # 1 - 0.5 - 0.3 = 0.2 is left for D: 0.5/0.7 and 0.2/0.7
    assert read.samples[0].choice_probs[0] == pytest.approx((5 / 7, 2 / 7))


def test_a_choice_that_is_impossible_is_zero_not_nan():
    row = [("token_id:45", 0.0), ("token_id:38", -9999.0)]

    read = read_answer(forced(row, row), reading(FORCED))

    assert read.samples[0].choice_probs[0] == (1.0, 0.0)


def test_the_temperature_is_taken_out_of_the_probabilities():
    # softmax(x / 0.5) = (0.9, 0.1): x apart by log(9) / 2 = log(3) -> 3/4, 1/4
    row = [("token_id:45", math.log(0.9)), ("token_id:38", math.log(0.1))]
    warm = Request(
        "s", "u", max_tokens=1, choices=("K", "D"), logprobs=True, temperature=0.5
    )

    read = read_answer(forced(row), reading(warm))

    assert read.samples[0].choice_probs[0] == pytest.approx((0.75, 0.25))


@pytest.mark.parametrize(
    ("text", "is_read"), [("KD", True), ("K", False), ("KDK", False), ("K D", False)]
)
def test_forced_letters_are_read_without_log_probabilities(text, is_read):
    body = forced(message={"content": text}, logprobs=None)

    if is_read:
        sample = read_answer(body, reading(LETTERS)).samples[0]
        assert (sample.text, sample.choice_probs) == (text, None)
    else:
        with pytest.raises(AnswerFault, match=r"text is not|has . tokens"):
            read_answer(body, reading(LETTERS))


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
        read_answer(body, reading(FORCED))

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
        read_answer(body, reading(FORCED))


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

    read = read_answer(forced(*places), reading(FORCED, may_lack=True))

    for row in read.samples[0].choice_probs:
        assert all(0.0 <= p <= 1.0 for p in row)
        assert sum(row) == pytest.approx(1.0)
