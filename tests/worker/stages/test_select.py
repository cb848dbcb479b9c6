import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.stages.select import cut_shards


@pytest.mark.parametrize(
    ("num_documents", "size", "sizes"),
    [
        (5, 5, [5]),
        (6, 5, [3, 3]),  # two shards are needed, of nearly equal size
        (11, 5, [3, 4, 4]),  # bounds 0, 11/3, 22/3, 11
        (3, 1, [1, 1, 1]),
    ],
)
def test_shards_are_nearly_equal(num_documents, size, sizes):
    shards = cut_shards(range(num_documents), size)

    assert [len(shard) for shard in shards] == sizes


@given(st.sets(st.integers(0, 999), min_size=1, max_size=60), st.integers(1, 20))
def test_shards_hold_every_document_once_in_order(ids, size):
    shards = cut_shards(list(ids), size)

    assert [i for shard in shards for i in shard] == sorted(ids)
    lengths = [len(shard) for shard in shards]
    assert all(0 < length <= size for length in lengths)
    assert max(lengths) - min(lengths) <= 1
