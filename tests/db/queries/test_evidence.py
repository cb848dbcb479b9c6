"""Which documents may be learned from, and whose gold is known."""

import numpy as np
import pytest

from db.queries import evidence, gold, selections
from kompress.decisions import EvidenceTotals, GoldRun
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


def test_only_train_documents_and_calibration_gold_are_evidence(session, world):
    select_all(session, world, ["train", "train", "audit"], random_slice={1, 2})
    for number, use in enumerate(("calibrate", "evaluate", "calibrate")):
        gold.store_gold(session, [(world.text_ids[number], Gold("ann", use, CODES))])

    rows = evidence.list_train_documents(session, world.round_id, 0)

    assert [(row.text_id, row.random_slice) for row in rows] == [
        (world.text_ids[0], False),
        (world.text_ids[1], True),
    ]
    assert evidence.list_gold_runs(session, world.round_id) == [
        GoldRun("ann", world.text_ids[0], world.text_ids[0])
    ]
    assert [(row.group_id, row.sha256) for row in rows] == [
        ("g0", world.digests[0]),
        ("g1", world.digests[1]),
    ]
    # Every text has four words ("0 words of small").
    assert evidence.count_evidence(session, world.round_id) == EvidenceTotals(
        num_documents=2, is_certain=True, gold_words=4, slice_words=4, all_words=8
    )


def test_documents_that_could_have_been_missed_are_not_certain(session, world):
    select_all(session, world, ["train"] * 3, probability=0.999)

    totals = evidence.count_evidence(session, world.round_id)

    assert totals == EvidenceTotals(3, False, 0, 0, 12)  # noqa: FBT003  # a field


def test_a_round_without_train_documents_has_no_evidence(session, world):
    select_all(session, world, ["audit"] * 3)

    totals = evidence.count_evidence(session, world.round_id)

    assert totals == EvidenceTotals(0, False, 0, 0, 0)  # noqa: FBT003  # a field
    assert evidence.list_train_documents(session, world.round_id, 0) == []


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        (("ann", "ann", "ann"), [("ann", 0, 2)]),
        (("ann", None, "ann"), [("ann", 0, 0), ("ann", 2, 2)]),
        (("ann", "bob", "bob"), [("ann", 0, 0), ("bob", 1, 2)]),
        ((None, "bob", "ann"), [("bob", 1, 1), ("ann", 2, 2)]),
        ((None, None, None), []),
    ],
)
def test_gold_is_listed_in_runs_of_texts(session, world, origins, expected):
    select_all(session, world, ["train"] * 3)
    for text_id, origin in zip(world.text_ids, origins, strict=True):
        if origin:
            gold.store_gold(session, [(text_id, Gold(origin, "calibrate", CODES))])
            # The first by name counts.
            gold.store_gold(session, [(text_id, Gold("zoe", "calibrate", CODES))])

    runs = evidence.list_gold_runs(session, world.round_id)

    places = {text_id: place for place, text_id in enumerate(world.text_ids)}
    assert [(r.origin, places[r.first], places[r.last]) for r in runs] == expected


def test_a_document_that_was_not_selected_does_not_end_a_run(session, world):
    rows = [(world.document_ids[place], "train", False, 0.5) for place in (0, 2)]
    selections.store_selections(session, world.round_id, rows)
    for place in (0, 2):
        gold.store_gold(
            session, [(world.text_ids[place], Gold("ann", "calibrate", CODES))]
        )

    runs = evidence.list_gold_runs(session, world.round_id)

    assert runs == [GoldRun("ann", world.text_ids[0], world.text_ids[2])]
