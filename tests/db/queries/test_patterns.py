"""Joint votes by shard."""

from db.queries import patterns


def test_a_repeated_shard_replaces_its_patterns(session, world):
    patterns.store_patterns(session, world.round_id, 1, b"one")
    patterns.store_patterns(session, world.round_id, 0, b"zero")
    patterns.store_patterns(session, world.round_id, 1, b"again")

    assert [
        patterns.load_patterns(session, round_id, shard)
        for round_id, shard in (
            (world.round_id, 0),
            (world.round_id, 1),
            (world.round_id, 2),
            (world.round_id + 1, 0),
        )
    ] == [b"zero", b"again", None, None]
