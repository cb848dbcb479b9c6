import json
from importlib.resources import files

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from kompress.must_keep import bulk, classify_words
from kompress.must_keep.farm import FARM
from kompress.types import RULE_SETS
from kompress.words import SEPARATORS

EXAMPLES = [word for rule in FARM for word in (*rule.catches, *rule.spares)]
# Surrogates and NUL included.
PIECES = (
    st.sampled_from(EXAMPLES) | st.sampled_from(SEPARATORS) | st.text(st.characters())
)
TEXTS = st.lists(st.lists(PIECES).map("".join))


def by_the_slow_path(texts, rule_set="farm"):
    return [classify_words(text.split(), rule_set).tolist() for text in texts]


def as_lists(codes):
    return [codes_N.tolist() for codes_N in codes]


@pytest.fixture
def always_bulk(monkeypatch):
    monkeypatch.setattr(bulk, "MIN_BULK_CHARS", 0)


@settings(deadline=None)
@given(texts=TEXTS)
def test_the_bulk_path_equals_the_slow_one_on_any_text(texts):
    if texts:
        assert as_lists(bulk._classify_chunk(texts)) == by_the_slow_path(texts)
    for rule_set in RULE_SETS:
        found = as_lists(bulk.classify_texts(texts, rule_set))
        assert found == by_the_slow_path(texts, rule_set)


@pytest.mark.usefixtures("always_bulk")
def test_the_bulk_path_equals_the_slow_one_on_the_corpus(monkeypatch):
    lines = (files("kompress.corpora") / "data/tool_outputs.jsonl").read_text("utf-8")
    texts = [json.loads(line)["text"] for line in lines.splitlines()]
    monkeypatch.setattr(bulk, "CHUNK_BYTES", 100_000)  # several chunks

    codes = bulk.classify_texts(texts)

    assert as_lists(codes) == by_the_slow_path(texts)
    assert all(codes_N.dtype == np.uint8 for codes_N in codes)


@pytest.mark.usefixtures("always_bulk")
@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["", " \n\u3000", ""],
        ["42", "42"],
        ["a\x00b 1\x001", "\ud800 0x1\udfff", "\ufeffnot"],
        ["\n\n42\r\n", "é\x85not\xa0é", "x" * 300 + "1"],
        # The first bytes of zlib and of gzip: a text, not an archive.
        ["x^20 x7fff2038"],
        ["\x1f\x8b 42"],
    ],
)
def test_texts_at_the_edge_keep_their_words_apart(texts):
    assert as_lists(bulk.classify_texts(texts)) == by_the_slow_path(texts)
