import json
from dataclasses import replace

import numpy as np
import pytest

from kompress.errors import InvalidConfig, VoteFailed
from kompress.teachers.endpoints import parse_endpoints
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Sample
from kompress.types import Vote
from kompress.voters import VOTERS, make_voter
from kompress.voters.teacher import Judge, Teacher, declare, find_seed
from kompress.voters.voter import Asker

LOCAL = {"engine": "vllm", "model": "tiny"}
HOSTED = {"engine": "openai", "model": "large", "endpoint": "hosted"}
ENDPOINTS = parse_endpoints(
    {
        "near": {"url": "http://node:8000/v1", "models": ["large"]},
        "hosted": {
            "url": "https://api.example.org/v1",
            "models": ["large", "small"],
            "external": True,
        },
    }
)
# 3, 0 and 2 words; in chunks of 2: two requests, none, one.
TEXTS = ["error: disk full", " ", "all well"]


def make(params, **more):
    params = {**params, **more}
    return make_voter("t", "teacher", params, declare(params, ENDPOINTS))


def keep_all(request):
    """Answer K with probability 1 to every word asked about."""
    probs = ((1.0, 0.0),) * request.max_tokens
    return Answer((Sample("K" * request.max_tokens, choice_probs=probs),), 1, 1)


class Engine:
    """Answers in the order it is told, and keeps what it was asked."""

    def __init__(self, *, order=None, answers=None):
        self.calls = []
        self._order = order
        self._answers = answers or {}

    def __call__(self, asked):
        self.calls.append(list(asked))
        for place in self._order or range(len(asked)):
            yield place, self._answers.get(place) or keep_all(asked[place][1])


def test_all_texts_are_asked_about_at_once_and_vote_with_their_last_answer():
    # Places 0 and 1 are the first text's chunks, place 2 is the third text's.
    engine = Engine(order=[1, 2, 0])
    voter = make(LOCAL, chunk_words=2).with_engine(engine)

    votes = list(voter.vote(TEXTS))

    (asked,) = engine.calls
    assert [index for index, _ in asked] == [0, 0, 2]
    # The text without words has nothing to wait for.
    assert [index for index, _ in votes] == [1, 2, 0]
    assert [vote.codes_N.tolist() for _, vote in votes] == [[], [254] * 2, [254] * 3]


@pytest.mark.parametrize(
    ("answers", "is_transient", "says"),
    [
        ({0: AskFailed("away", is_transient=True)}, True, "away"),
        ({0: AskFailed("too long", is_transient=False)}, False, "too long"),
        # One question that can never be answered makes asking again useless.
        (
            {
                0: AskFailed("away", is_transient=True),
                1: AskFailed("too long", is_transient=False),
            },
            False,
            "too long",
        ),
        ({1: Answer((Sample("KKKKK"),), 1, 1)}, False, "log-probabilities of none"),
    ],
)
def test_a_text_without_all_answers_has_no_vote_and_the_others_do(
    answers, is_transient, says
):
    voter = make(LOCAL, chunk_words=2).with_engine(Engine(answers=answers))

    votes = dict(voter.vote(TEXTS))

    assert isinstance(votes[0], VoteFailed)
    assert votes[0].is_transient == is_transient
    assert says in str(votes[0])
    assert isinstance(votes[2], Vote)


def test_an_answer_that_never_comes_is_asked_for_again_later():
    voter = make(LOCAL, chunk_words=2).with_engine(Engine(order=[0, 2]))

    votes = dict(voter.vote(TEXTS))

    assert votes[0].is_transient
    assert isinstance(votes[2], Vote)


def test_without_an_engine_there_is_no_vote_and_it_says_where_there_is_one():
    votes = dict(make(LOCAL).vote(TEXTS))

    assert "queue, teach.t" in str(votes[0])
    assert votes[0].is_transient
    assert votes[1].codes_N.shape == (0,)


def test_a_replicate_of_a_text_has_a_seed_of_its_own():
    teacher = make(LOCAL, protocol="rewrite", samples=2)

    seeds = {
        request.seed
        for text in ("a b", "c d")
        for replicate in range(3)
        for request in teacher.requests(text, replicate=replicate)
    }

    assert len(seeds) == 6
    assert find_seed("a b", 1) == find_seed("a b", 1)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_only_an_endpoint_outside_sees_a_text_without_its_secrets():
    text = "password: hunter2x was <|im_end|>"
    inside = {**HOSTED, "endpoint": "near"}

    (outside_request,) = make(HOSTED).requests(text)
    (inside_request,) = make(inside).requests(text)

    assert "hunter2x" not in outside_request.user
    assert "hunter2x" in inside_request.user
    assert "<|im_end|>" not in inside_request.user + outside_request.user


def test_a_corrector_is_given_the_drafts_by_their_text():
    engine = Engine()
    draft_N = np.array([True, False])
    voter = make(LOCAL, protocol="correct").with_engine(engine, {"all well": draft_N})

    votes = dict(voter.vote(TEXTS))

    assert "~~well~~" in engine.calls[0][0][1].user
    assert votes[2].codes_N.tolist() == [254, 254]
    assert votes[0].is_transient
    assert "no draft" in str(votes[0])


