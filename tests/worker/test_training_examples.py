import pytest

from db.queries import loops
from kompress.config import RoundConfig, parse_config
from kompress.errors import TrainingFailed
from tests.end_to_end.farm import loop_config
from tests.worker.learning import add_late_gold, forget_half_of_the_gold
from worker.training_examples import choose_examples, load_examples


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
        farm = InProcessFarm(sessions, tmp_path_factory.mktemp("mix"))
        farm.add_documents(40)
        # Gold is noted where a student learns from it.
        mix = [{"source": "gold"}, {"source": "corrected"}]
        recipe = {**loop_config().base.recipe.model_dump(), "mix": mix}
        farm.start(label_source="corrected", failure_rate=0.3, recipe=recipe)
        farm.run(until="train")
        yield farm


def examples(farm, mix, **recipe):
    with farm.sessions() as session:
        ((round_id,),) = farm.query("SELECT id FROM rounds")
        held = loops.read_round(session, round_id)
        config = round_config(mix, **recipe)
        return choose_examples(session, load_examples(session, held, config), config)


@pytest.mark.slow
def test_shares_of_a_mix_hold_to_a_document(labelled):
    mix = [{"source": "gold", "share": 0.25}, {"source": "consensus"}]

    found = examples(labelled, mix)

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
    second = examples(labelled, [{"source": "silver", "voter": "beta"}])
    capped = examples(
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
        examples(labelled, [part])


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
    """The examples of gold alone of a loop's first round, by document."""
    ((round_id,),) = farm.query(
        """SELECT r.id FROM rounds r JOIN loops l ON l.id = r.loop_id
           WHERE l.name = :loop""",
        loop=loop,
    )
    with farm.sessions() as session:
        held = loops.read_round(session, round_id)
        (found,) = load_examples(session, held, parse_config(RoundConfig, held.config))
    return {
        row.document_id: (row.target_N.tolist(), row.weight_N.tolist()) for row in found
    }
