"""The soundness voter keeps what a checker would miss."""

import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.types import decode_votes
from kompress.voters import make_voter
from kompress.voters.soundness import STRENGTHS, TEST_STRENGTH, _may_explode
from kompress.words import word_list


def votes(text, **params):
    """P(keep) by word; every word of these texts occurs once."""
    voter = make_voter("s", "soundness", params, None)
    ((index, vote),) = voter.vote([text])
    assert index == 0
    p_N = decode_votes(vote.codes_N)
    return dict(zip(word_list(text), p_N.tolist(), strict=True))


def needed(text, **params):
    return {word for word, p in votes(text, **params).items() if p >= 0.5}


@pytest.mark.parametrize(
    ("signal", "text", "words"),
    [
        ("must_keep", "retry build-7 in 30ms please", {"build-7", "30ms"}),
        ("guarded", "you must not, ever, stop", {"must", "not,"}),
        # Alone: no colon's key, no key's value, no bracket and no item before a comma
        # may go; a word inside a string may.
        (
            "json",
            '{"a": 1, "b": ["x y z", 2, 3]}',
            {'{"a":', "1,", '"b":', '["x', 'z",', "3]}"},
        ),
        ("json", 'no json: {"a": 1, }', set()),
        # f(x) holds both of its brackets; ) has no partner; [ and } are none.
        ("brackets", "call f(x) and g(a, then b) or ) else [ c }", {"g(a,", "b)"}),
        ("brackets", "( [ ) ]", {"[", "]"}),  # crossed: the inner pair alone
        ("brackets", "[ ( ]", set()),
    ],
)
def test_each_signal_needs_its_words(signal, text, words):
    assert needed(text, signals=[signal]) == words


def test_a_users_test_needs_every_word_that_a_match_touches():
    tests = [
        {"name": "exit", "pattern": r"exit\s+code \d"},
        {"name": "line", "pattern": r"^last.*$"},
    ]
    text = "then exit\ncode 17, so\nlast of all"

    assert needed(text, signals=[], tests=tests) == {
        *["exit", "code", "17,"],
        *["last", "of", "all"],
    }
    assert votes(text, tests=tests)["17,"] == pytest.approx(TEST_STRENGTH, abs=0.002)


def test_a_match_of_nothing_or_of_white_space_needs_no_word():
    tests = [{"name": "empty", "pattern": "x*"}, {"name": "gap", "pattern": " +"}]

    assert needed("abc de f", signals=[], tests=tests) == set()


def test_the_strongest_signal_counts_and_the_rest_is_dropped_or_abstained_on():
    text = "never 30ms plain"

    dropped, silent = votes(text), votes(text, silent_p=None)

    assert dropped["never"] == pytest.approx(STRENGTHS["guarded"], abs=0.002)
    assert dropped["30ms"] == pytest.approx(STRENGTHS["must_keep"], abs=0.002)
    assert dropped["plain"] == pytest.approx(0.35, abs=0.002)
    assert np.isnan(silent["plain"])
    assert {**dropped, "plain": 0} == {**silent, "plain": 0}


def test_a_json_text_too_large_to_try_has_no_json_signal(monkeypatch):
    from kompress.voters import soundness

    text = '{"a": 1}'  # two words of eight characters

    monkeypatch.setattr(soundness, "MAX_JSON_WORK", 16)
    assert needed(text, signals=["json"]) == {'{"a":', "1}"}
    monkeypatch.setattr(soundness, "MAX_JSON_WORK", 15)
    assert needed(text, signals=["json"]) == set()


def test_what_decides_a_vote_is_in_the_fingerprint():
    base = make_voter("s", "soundness", {}, None).fingerprint
    tests = [{"name": "t", "pattern": "a"}]

    for params in ({"tests": tests}, {"signals": ["json"]}, {"silent_p": None}):
        assert make_voter("s", "soundness", params, None).fingerprint != base
    assert base.parts["params"]["silent_p"] == 0.35


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"tests": [{"name": "t", "pattern": "("}]}, "no regular expression"),
        ({"tests": [{"name": "T!", "pattern": "a"}]}, "pattern"),
        ({"tests": [{"name": "t", "pattern": "a" * 501}]}, "500"),
        ({"tests": [{"name": "t", "pattern": "a"}] * 2}, "t is there twice"),
        ({"tests": [{"name": f"t{i}", "pattern": "a"} for i in range(33)]}, "32"),
        ({"tests": [{"name": "t", "pattern": "(a+)+b"}]}, "exponential time"),
        ({"signals": ["tests"]}, "must_keep"),
        ({"signals": ["json", "json"]}, "json is there twice"),
        ({"silent_p": 0.5}, "less than 0.5"),
    ],
)
def test_a_wrong_parameter_is_refused_in_words(params, says):
    with pytest.raises(InvalidConfig, match=says):
        make_voter("s", "soundness", params, None)


@pytest.mark.parametrize(
    ("pattern", "explodes"),
    [
        (r"(a+)+", True),
        (r"(?:a|b)*", True),
        (r"((a*)b){2,}", True),
        (r"(a+){1,5}", False),
        (r"(?:ab)+c*", False),
        (r"(?:a|b)c+", False),
        (r"[(+|]+(x)*", False),  # inside a set nothing is special
        (r"([+])*", False),
        (r"([]+])*", False),
        (r"\(a+\)+", False),
    ],
)
def test_endless_repeats_within_endless_repeats_are_found(pattern, explodes):
    re.compile(pattern)

    assert _may_explode(pattern) is explodes


def test_what_is_let_through_is_quick_on_a_long_text():
    tests = [{"name": "t", "pattern": r"^.*\berror\b.*$"}]
    started = time.perf_counter()

    needed("a" * 200_000, signals=[], tests=tests)

    assert time.perf_counter() - started < 5


@given(st.text(alphabet=' \n(){}[]":,ab1not', max_size=60))
def test_any_text_gets_one_vote_a_word_on_the_right_side(text):
    voter = make_voter(
        "s",
        "soundness",
        {"signals": ["must_keep", "guarded", "json", "brackets"]},
        None,
    )
    ((_, vote),) = voter.vote([text])

    p_N = decode_votes(vote.codes_N)
    assert p_N.size == len(text.split())
    assert (np.isclose(p_N, 0.35, atol=0.002) | (p_N > 0.59)).all()
