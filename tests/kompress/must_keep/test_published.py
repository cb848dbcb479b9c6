import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.must_keep.published import (
    HEADROOM_042,
    HEADROOM_042_PREDICATE,
    KOMPRESS_R0,
    KOMPRESS_R0_PREDICATE,
)

# The core as facts give it, typed out once more, without 0.42.0's words.
CORE = re.compile(
    r"\b0x[0-9A-Fa-f]+\b|(?<![\w.])\d+(?:\.\d+)?(?![\w.])|[A-Z_]{2,}"
    r"|[a-z_][a-z0-9_]*\.[a-z0-9_]+|/[a-z0-9/._-]{2,}|\.[a-z]{2,4}\b|--?[a-z][\w-]*"
    r"|\b[A-Z][a-z]+[A-Z]\w*"
)
TOKENS = st.text(st.sampled_from("aAzZ09_./-xé٣'")) | st.text()


@pytest.mark.parametrize(
    ("word", "caught"),
    [
        ("0x7fff2038", True), ("42", True), ("42.", False), ("12ms", False),
        ("-O2", False), ("well-known", True), ("e.g.", True), ("snake_case", False),
        ("Mustn't", True), ("none,", True), ("AND", True), ("xor", True),
        ("and/or", True), ("order", False), ("knot", False), ("because", False),
    ],
)  # fmt: skip
def test_the_deployed_rule_catches_what_the_client_keeps(word, caught):
    assert bool(HEADROOM_042.search(word)) is caught


@pytest.mark.parametrize(
    ("word", "caught"),
    [("12ms", True), ("-O2", True), ("0xa", True), ("not", False), ("xor", False)],
)
def test_the_first_rule_has_unguarded_numbers_and_no_directives(word, caught):
    assert bool(KOMPRESS_R0.search(word)) is caught


@given(word=TOKENS)
def test_the_deployed_rule_contains_the_published_core(word):
    assert not CORE.search(word) or HEADROOM_042.search(word)


@given(word=TOKENS)
def test_the_linear_predicate_asks_the_same_question(word):
    assert bool(HEADROOM_042.search(word)) == bool(HEADROOM_042_PREDICATE.search(word))
    assert bool(KOMPRESS_R0.search(word)) == bool(KOMPRESS_R0_PREDICATE.search(word))


def test_a_word_of_megabytes_is_judged_at_once():
    assert HEADROOM_042_PREDICATE.search("a" * 2_000_000) is None
