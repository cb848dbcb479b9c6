"""Texts are stored once, by content."""

import numpy as np
import pytest

from db.errors import StoreError
from db.queries import texts


def test_a_text_is_stored_once_however_often_it_comes(session, make_text):
    text = make_text("7 lives")

    first = texts.store_texts(session, [text, text])
    second = texts.store_texts(session, [text, make_text("8 lives")])

    assert len(first) == 1
    assert second[text.sha256] == first[text.sha256]
    assert len(second) == 2
    assert texts.load_texts(session, first.values()) == {first[text.sha256]: "7 lives"}


def test_codes_come_back_as_they_were_stored(session, make_text):
    text = make_text("7 lives left")
    ids = texts.store_texts(session, [text])

    codes = texts.load_strata(session, list(ids.values()), "farm", "farm-1", "words-1")

    np.testing.assert_array_equal(codes[ids[text.sha256]], [2, 0, 0])


def test_a_text_without_codes_of_that_version_is_left_out(session, make_text):
    ids = list(texts.store_texts(session, [make_text("7 lives")]).values())

    assert texts.load_strata(session, ids, "farm", "farm-2", "words-1") == {}
    assert texts.load_strata(session, ids, "kompress-r0") == {}


def test_the_newest_version_is_the_default(session, make_text):
    text = make_text("7 lives")
    versions = {}
    for number in (9, 10, 2):
        strata = texts.NewStrata(f"farm-{number}", "words-1", bytes([0, number]), [], 0)
        versions = texts.NewText(text.content, text.sha256, 2, {"farm": strata})
        ids = texts.store_texts(session, [versions])

    codes = texts.load_strata(session, list(ids.values()), "farm")

    assert codes[ids[text.sha256]].tolist() == [0, 10]


@pytest.mark.parametrize(
    ("content", "found"), [("a\0b", "a NUL character"), ("\ud800", "surrogate")]
)
def test_what_postgres_cannot_store_is_refused_before_it_is_sent(
    session, content, found
):
    text = texts.NewText(content, bytes(32), 1)

    with pytest.raises(StoreError, match=found):
        texts.store_texts(session, [text])
