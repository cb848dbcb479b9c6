"""Ordered texts merge to the same bytes however they were cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.chain import texts as module
from kompress.aggregation.patterns import VotePatterns, count_patterns, merge_patterns
from kompress.types import KEEP, UNKNOWN


def _corpus(seed: int, num_texts: int):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, num_texts)
    size = int(sizes.sum())
    boundary_N = rng.integers(0, 3, size)
    boundary_N[np.cumsum(sizes) - sizes] = 3
    truth_N = np.where(rng.random(size) < 0.1, KEEP, UNKNOWN)
    code_NM = rng.integers(0, 256, (size, 2)).astype(np.uint8)
    return sizes, code_NM, rng.integers(0, 9, size), truth_N, boundary_N


def _count(code_NM, stratum_N, truth_N, boundary_N):
    return count_patterns(code_NM, np.ones(2), stratum_N, truth_N, boundary_N)


@given(seed=st.integers(0, 10**6), num_texts=st.integers(2, 12), data=st.data())
def test_shards_merge_to_the_bytes_of_the_whole(seed, num_texts, data):
    sizes, *arrays = _corpus(seed, num_texts)
    cut = int(np.cumsum(sizes)[data.draw(st.integers(0, num_texts - 2))])

    whole = _count(*arrays)
    parts = [_count(*(a[:cut] for a in arrays)), _count(*(a[cut:] for a in arrays))]

    for order in (parts, parts[::-1]):
        assert merge_patterns(order).to_bytes() == whole.to_bytes()
    again = VotePatterns.from_bytes(whole.to_bytes())
    assert again.to_bytes() == whole.to_bytes()


def test_of_many_texts_a_sample_stays_and_all_with_gold(monkeypatch):
    monkeypatch.setattr(module, "MAX_OPEN_WORDS", 30)
    _, *arrays = _corpus(3, 60)

    whole = _count(*arrays).texts
    cuts = np.flatnonzero(arrays[3] == 3)[[20, 41]]
    shards = np.split(np.arange(len(arrays[0])), cuts)
    parts = [_count(*(a[here] for a in arrays)) for here in shards]

    assert whole is not None
    open_words = int((~whole.has_gold_N).sum())
    assert 30 <= open_words < 30 + 12
    assert int(whole.known_N.sum()) == int((arrays[2] == KEEP).sum())
    merged = merge_patterns(parts).texts
    assert merged is not None
    assert merged.code_NM.tobytes() == whole.code_NM.tobytes()


def test_without_boundaries_no_text_is_kept():
    assert count_patterns([[0.5]], [1], [0]).texts is None
