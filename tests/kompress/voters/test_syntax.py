"""The syntax voter sees place and shape, and no meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.must_keep import classify_words
from kompress.types import PLAIN, decode_votes
from kompress.voters.syntax import SYNTAX

VOTER = SYNTAX.load("s", {}, None)


def kept(text):
    ((_, vote),) = VOTER.vote([text])
    p_N = decode_votes(vote.codes_N)
    return [word for word, p in zip(text.split(), p_N, strict=True) if p >= 0.5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("so the disk was full again", ["so"]),  # the start of a line
        ("first line\nsecond line", ["first", "second"]),
        ("the port: seven hundred", ["the", "port:", "seven"]),  # key and value
        ("we set depth = seven now", ["we", "seven"]),  # right of =
        ("then --depth=3 was set", ["then", "--depth=3"]),  # assignment
        ("then see src/app.py:42 please", ["then", "src/app.py:42"]),
        ("then call run() or stop", ["then", "run()"]),
        ("then the REMOTE end", ["then", "REMOTE"]),
        ("then the (inner) end", ["then", "(inner)"]),
        ("then the maxDepth of my_list", ["then", "maxDepth", "my_list"]),
        ("---- ----", []),  # a rule of dashes is worth nothing, even at the start
    ],
)
def test_place_and_shape_decide(text, words):
    assert kept(text) == words


def test_changed_lines_of_a_diff_are_kept_whole_and_others_are_not():
    text = "@@ -1,2 +1,2 @@\n+the new line here\n-the old line here\n the same line"

    assert kept(text)[-9:] == [
        *["+the", "new", "line", "here"],
        *["-the", "old", "line", "here"],
        "the",
    ]
    assert kept("-the old line here") == ["-the"]  # a list, not a diff


def test_the_last_line_of_a_traceback_is_kept_whole():
    text = (
        "Traceback (most recent call last):\n"
        '  File "x", line 3, in run\n'
        "    it went wrong\n"
        "Oops: it really went wrong\n"
        "and then some more"
    )

    assert kept(text)[-6:] == [*["Oops:", "it", "really", "went", "wrong"], "and"]


def test_it_is_blind_to_facts_told_in_prose():
    # Its blind strata: plain words, and numbers, units and signals in running text.
    text = "we saw that the left pump never stopped after 300 ms and it failed twice"

    assert kept(text) == ["we"]


def test_it_is_not_the_must_keep_rule():
    text = "we waited 300 ms and version 1.2.3 of (the) --force flag was\nkept here"
    must_keep = {
        word
        for word, code in zip(text.split(), classify_words(text.split()), strict=True)
        if code != PLAIN
    }

    assert must_keep - set(kept(text))
    assert set(kept(text)) - must_keep


@given(st.text("ab1:=-+@ \n(T", max_size=60))
def test_a_votes_strength_never_reaches_certainty(text):
    ((_, vote),) = VOTER.vote([text])

    assert all(10 < code < 245 for code in vote.codes_N.tolist())
