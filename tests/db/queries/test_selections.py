"""A round's selection and its frozen shards."""

import pytest

from db.errors import Conflict
from db.queries import quality, selections
from db.queries.jobs import FIRST_CHILD_SHARD


def test_a_selection_comes_back_by_document(session, world):
    a, b, c = world.document_ids
    rows = [
        (c, "audit", False, 1.0),
        (a, "train", True, 0.25),
        (b, "train", False, 0.5),
    ]
    selections.store_selections(session, world.round_id, rows)
    quality.set_selection_counts(session, world.round_id, {a: (5, 4)})

    found = selections.load_selections(session, world.round_id)

    assert [(row.document_id, row.role, row.random_slice) for row in found] == [
        (a, "train", True),
        (b, "train", False),
        (c, "audit", False),
    ]
    assert [row.probability for row in found] == [0.25, 0.5, 1.0]
    assert [row.num_must_keep for row in found] == [5, None, None]
    assert [row.num_must_keep_kept for row in found] == [4, None, None]
    assert [row.text_id for row in found] == world.text_ids


def test_a_shard_holds_what_it_was_frozen_with(session, world):
    a, b, c = world.document_ids
    selections.freeze_shards(session, world.round_id, 1, [[c, a], [b]])

    def ids(shard):
        rows = selections.shard_documents(session, world.round_id, 1, shard)
        return [row.id for row in rows]

    assert selections.shards(session, world.round_id, 1) == [0, 1]
    assert (ids(0), ids(1), ids(2)) == ([a, c], [b], [])
    assert selections.shards(session, world.round_id, 2) == []


def test_a_frozen_wave_takes_the_same_shards_again_and_no_others(session, world):
    a, b, c = world.document_ids
    selections.freeze_shards(session, world.round_id, 1, [[a, b], [c]])
    selections.freeze_shards(session, world.round_id, 1, [[b, a], [c]])

    with pytest.raises(Conflict, match="frozen in 2 shards"):
        selections.freeze_shards(session, world.round_id, 1, [[a], [b, c]])


def test_the_shards_of_a_bisection_are_numbered_apart_and_not_planned(session, world):
    a, b, c = world.document_ids
    selections.freeze_shards(session, world.round_id, 1, [[a, b, c]])

    first = selections.add_child_shards(session, world.round_id, 1, [[a], [b, c]])
    second = selections.add_child_shards(session, world.round_id, 1, [[b], [c]])

    assert first == [FIRST_CHILD_SHARD, FIRST_CHILD_SHARD + 1]
    assert second == [FIRST_CHILD_SHARD + 2, FIRST_CHILD_SHARD + 3]
    rows = selections.shard_documents(session, world.round_id, 1, first[1])
    assert [row.id for row in rows] == [b, c]
    assert selections.shards(session, world.round_id, 1) == [0]
    # A late attempt at planning still finds the wave as it was frozen.
    selections.freeze_shards(session, world.round_id, 1, [[a, b, c]])
