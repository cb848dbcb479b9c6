"""Gold comes back as it was stored and is not overwritten."""

import numpy as np
import pytest

from db.errors import Conflict
from db.queries import gold, loops, selections
from kompress.types import Fact, Gold

CODES_N = np.array([254, 0, 255, 0], dtype=np.uint8)


def test_gold_comes_back_by_text_and_use(session, world):
    planted = Gold("gen/1", "evaluate", CODES_N, "why?", (Fact("line", (0, 3)),))
    person = Gold("ann", "calibrate", CODES_N[::-1])
    a, b, c = world.text_ids
    gold.store_gold(session, [(a, planted), (a, person), (b, person)])

    found = gold.load_gold(session, [a, b, c])
    (evaluated,) = gold.load_gold(session, [a, b, c], use="evaluate")[a]

    assert [item.origin for item in found[a]] == ["ann", "gen/1"]
    assert sorted(found) == sorted([a, b])
    assert evaluated.facts == planted.facts
    assert evaluated.question == "why?"
    np.testing.assert_array_equal(evaluated.codes_N, CODES_N)


def test_the_same_gold_twice_is_fine_and_another_is_refused(session, world):
    text_id = world.text_ids[0]
    gold.store_gold(session, [(text_id, Gold("ann", "calibrate", CODES_N))])
    gold.store_gold(session, [(text_id, Gold("ann", "calibrate", CODES_N))])

    with pytest.raises(Conflict, match="origin of its own"):
        gold.store_gold(session, [(text_id, Gold("ann", "calibrate", CODES_N[::-1]))])


def test_only_evaluation_gold_of_audit_documents_is_audit_gold(session, world):
    a, b, _ = world.text_ids
    roles = zip(world.document_ids, ("audit", "train", "audit"), strict=True)
    selections.store_selections(
        session, world.round_id, [(id_, role, False, 1.0) for id_, role in roles]
    )
    gold.store_gold(session, [(a, Gold("ann", "calibrate", CODES_N))])
    gold.store_gold(session, [(b, Gold("ann", "evaluate", CODES_N))])

    assert not gold.has_audit_gold(session, world.round_id)

    gold.store_gold(session, [(a, Gold("bea", "evaluate", CODES_N))])

    assert gold.has_audit_gold(session, world.round_id)
    assert not gold.has_audit_gold(session, world.round_id + 1)


def test_a_replacement_is_for_the_loops_to_come(session, world):
    text_id, other, new = world.text_ids
    later_N = CODES_N[::-1]
    gold.store_gold(session, [(text_id, Gold("ann", "calibrate", CODES_N))])
    gold.store_gold(session, [(other, Gold("ann", "calibrate", CODES_N))])

    replaced = gold.replace_gold(
        session,
        [
            # The use stays: something may have been learned from it.
            (text_id, Gold("ann", "evaluate", later_N)),
            (other, Gold("ann", "calibrate", CODES_N)),
            (new, Gold("ann", "evaluate", CODES_N)),
        ],
    )
    began_later = loops.create_loop(session, "later", "small", {}, {})
    its_round = loops.rounds_of(session, began_later.id)[0]

    assert replaced == 1
    for round_id, codes_N in (
        (None, later_N), (its_round.id, later_N), (world.round_id, CODES_N)
    ):  # fmt: skip
        found = gold.load_gold(session, [text_id, other, new], round_id=round_id)
        (known,) = found[text_id]
        np.testing.assert_array_equal(known.codes_N, codes_N)
        assert known.use == "calibrate"
        assert len(found[other]) == len(found[new]) == 1


def test_a_second_replacement_is_seen_by_who_began_after_it_only(session, world):
    text_id = world.text_ids[0]
    codes = [np.full(4, value, dtype=np.uint8) for value in (0, 254, 255)]
    gold.store_gold(session, [(text_id, Gold("ann", "calibrate", codes[0]))])
    rounds = [world.round_id]
    for number in (1, 2):
        row = (text_id, Gold("ann", "calibrate", codes[number]))
        assert gold.replace_gold(session, [row]) == 1
        assert gold.replace_gold(session, [row]) == 0
        loop = loops.create_loop(session, f"loop {number}", "small", {}, {})
        rounds.append(loops.rounds_of(session, loop.id)[0].id)

    for round_id, codes_N in zip(rounds, codes, strict=True):
        (known,) = gold.load_gold(session, [text_id], round_id=round_id)[text_id]
        np.testing.assert_array_equal(known.codes_N, codes_N)
