"""Labels to the bit, and counts that add up."""

import numpy as np
from sqlalchemy import text

from db.queries import labels
from kompress.types import CountKey, Label, LabelCounts


def test_a_label_comes_back_bit_for_bit(session, world):
    a, b, _ = world.text_ids
    mean_N = np.array([0.5, 0.49976, 0.0, 1.0], dtype=np.float16)
    label = Label(mean_N, (mean_N / 4).astype(np.float16))
    stored = {b: label, a: label}

    labels.store_labels(session, world.round_id, "silver", stored)
    found = labels.load_labels(session, world.round_id, "silver")

    assert list(found) == sorted([a, b])
    assert found[a].mean_N.tobytes() == mean_N.tobytes()
    assert found[a].sd_N.tobytes() == label.sd_N.tobytes()
    assert found[a].keep_N.tolist() == [True, False, False, True]


def test_the_first_label_of_a_round_and_source_stays(session, world):
    a, b, _ = world.text_ids
    low, high = (
        Label(np.full(1, p, np.float16), np.zeros(1, np.float16)) for p in (0.25, 0.75)
    )
    labels.store_labels(session, world.round_id, "silver", {a: low, b: low})
    labels.store_labels(session, world.round_id, "silver", {a: high})
    labels.store_labels(session, world.round_id, "consensus", {a: high})

    silver = labels.load_labels(session, world.round_id, "silver", [a])

    assert list(silver) == [a]
    assert silver[a].mean_N.tolist() == [0.25]
    consensus = labels.load_labels(session, world.round_id, "consensus")
    assert consensus[a].mean_N.tolist() == [0.75]


def test_the_counts_of_shards_add_up(session, world):
    everything = CountKey("silver", "all", "all", "farm", "2")
    hexes = CountKey("silver", "all", "hex", "farm", "2")
    first = {
        everything: LabelCounts(2, 30, 20, 10, 9),
        hexes: LabelCounts(1, 4, 3, 4, 3),
    }
    second = {everything: LabelCounts(1, 10, 5, 2, 1)}

    labels.add_label_counts(session, world.round_id, first)
    labels.add_label_counts(session, world.round_id, second)

    rows = session.execute(
        text(
            """SELECT source, kind, category, rule_set, rule_version, num_documents,
                      num_words, num_kept, num_must_keep, num_must_keep_kept
               FROM label_counts WHERE round_id = :round_id"""
        ),
        {"round_id": world.round_id},
    )
    assert {CountKey(*row[:5]): LabelCounts(*row[5:]) for row in rows} == {
        everything: LabelCounts(3, 40, 25, 12, 10),
        hexes: LabelCounts(1, 4, 3, 4, 3),
    }
