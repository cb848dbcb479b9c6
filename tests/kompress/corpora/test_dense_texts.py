"""The texts of the suite `dense` are what the suite's name says."""

import json
from importlib.resources import files

from kompress.must_keep import find_must_keep
from tests.kompress.corpora.near_pairs import find_near_pairs


def test_the_dense_texts_are_many_long_distinct_and_dense():
    source = files("kompress.evaluation") / "data" / "dense.jsonl"
    rows = [json.loads(row) for row in source.read_text("utf-8").splitlines()]

    assert len(rows) >= 36
    assert all(set(row) == {"id", "kind", "text"} for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["kind"] for row in rows}) == len(rows)
    for row in rows:
        num_words = len(row["text"].split())
        assert 120 <= num_words <= 300
        assert len(find_must_keep(row["text"])) >= 0.3 * num_words
    assert find_near_pairs([row["text"] for row in rows], 0.3) == set()