def test_the_voter_with_an_engine_leaves_the_one_without_as_it_was():
    teacher = make(LOCAL)
    asker = teacher.with_engine(Engine())

    assert isinstance(teacher, Asker)
    assert asker.fingerprint == teacher.fingerprint
    assert isinstance(dict(teacher.vote(TEXTS))[0], VoteFailed)


@pytest.mark.parametrize(
    ("params", "is_same"),
    [
        (LOCAL | {"gpus": 4}, True),
        (LOCAL | {"model": "other"}, False),
        (LOCAL | {"revision": "abc"}, False),
        (LOCAL | {"dtype": "bfloat16"}, False),
        (LOCAL | {"engine": "transformers"}, False),
        (LOCAL | {"criterion": "qa"}, False),
        (LOCAL | {"protocol": "quotes"}, False),
        (LOCAL | {"max_unfound": 0.2}, False),
    ],
)
def test_equal_fingerprints_are_equal_votes(params, is_same):
    assert (make(params).fingerprint == make(LOCAL).fingerprint) == is_same


def test_what_an_endpoint_can_do_and_the_draft_are_in_the_fingerprint():
    near = ENDPOINTS["near"]
    able = {"near": near.model_copy(update={"forced_tokens": True})}
    outside = {"near": near.model_copy(update={"external": True})}
    params = {**HOSTED, "endpoint": "near", "protocol": "correct"}

    snapshots = [
        declare(params, ENDPOINTS),
        declare(params, able),
        declare(params, outside),
        declare(params, ENDPOINTS, draft="d1"),
    ]
    prints = [
        make_voter("t", "teacher", params, each).fingerprint for each in snapshots
    ]

    assert all(prints.count(each) == 1 for each in prints)
    assert all(json.loads(json.dumps(p.parts)) == p.parts for p in prints)
    reads = [each.parts["protocol"]["reads"] for each in prints]
    assert reads == ["free", "samples", "free", "free"]


def test_only_a_corrector_depends_on_the_student():
    assert declare(LOCAL, {}, draft="d1") == declare(LOCAL, {})


def test_another_reading_of_an_answer_asks_for_nothing_new():
    strict = make(LOCAL, protocol="quotes", max_unfound=0.0)
    lax = make(LOCAL, protocol="quotes", max_unfound=0.5)
    (one,), (other,) = strict.requests("a b"), lax.requests("a b")

    assert one.fingerprint(strict.spec.identity()) == other.fingerprint(
        lax.spec.identity()
    )
    assert strict.fingerprint != lax.fingerprint


def test_an_endpoint_that_the_operator_does_not_have_is_refused():
    with pytest.raises(InvalidConfig, match="no endpoint is called 'hosted'"):
        declare(HOSTED, {})
    with pytest.raises(InvalidConfig, match="does not serve 'small'"):
        declare({**HOSTED, "endpoint": "near", "model": "small"}, ENDPOINTS)


@pytest.mark.parametrize("snapshot", [b"", b"junk", b"{}", b"[]", b'{"external": 1}'])
def test_a_snapshot_that_nobody_declared_is_refused(snapshot):
    with pytest.raises(InvalidConfig, match="declare it again"):
        make_voter("t", "teacher", LOCAL, snapshot)


def test_without_a_snapshot_its_engine_can_do_everything_it_ever_can():
    assert (
        make_voter("t", "teacher", LOCAL, None).fingerprint == make(LOCAL).fingerprint
    )


def test_a_kind_with_an_engine_names_the_model_that_its_worker_holds():
    spec = VOTERS["teacher"].needs_engine({**LOCAL, "gpus": 2})

    assert spec == ModelSpec("vllm", "tiny", gpus=2) == make(LOCAL, gpus=2).spec
    with pytest.raises(InvalidConfig, match="voter kind 'teacher'"):
        VOTERS["teacher"].needs_engine({})


def test_a_judge_compares_and_does_not_vote():
    judge = make(HOSTED, protocol="pairwise")
    teacher = make(HOSTED)

    ((_, failure),) = judge.vote(["a b"])
    text = "password: hunter2x refused"

    assert isinstance(judge, Judge)
    assert isinstance(teacher, Teacher)
    assert not isinstance(judge, Asker)
    assert "pairwise.judges" in str(failure)
    # The secret is one in the reference, too, where nothing names it.
    assert judge.shown(text) == "password: REDACTED refused"
    assert judge.shown_reference(text, "hunter2x refused") == "REDACTED refused"
    assert judge.fingerprint.parts["protocol"]["reads"] == "free"
    assert judge.spec == replace(teacher.spec)


@pytest.mark.parametrize(
    ("params", "varies"),
    [
        (LOCAL, False),  # reads log-probabilities
        (LOCAL | {"temperature": 1.0}, False),  # of which none is drawn
        (LOCAL | {"protocol": "quotes"}, False),
        (LOCAL | {"protocol": "quotes", "samples": 2}, True),
        (LOCAL | {"protocol": "rewrite", "temperature": 0.3}, True),
        (HOSTED | {"temperature": 0.3}, True),  # writes letters
    ],
)
def test_only_a_teacher_that_samples_says_something_else_the_next_time(params, varies):
    assert VOTERS["teacher"].varies(make(params).fingerprint.parts) is varies
