import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.queries import loops
from kompress.config import RecipeConfig, RoundConfig, parse_config
from kompress.errors import TrainingFailed
from kompress.types import Label, VoteRow
from tests.end_to_end.farm import loop_config
from tests.worker.learning import add_late_gold, forget_half_of_the_gold
from worker.mixing import (
    as_lesson,
    choose_lessons,
    describe_sources,
    first_voter,
    gold_lesson,
    is_held_out,
    load_lessons,
)


def label(means, sds):
    return Label(np.array(means, dtype=np.float16), np.array(sds, dtype=np.float16))


def test_targets_are_the_mask_or_the_mean():
    found = label([0.25, 0.5, 0.75], [0.25, 0.25, 0.25])

    hard, weight = as_lesson(
        found, "consensus", RecipeConfig(targets="hard", weigh_certainty=False)
    )
    soft, _ = as_lesson(found, "consensus", RecipeConfig(targets="soft"))

    assert hard.tolist() == [0, 1, 1]
    assert soft.tolist() == [0.25, 0.5, 0.75]
    assert weight is None


def test_certainty_is_what_is_left_of_a_uniform_variance():
    # 1 - sd² / (1/12): 1 - 12/16 = 1/4; 1 - 12/64 = 13/16; a coin's 1/4 is cut at 0.
    found = label([0.5] * 4, [0.25, 0.125, 0.5, 0.0])

    _, weight = as_lesson(found, "consensus", RecipeConfig(weigh_certainty=True))

    assert weight.tolist() == [0.25, 0.8125, 0.0, 1.0]


def test_a_mask_weighs_what_it_is_oftener_right_than_wrong():
    # 2 · .75 - 1 = 1/2, of a coin 0, |2 · .125 - 1| = 3/4; of the last 13/16 of 3/4.
    found = label([0.75, 0.5, 0.125, 0.125], [0.0, 0.0, 0.0, 0.125])

    target, weight = as_lesson(
        found, "consensus", RecipeConfig(targets="hard", weigh_certainty=True)
    )
    _, soft = as_lesson(
        found, "consensus", RecipeConfig(targets="soft", weigh_certainty=True)
    )

    assert target.tolist() == [1, 1, 0, 0]
    assert weight.tolist() == [0.5, 0.0, 0.75, 0.609375]
    # The mean of a well-known coin is as good a target as any.
    assert soft.tolist() == [1.0, 1.0, 1.0, 0.8125]


@pytest.mark.parametrize("source", ["silver", "corrected", "self_label"])
def test_a_single_voters_label_is_its_mask(source):
    found = label([0.25, 0.75], [0.25, 0.25])

    target, weight = as_lesson(found, source, RecipeConfig(targets="soft"))

    assert target.tolist() == [0, 1]
    assert weight is None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5)), min_size=1),
    st.sampled_from(["soft", "hard"]),
)
def test_a_lesson_fits_what_training_accepts(words, targets):
    recipe = RecipeConfig(targets=targets, weigh_certainty=True)

    target, weight = as_lesson(
        label(*zip(*words, strict=True)), "self_label+teacher", recipe
    )

    assert ((target >= 0) & (target <= 1)).all()
    assert ((weight >= 0) & (weight <= 1)).all()


def test_words_of_unknown_gold_weigh_nothing():
    target, weight = gold_lesson(np.array([254, 0, 255], dtype=np.uint8))

    assert target.tolist() == [1, 0, 0]
    assert weight.tolist() == [1, 1, 0]


def test_silver_is_the_first_voters_that_said_anything():
    def row(voter, *codes):
        return VoteRow(1, voter, 0, 1, np.array(codes, dtype=np.uint8))

    rows = [row("a", 255, 255), row("b", 255, 0), row("c", 254, 0)]

    assert first_voter(("a", "b", "c"), rows) == "b"
    assert first_voter(("c", "b"), rows) == "c"
    assert first_voter(("a",), rows) is None


def test_a_group_is_held_out_by_its_hash():
    digest = hashlib.sha256(b"held_out:repo-1").hexdigest()
    place = int(digest[:16], 16) / 2**64

    assert not is_held_out("repo-1", place - 1e-6)
    assert is_held_out("repo-1", place + 1e-6)
    assert not is_held_out("repo-1", 0.0)


def test_sources_are_named_in_the_order_of_the_mix():
    mix = [{"source": "gold"}, {"source": "silver", "kinds": ["a"]},
           {"source": "silver"}]  # fmt: skip

    assert describe_sources(round_config()) == "consensus"
    assert describe_sources(round_config(mix)) == "gold, silver"


