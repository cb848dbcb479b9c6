from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import VoteFailed
from kompress.teachers import make_protocol
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Answer, Capabilities, Sample

ALL = Capabilities(forced_tokens=True, logprobs=True, samples=True, prefix_cache=True)
NO_LOGPROBS = replace(ALL, logprobs=False)
FREE = replace(NO_LOGPROBS, forced_tokens=False)
TEXT = "error: disk full\n  at 10:32"  # 5 words


def make(capabilities=ALL, **params):
    return make_protocol(ProtocolParams(**params), capabilities)


def say(*texts, **sample):
    return Answer(tuple(Sample(text, **sample) for text in texts), 1, 1)


def test_a_text_is_asked_about_in_one_forced_letter_a_word():
    (request,) = make(number_every=2).requests(TEXT)

    assert request.user == (
        "=====\n[1] error: disk [3] full\n  at [5] 10:32\n=====\n5 words, 5 letters:"
    )
    assert (request.choices, request.max_tokens) == (("K", "D"), 5)
    assert (request.logprobs, request.temperature) == (True, 0.0)
    assert request.num_samples == 1


def test_p_keep_is_the_probability_of_its_letter():
    probs = ((0.9, 0.1), (0.2, 0.8), (0.5, 0.5), (1.0, 0.0), (0.0, 1.0))

    vote = make().read(TEXT, [say("KDKKD", choice_probs=probs)])

    # floor(255 p), and 254 for p = 1: 229.5, 51, 127.5, 255, 0
    assert vote.codes_N.tolist() == [229, 51, 127, 254, 0]
    assert vote.num_samples == 1


def test_chunks_are_put_together_in_order():
    protocol = make(chunk_words=3)
    first = ((1.0, 0.0), (0.0, 1.0), (1.0, 0.0))
    second = ((0.0, 1.0), (1.0, 0.0))

    requests = protocol.requests(TEXT)
    answers = [say("KDK", choice_probs=first), say("DK", choice_probs=second)]

    assert [request.max_tokens for request in requests] == [3, 2]
    assert protocol.read(TEXT, answers).codes_N.tolist() == [254, 0, 254, 0, 254]
    (mask,) = protocol.references(TEXT, answers)
    assert mask.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (None, "log-probabilities of none words"),
        (((1.0, 0.0),) * 4, "of 4 words"),
        (((1.0, 0.0),) * 6, "of 6 words"),
        (((0.5, 0.1),) * 5, "P\\(K\\) \\+ P\\(D\\) lies in"),
        (((1.5, -0.5),) * 5, "no pairs"),
        (((float("nan"), 1.0),) * 5, "no pairs"),
    ],
)
def test_probabilities_that_were_not_asked_for_are_no_vote(probs, message):
    with pytest.raises(VoteFailed, match=message):
        make().read(TEXT, [say("KKKKK", choice_probs=probs)])


def test_without_log_probabilities_samples_of_forced_letters_are_counted():
    protocol = make(NO_LOGPROBS, samples=4)

    (request,) = protocol.requests(TEXT, seed=3)
    vote = protocol.read(TEXT, [say("KDDDK", "KKDDK", "KDDDD", "KDKDK")])

    assert (request.num_samples, request.seed, request.logprobs) == (4, 3, False)
    assert request.temperature > 0
    # 4/4, 1/4, 1/4, 0/4, 3/4 of 255
    assert vote.codes_N.tolist() == [254, 63, 63, 0, 191]
    assert vote.num_samples == 4
    assert protocol.parts["reads"] == "samples"


def test_a_free_answer_counts_only_if_it_is_a_letter_a_word():
    protocol = make(FREE, samples=4)
    answer = say("K D\nD D K", "KDDD", "KDDDKK", "Sure! KDDDK")

    (request,) = protocol.requests(TEXT)
    vote = protocol.read(TEXT, [answer])

    assert request.choices == ()
    assert request.max_tokens > 2 * 5
    assert (vote.codes_N.tolist(), vote.num_samples) == ([254, 0, 0, 0, 254], 1)
    assert len(protocol.references(TEXT, [answer])) == 1
    assert protocol.parts["reads"] == "free"


def test_a_free_answer_that_was_cut_is_no_vote():
    with pytest.raises(VoteFailed, match=r"none of 1 answers .* 5 letters"):
        make(FREE).read(TEXT, [say("KDDDK", finish_reason="length")])


@given(st.text(max_size=12))
def test_a_free_answer_of_anything_else_is_never_a_vote(text):
    letters = "".join(text.split())
    is_right = len(letters) == 5 and set(letters) <= set("KD")

    try:
        vote = make(FREE).read(TEXT, [say(text)])
    except VoteFailed:
        assert not is_right
    else:
        assert is_right
        assert (vote.codes_N == np.where(np.array(list(letters)) == "K", 254, 0)).all()


def test_an_engine_without_samples_is_asked_once_for_each():
    protocol = make(replace(NO_LOGPROBS, samples=False), samples=3)

    requests = protocol.requests(TEXT, seed=2)

    assert [request.num_samples for request in requests] == [1, 1, 1]
    assert len({request.seed for request in requests}) == 3
    seeds = {request.seed for request in protocol.requests(TEXT, seed=1)}
    assert seeds.isdisjoint(request.seed for request in requests)
    vote = protocol.read(TEXT, [say("KDDDK"), say("DDDDK"), say("DDDKD")])
    assert vote.codes_N.tolist() == [85, 0, 0, 85, 170]
    assert vote.num_samples == 3


def test_a_missing_answer_fails_the_text():
    with pytest.raises(VoteFailed, match="found 0 answers to 1 chunks"):
        make().read(TEXT, [])
