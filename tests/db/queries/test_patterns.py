"""Joint votes by shard, and which documents may be learned from."""

import numpy as np

from db.queries import gold, patterns, selections
from db.queries.patterns import EvidenceTotals
from kompress.types import Gold

CODES = np.zeros(4, dtype=np.uint8)


def select_all(session, world, roles, *, random_slice=(), probability=1.0):
    selections.store_selections(
        session,
        world.round_id,
        [
            (document_id, role, number in random_slice, probability)
            for number, (document_id, role) in enumerate(
                zip(world.document_ids, roles, strict=True)
            )
        ],
    )
    selections.freeze_shards(session, world.round_id, 1, [world.document_ids])


def test_a_repeated_shard_replaces_its_patterns(session, world):
    patterns.store_patterns(session, world.round_id, 1, b"one")
    patterns.store_patterns(session, world.round_id, 0, b"zero")
    patterns.store_patterns(session, world.round_id, 1, b"again")

    assert list(patterns.stream_patterns(session, world.round_id)) == [
        b"zero",
        b"again",
    ]
    assert list(patterns.stream_patterns(session, world.round_id + 1)) == []


def test_only_train_documents_and_calibration_gold_are_evidence(session, world):
    select_all(session, world, ["train", "train", "audit"], random_slice={1, 2})
    for number, use in enumerate(("calibrate", "evaluate", "calibrate")):
        gold.store_gold(session, world.text_ids[number], Gold("ann", use, CODES))

    rows = patterns.list_evidence(session, world.round_id, 0)

    assert [(row.text_id, row.random_slice, row.has_gold) for row in rows] == [
        (world.text_ids[0], False, True),
        (world.text_ids[1], True, False),
    ]
    assert [(row.group_id, row.sha256) for row in rows] == [
        ("g0", world.digests[0]),
        ("g1", world.digests[1]),
    ]
    # Every text has four words ("0 words of small").
    assert patterns.count_evidence(session, world.round_id) == EvidenceTotals(
        num_documents=2, is_certain=True, gold_words=4, slice_words=4, all_words=8
    )


def test_documents_that_could_have_been_missed_are_not_certain(session, world):
    select_all(session, world, ["train"] * 3, probability=0.999)

    totals = patterns.count_evidence(session, world.round_id)

    assert totals == EvidenceTotals(3, False, 0, 0, 12)  # noqa: FBT003  # a field


def test_a_round_without_train_documents_has_no_evidence(session, world):
    select_all(session, world, ["audit"] * 3)

    totals = patterns.count_evidence(session, world.round_id)

    assert totals == EvidenceTotals(0, False, 0, 0, 0)  # noqa: FBT003  # a field
    assert patterns.list_evidence(session, world.round_id, 0) == []