def round_config(mix=(), **recipe):
    return parse_config(
        RoundConfig,
        {
            "voters": [{"name": "alpha", "kind": "simulated"},
                       {"name": "beta", "kind": "simulated"}],
            "recipe": {"mix": list(mix), **recipe},
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def labelled(make_sessions_of_own, tmp_path_factory):
    """A round of silver and corrected labels, just before it trains."""
    from tests.worker.inprocess import InProcessFarm

    with make_sessions_of_own() as sessions:
        farm = InProcessFarm(sessions, tmp_path_factory.mktemp("mixing"))
        farm.add_documents(40)
        farm.start(label_source="corrected", failure_rate=0.3)
        farm.run(until="train")
        yield farm


def lessons(farm, mix, **recipe):
    with farm.sessions() as session:
        ((round_id,),) = farm.query("SELECT id FROM rounds")
        held = loops.read_round(session, round_id)
        config = round_config(mix, **recipe)
        return choose_lessons(session, load_lessons(session, held, config), config)


@pytest.mark.slow
def test_shares_of_a_mix_hold_to_a_document(labelled):
    mix = [{"source": "gold", "share": 0.25}, {"source": "consensus"}]

    found = lessons(labelled, mix)

    golden = [row for row in found if row.source == "gold"]
    rest = [row for row in found if row.source == "consensus"]
    assert len(golden) + len(rest) == len(found) > 8
    assert len(rest) > len(golden) > 1
    assert abs(len(golden) - len(found) / 4) < 1
    # Calibration gold of train documents alone, and no document twice.
    allowed = labelled.query(
        """SELECT d.id FROM gold g JOIN documents d ON d.text_id = g.text_id
           WHERE g.use = 'calibrate' AND d.split = 'train'"""
    )
    assert {(row.document_id,) for row in golden} <= set(allowed)
    assert len({row.document_id for row in found}) == len(found)
    assert all(row.probability is None for row in golden)


@pytest.mark.slow
def test_a_part_takes_one_voters_labels_kinds_and_no_more_than_its_cap(labelled):
    second = lessons(labelled, [{"source": "silver", "voter": "beta"}])
    capped = lessons(
        labelled,
        [{"source": "corrected", "kinds": ["traceback", "error_log"],
          "max_documents_per_kind": 2}],
    )  # fmt: skip

    # Beta's are the texts that alpha failed on.
    failed = labelled.query(
        """SELECT d.id FROM failures f JOIN voters v ON v.id = f.voter_id
           JOIN documents d ON d.text_id = f.text_id WHERE v.name = 'alpha'"""
    )
    assert second
    assert {(row.document_id,) for row in second} <= set(failed)
    kinds = sorted(row.kind for row in capped)
    assert kinds == ["error_log", "error_log", "traceback", "traceback"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"source": "silver", "kinds": ["poem"]}, "'silver' of kinds poem to train"),
        ({"source": "self_label"}, "no label of source 'self_label' to train on"),
    ],
)
def test_a_part_without_documents_is_an_error(labelled, part, expected):
    with pytest.raises(TrainingFailed, match=expected):
        lessons(labelled, [part])


@pytest.mark.slow  # selects the documents of two rounds
def test_all_students_of_a_round_learn_from_the_gold_that_it_selected_with(farm):
    farm.add_documents(30)
    forget_half_of_the_gold(farm)
    changes = {
        "recipe": {
            **loop_config().base.recipe.model_dump(),
            "mix": [{"source": "gold"}],
        },
        "selection": {"num_documents": 4, "random_slice": 0.0},
    }
    farm.start("during", **changes)
    farm.run(until="teach")
    before = golden(farm, "during")

    add_late_gold(farm)

    farm.start("after", **changes)
    farm.run(until="teach")
    ((num_selected, num_train),) = farm.query("""
        SELECT (SELECT count(*) FROM selections WHERE role = 'train') / 2,
               count(*) FROM documents WHERE split = 'train'
    """)
    # Also of documents that the round did not select.
    assert num_selected < len(before) < num_train
    assert golden(farm, "during") == before
    assert len(golden(farm, "after")) == num_train


def golden(farm, loop):
    """The lessons of gold alone of a loop's first round, by document."""
    ((round_id,),) = farm.query(
        """SELECT r.id FROM rounds r JOIN loops l ON l.id = r.loop_id
           WHERE l.name = :loop""",
        loop=loop,
    )
    with farm.sessions() as session:
        held = loops.read_round(session, round_id)
        (found,) = load_lessons(session, held, parse_config(RoundConfig, held.config))
    return {
        row.document_id: (row.target_N.tolist(), row.weight_N.tolist()) for row in found
    }
