import numpy as np
import pytest

from kompress.errors import VoteFailed
from kompress.teachers import make_protocol
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Answer, Capabilities, Sample
from kompress.types import decode_votes

ALL = Capabilities(forced_tokens=True, logprobs=True, samples=True, prefix_cache=True)
FREE = Capabilities(
    forced_tokens=False, logprobs=False, samples=False, prefix_cache=False
)
TEXT = "error: disk\n  is full now"
DRAFT_N = np.array([True, True, False, True, False])


def make(capabilities=ALL, **params):
    return make_protocol(ProtocolParams(protocol="correct", **params), capabilities)


def test_the_draft_is_shown_struck_out_and_numbered_as_words_are():
    (request,) = make(number_every=2).requests(TEXT, draft_N=DRAFT_N)

    bar = "====="
    shown = "[1] error: disk\n  [3] ~~is~~ full [5] ~~now~~"
    assert request.user == f"{bar}\n{shown}\n{bar}\n5 words, 5 letters:"
    assert "~~word~~" in request.system


def test_it_asks_for_letters_as_word_votes_does_and_shows_more():
    params = ProtocolParams(chunk_words=2)
    plain = make_protocol(params, ALL).requests(TEXT)
    drafted = make(chunk_words=2).requests(TEXT, draft_N=DRAFT_N)

    assert len(plain) == len(drafted) == 3
    for one, other in zip(plain, drafted, strict=True):
        assert (one.max_tokens, one.choices, one.logprobs) == (
            other.max_tokens,
            other.choices,
            other.logprobs,
        )
        assert one.user.split("\n")[-1] == other.user.split("\n")[-1]
    # Each chunk has its own part of the draft: words 3 and 5 are struck out.
    assert ["~~" in request.user for request in drafted] == [False, True, True]


def test_the_letters_are_the_vote_and_the_draft_is_not_mixed_in():
    probs = ((0.9, 0.1), (0.2, 0.8), (1.0, 0.0), (0.5, 0.5), (0.0, 1.0))
    answer = Answer((Sample("KDKKD", choice_probs=probs),), 1, 1)

    vote = make().read(TEXT, [answer])

    # floor(255 p), 254 at most.
    assert vote.codes_N.tolist() == [229, 51, 254, 127, 0]
    (mask_N,) = make().references(TEXT, [answer])
    assert mask_N.tolist() == [True, False, True, True, False]


def test_a_free_answer_has_one_letter_a_word():
    vote = make(FREE).read(TEXT, [Answer((Sample("K D K K D"),), 1, 1)])

    assert (decode_votes(vote.codes_N) > 0.5).tolist() == [
        True,
        False,
        True,
        True,
        False,
    ]
    with pytest.raises(VoteFailed, match="5 letters K or D"):
        make(FREE).read(TEXT, [Answer((Sample("K D K K"),), 1, 1)])


def test_without_a_draft_there_is_no_question_but_perhaps_later():
    with pytest.raises(VoteFailed, match="no draft") as caught:
        make().requests(TEXT)

    assert caught.value.is_transient


def test_a_draft_of_another_text_is_refused():
    with pytest.raises(VoteFailed, match=r"shape \(4,\)"):
        make().requests(TEXT, draft_N=DRAFT_N[:4])
