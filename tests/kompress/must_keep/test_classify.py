import pytest

from kompress.errors import InvalidConfig
from kompress.must_keep import (
    RULE_VERSIONS,
    MustKeep,
    classify_texts,
    classify_words,
    find_must_keep,
)
from kompress.types import OTHER, RULE_SETS


def test_found_words_carry_their_number_and_their_place():
    #       0   4    9
    text = "at line 42.\n"

    assert find_must_keep(text) == [MustKeep(2, 8, 11, "number")]
    assert text[8:11] == "42."


def test_a_word_that_only_another_rule_set_catches_is_other():
    words = ["42", "well-known", "-O2", "plain"]

    # farm: number, -, flag, -; headroom-0.42: number, other, -, -.
    assert classify_words(words).tolist() == [2, 0, 9, 0]
    assert classify_words(words, "headroom-0.42").tolist() == [2, OTHER, 0, 0]
    assert find_must_keep("well-known", "headroom-0.42")[0].category == "other"


def test_no_words_give_no_codes():
    assert classify_words([]).shape == (0,)
    assert find_must_keep(" \n") == []


def test_every_rule_set_of_the_contract_has_a_version():
    assert tuple(RULE_VERSIONS) == RULE_SETS


@pytest.mark.parametrize("classify", [find_must_keep, classify_texts, classify_words])
def test_an_unknown_rule_set_is_refused_with_the_known_ones(classify):
    with pytest.raises(
        InvalidConfig, match=r"'mine'.*farm, headroom-0.42, kompress-r0"
    ):
        classify(["x"] if classify is not find_must_keep else "x", "mine")
