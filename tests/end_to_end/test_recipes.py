"""Recipes from their files to their students, in one process."""

import copy

import numpy as np
import pytest

from api.intake import ingest
from api.queue import start_loop
from db.queries import candidates, ladder
from db.queries.views import round_summary
from kompress.config import LoopConfig, parse_config
from kompress.corpora.generators import generate
from kompress.recipes.corpus_fit import fit_to_corpus
from kompress.recipes.load import load_recipe, loop_data
from kompress.types import Candidate
from tests.end_to_end.farm import TINY
from tests.worker.inprocess import InProcessFarm
from tests.worker.test_stages import recount

pytestmark = pytest.mark.slow
ACCEPT_ALL = {"min_ratio": 1.0, "min_chars": 0}
WITH_TEACHER = """
follows = "v3"
label_source = "self_label+teacher"
[recipe]
name = "mixed"
parent = "previous"
targets = "soft"
weigh_certainty = true
held_out_share = 0.2
[[recipe.mix]]
source = "gold"
share = 0.25
[[recipe.mix]]
source = "self_label+teacher"
"""


@pytest.fixture
def farm(sessions, tmp_path):
    farm = InProcessFarm(sessions, tmp_path)
    farm.add_documents(24)
    return farm


def shrink(data):
    """The same rounds with the smallest student, on one small suite."""
    small = copy.deepcopy(data)
    num_rounds = len(small["rounds"])
    small["stop"] = {"max_rounds": num_rounds, "patience": num_rounds}
    for changes in small["rounds"]:
        changes["recipe"] |= {"student": TINY, "epochs": 1, "num_threads": 1}
        changes["self_label"] = ACCEPT_ALL
        changes["evaluation"] = {"suites": ["planted"], "num_bootstraps": 10}
        changes["shard_documents"] = 10
    return parse_config(LoopConfig, small)


def run(farm, data):
    with farm.sessions.begin() as session:
        start_loop(session, "loop", "corpus", shrink(data))
    farm.run()
    assert farm.parked() == []


def add_references(farm, num, origin="qa", *, skip=0):
    """Every other word of some texts, as somebody's reference."""
    rows = farm.query(
        "SELECT id, content FROM texts ORDER BY id LIMIT :num OFFSET :skip",
        num=num,
        skip=skip,
    )
    with farm.sessions.begin() as session:
        candidates.store_candidates(
            session,
            [
                (text_id, Candidate(origin, " ".join(content.split()[::2]), None))
                for text_id, content in rows
            ],
        )


def test_v4_runs_without_any_reference_and_labels_itself(farm):
    data, _ = fit_to_corpus(loop_data(load_recipe("v4")), {}, stand_in="salience")

    run(farm, data)

    ((status, promoted),) = farm.query("SELECT status, promoted_student_id FROM loops")
    with farm.sessions() as session:
        rows = ladder.list_versions(session)
        first, second = round_summary(session, "loop")
    assert status == "stopped"
    assert [(row["version"], row["label_source"]) for row in rows] == [
        ("v3", "silver"),
        ("v4", "self_label"),
    ]
    assert promoted in [row["student"] for row in rows]
    assert rows[0]["change"].endswith("; salience for references")
    assert None not in (first["mk_in_ref"], second["mk_in_ref"], second["f1_gold"])
    assert farm.query("SELECT parent_id IS NULL FROM students ORDER BY id") == [
        (True,),
        (False,),
    ]


def test_references_teach_and_a_mix_of_gold_and_teacher_follows(farm, tmp_path):
    add_references(farm, 20)
    path = tmp_path / "mixed.toml"
    path.write_text(WITH_TEACHER)

    run(farm, loop_data(load_recipe(str(path))))

    # Round 1 learns from texts with a reference alone.
    silver = farm.query(
        """SELECT b.text_id, b.mean FROM labels b JOIN rounds r ON r.id = b.round_id
           WHERE r.number = 1 AND b.source = 'silver'"""
    )
    kept = np.concatenate([np.frombuffer(m, "<f2") >= 0.5 for _, m in silver])
    assert 0 < len(silver) <= 20
    # A text that nobody said anything about has no label at all.
    assert (
        farm.query(
            """SELECT array_agg(b.text_id ORDER BY b.text_id) FROM labels b
           JOIN rounds r ON r.id = b.round_id WHERE r.number = 1
           GROUP BY b.source"""
        )
        == [(sorted(text_id for text_id, _ in silver),)] * 2
    )
    assert 0.4 < kept.mean() < 0.6
    ((label_source, trained, config),) = farm.query(
        """SELECT label_source, trained_text_ids, recipe_config FROM students
           WHERE recipe = 'mixed' AND fold = -1"""
    )
    assert label_source == "gold, self_label+teacher"
    assert config["mix"][0]["share"] == 0.25
    assert len(trained) == len(set(trained)) > 2
    # Every count of labels and votes, word by word, with abstentions among them.
    for number in (1, 2):
        stored = [row for row in farm.results("counts")["counts"] if row[0] == number]
        assert sorted(stored) == recount(farm, number)
    made = farm.query(
        """SELECT DISTINCT b.source FROM labels b JOIN rounds r ON r.id = b.round_id
           WHERE r.number = 2 ORDER BY 1"""
    )
    assert made == [("consensus",), ("self_label+teacher",), ("self_label_raw",)]


def test_a_third_of_v8_is_c3_to_a_document(farm):
    add_references(farm, 5, "c3")
    add_references(farm, 19, "qa", skip=5)

    run(farm, loop_data(load_recipe("v8")))

    ((trained, source),) = farm.query(
        "SELECT trained_text_ids, label_source FROM students"
    )
    origins = dict(farm.query("SELECT text_id, origin FROM candidates"))
    num_c3 = sum(origins[text_id] == "c3" for text_id in trained)
    assert source == "corrected"
    assert num_c3 > 0
    assert abs(num_c3 - 0.33 * len(trained)) < 1


def test_v3_2_moves_adapters_of_v3_1s_student(farm):
    add_references(farm, 20, "domain")
    data = loop_data(load_recipe("v3.2"))
    data, _ = fit_to_corpus(data, {"domain": 20}, stand_in="")

    run(farm, data)

    first, second = farm.query(
        """SELECT recipe, parent_id, artifact_hash,
                  recipe_config #>> '{fine_tuning,method}' FROM students ORDER BY id"""
    )
    assert (first[0], first[3]) == ("v3.1", "full")
    assert (second[0], second[3]) == ("v3.2", "lora")
    assert second[1] is not None
    assert first[2] != second[2]


def test_the_same_recipe_gives_the_same_student(farm, sessions):
    """Twice in one farm: the mix, the labels and the weights do not move."""
    data = loop_data(load_recipe("v3"))
    data, _ = fit_to_corpus(data, {}, stand_in="salience")
    ingest(sessions, "other", generate(24, 0))

    run(farm, data)
    with sessions.begin() as session:
        start_loop(session, "again", "other", shrink(data))
    farm.run()

    ((one,), (two,)) = farm.query("SELECT artifact_hash FROM students ORDER BY id")
    assert one == two
