from math import log

import pytest

from kompress.lines.rarity import TemplateCounts


def test_rarity_counts_texts_and_not_lines():
    counts = TemplateCounts.count([["a", "a", "b"], ["a"], ["c"]])

    # Of 3 texts 2 hold "a", 1 holds "b", none "z": 4/3, 4/2 and 4/1.
    assert counts.rarity(["a", "b", "z"]).tolist() == pytest.approx(
        [log(4 / 3), log(2), log(4)]
    )


def test_what_every_text_has_is_not_rare():
    assert TemplateCounts.count([["a"], ["a"]]).rarity(["a"]).tolist() == [0]


def test_without_a_corpus_nothing_is_rarer_than_anything():
    assert TemplateCounts.count([]).rarity(["a", "b"]).tolist() == [0, 0]


def test_a_text_can_be_left_out_of_the_counts():
    texts = [["a", "b"], ["a"], ["c"]]

    assert TemplateCounts.count(texts).without(["a", "b"]).rarity(
        ["a", "b", "c"]
    ).tolist() == pytest.approx(TemplateCounts.count(texts[1:]).rarity(["a", "b", "c"]))
