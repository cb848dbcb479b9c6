import pytest

from kompress.labelling.training_examples import is_held_out
from kompress.students.checkpoint import unpack
from kompress.training.state import CurvePoint
from kompress.training.train import TrainResult
from tests.end_to_end.farm import loop_config
from worker.stages.train import costs_of, learning_curve


def test_a_curve_becomes_rows_by_step():
    curve = (CurvePoint(10, 500, 0.5, 0.75), CurvePoint(20, 900, 0.25, None))

    rows = learning_curve(result(curve=curve))

    found = [(r.suite, r.metric, r.step, r.value, r.n) for r in rows]
    assert found == [
        ("train", "loss", 10, 0.5, 500),
        ("held_out", "loss", 10, 0.75, 500),
        ("train", "loss", 20, 0.25, 900),
    ]


def test_costs_are_the_tokens_of_this_attempt_and_the_share_of_the_peak():
    # 2 s at 100 a second could have done 200; 80 of them did: MFU 0.4.
    known = result(num_new_tokens=90, seconds=2.0, num_flops=80.0, peak_flops=100.0)

    assert costs_of(known) == [("train_tokens", 90, 90), ("flop", 200, 80)]
    assert costs_of(result(num_new_tokens=90)) == [("train_tokens", 90, 90)]
    assert costs_of(result()) == []


def result(**changes):
    given = {"student_id": "s", "folder": None, "num_steps": 1, "num_tokens": 100,
             "losses": (), "manifest_sha256": "m"}  # fmt: skip
    return TrainResult(**given | changes)


@pytest.mark.slow  # runs a loop
def test_held_out_groups_teach_nothing_and_give_a_curve(farm):
    farm.add_documents(40)
    recipe = loop_config().base.recipe.model_copy(
        update={"held_out_share": 0.3, "evaluate_every": 2, "epochs": 2}
    )
    farm.start(recipe=recipe.model_dump())
    farm.run(until="evaluate")

    assert farm.parked() == []
    ((trained,),) = farm.query("SELECT trained_text_ids FROM students")
    groups = farm.query(
        """SELECT group_id, text_id = ANY(:trained) FROM documents
           WHERE split = 'train'""",
        trained=trained,
    )
    assert {is_held_out(group, 0.3) for group, _ in groups} == {False, True}
    assert all(is_held_out(group, 0.3) != seen for group, seen in groups)
    rows = farm.query(
        "SELECT suite, step, value FROM scores WHERE metric = 'loss' ORDER BY 1, 2"
    )
    steps = {suite: [s for name, s, _ in rows if name == suite] for suite, *_ in rows}
    assert set(steps) == {"train", "held_out"}
    assert steps["train"] == steps["held_out"]
    assert steps["train"][0] == 2
    costs = dict(
        farm.query(
            """SELECT c.kind, c.useful > 0 AND c.useful <= c.spent FROM costs c
               JOIN jobs j ON j.id = c.job_id WHERE j.stage = 'train'"""
        )
    )
    assert costs["train_tokens"]
    assert costs.get("flop", True)


@pytest.mark.slow  # runs a loop
def test_a_round_whose_voters_all_fail_says_so_before_it_trains(farm):
    farm.add_documents(20)
    farm.start(failure_rate=1.0)

    farm.run()

    ((stage, _, error),) = farm.parked()
    assert stage == "train"
    assert "no label of source 'consensus' to train on" in error
    assert farm.query("SELECT count(*) FROM failures") == [
        (3 * farm.query("SELECT count(*) FROM selections")[0][0],)
    ]


@pytest.mark.slow  # runs three loops
def test_a_training_goes_on_from_a_stored_student_or_from_a_folder(farm, tmp_path):
    def train(name, parent):
        recipe = loop_config().base.recipe.model_copy(update={"parent": parent})
        farm.start(name, recipe=recipe.model_dump(), folds=2)
        farm.run(until="evaluate")

    farm.add_documents(20)
    train("first", "scratch")
    ((first, digest),) = farm.query(
        "SELECT id, artifact_hash FROM students WHERE fold = -1"
    )
    unpack(farm.runtime.artifacts.get(digest), tmp_path / "folder")
    train("second", f"student/{first}")
    train("third", str(tmp_path / "folder"))

    rows = farm.query(
        """SELECT l.name, s.fold = -1, s.parent_id, s.manifest_hash, s.id
           FROM students s JOIN rounds r ON r.id = s.round_id
           JOIN loops l ON l.id = r.loop_id ORDER BY s.id"""
    )
    parents = {(name, is_main): parent for name, is_main, parent, *_ in rows}
    # No fold student has a student of this farm as its parent.
    assert parents == {
        ("first", True): None, ("first", False): None,
        ("second", True): first, ("second", False): None,
        ("third", True): None, ("third", False): None,
    }  # fmt: skip
    manifests = {(name, is_main): m for name, is_main, _, m, _ in rows}
    # The folder is the stored student, so both trainings are the same.
    assert manifests["second", True] == manifests["third", True]
    assert manifests["second", False] == manifests["first", False]
    assert manifests["third", False] != manifests["first", False]
