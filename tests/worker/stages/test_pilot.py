from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from db.queries import jobs, records
from db.queries import voters as voter_rows
from tests.worker.fake_transport import refuses
from tests.worker.learning import add_late_gold, forget_half_of_the_gold
from tests.worker.panels import (
    collapsing_voters,
    healthy_voters,
    pilot_of,
    start_panel,
)
from tests.worker.pilots import (
    config_of,
    each_sighted_on_one_stratum,
    find,
    healthy,
    inputs_of,
)
from worker.relay import recount
from worker.stages import pilot
from worker.stages.select import count_pilot


def test_a_majority_of_voters_that_each_see_one_stratum_is_warned_of():
    found = find(each_sighted_on_one_stratum())

    # The majority drops everything: (0 + 1) / 2. A voter keeps a third of the words to
    # keep: (1/3 + 1) / 2; the first one wins the tie.
    assert (found["documents"], found["words"]) == (8, 192)
    assert (found["truth"], found["rule"]) == ("gold", "majority")
    assert (found["value"], found["best_voter"]) == (0.5, "a")
    assert found["best_value"] == pytest.approx(2 / 3)
    assert found["high"] == pytest.approx(0.5 - 2 / 3)
    assert found["collapses"]
    by_stratum = {row["stratum"]: row for row in found["strata"]}
    assert list(by_stratum) == ["plain", "hex", "number"]
    for stratum, voter in zip(by_stratum, "abc", strict=True):
        row = by_stratum[stratum]
        assert (row["words"], row["value"], row["best_voter"]) == (64, 0.5, voter)
        assert (row["low"], row["high"], row["collapses"]) == (-0.5, -0.5, True)
    assert "on 8 pilot documents (192 words) majority does worse" in found["sentence"]
    assert "hex: majority 0.50, b alone 1.00 (difference -0.50" in found["sentence"]
    assert "choose the rule reliability, add calibration gold" in found["sentence"]


@pytest.mark.parametrize("with_gold", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_panel_is_not_warned_of(seed, with_gold):
    found = find(healthy(seed, with_gold=with_gold))

    assert found["truth"] == ("gold" if with_gold else "must_keep")
    assert found["words"] == 1200
    assert found["value"] > found["best_value"]
    assert not found["collapses"]
    assert "does not do worse" in found["sentence"]


def test_without_gold_a_collapse_shows_in_must_keep_recall_at_equal_keep_rate():
    # Words 1 to 3 are must-keep, 4 to 7 plain. a, b and c keep three plain words, d the
    # must-keep words.
    text_NM = 254 * np.array([[0, 0, 0, 1]] * 3 + [[1, 1, 1, 0]] * 3 + [[0] * 4])
    stratum_GN = np.tile([1, 1, 1, 0, 0, 0, 0], (10, 1))

    found = find(inputs_of(stratum_GN, np.tile(text_NM, (10, 1, 1))))

    # The majority keeps three words of each text, all plain; d's best three are right.
    assert (found["truth"], found["words"]) == ("must_keep", 70)
    assert (found["value"], found["best_value"]) == (0.0, 1.0)
    assert (found["best_voter"], found["collapses"]) == ("d", True)
    assert [row["stratum"] for row in found["strata"]] == ["hex"]
    assert "must-keep recall at equal keep_rate" in found["sentence"]


def test_without_gold_whoever_keeps_everything_is_not_the_best():
    inputs = healthy(0, num_voters=4, with_gold=False)
    votes = np.full((20, 60, 1), 254)
    # Four voters right at .8, and a fifth whose own must-keep recall is 1.
    stratum_GN = inputs.panel.stratum_W.reshape(20, 60)
    others = (254 * inputs.panel.p_WM).astype(int).reshape(20, 60, 4)

    found = find(inputs_of(stratum_GN, np.concatenate([others, votes], axis=2)))

    assert found["best_voter"] in set("abcd")
    assert found["best_value"] < 0.9
    assert not found["collapses"]


def test_near_copies_are_not_warned_of_because_one_of_them_had_luck():
    num_lucky = num_warned = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        truth_GN = rng.integers(0, 2, (8, 25))
        base_GN = np.where(rng.random((8, 25)) < 0.85, truth_GN, 1 - truth_GN)
        flip_GNM = rng.random((8, 25, 8)) < 0.05
        vote_GNM = 254 * (base_GN[:, :, None] ^ flip_GNM)
        stratum_GN = rng.integers(0, 4, (8, 25))
        found = find(inputs_of(stratum_GN, vote_GNM, truth_GN=truth_GN))
        rows = found["strata"]
        num_lucky += sum(row["value"] < row["best_value"] for row in rows)
        num_warned += sum(row["collapses"] for row in rows)

    # Of 100 strata some copy looks better in a third, and it means nothing.
    assert num_lucky > 30
    assert num_warned <= 2


def test_a_rule_that_learns_is_not_measured_by_the_gold_that_it_learned_from():
    # a is right, but in the first text; there b would say so, as in no other text.
    truth_GN = np.array([[1] * 16] + [[1, 0] * 8] * 9)
    vote_GNM = np.array([[[0, 254]] * 16] + [[[254, 9], [0, 9]] * 8] * 9)
    stratum_GN = np.zeros((10, 16))

    found = find(inputs_of(stratum_GN, vote_GNM, truth_GN=truth_GN, rule="stacking"))

    # It drops the first text as a does: (72 / 88 + 1) / 2.
    assert found["words"] == 160
    assert found["value"] == pytest.approx((72 / 88 + 1) / 2)


@pytest.mark.parametrize("rule", ["stacking", "reliability"])
def test_a_rule_that_learns_is_not_warned_of_where_majority_collapses(rule):
    found = find(each_sighted_on_one_stratum(rule=rule))

    # From the other groups' gold it learns whom to believe where.
    assert found["value"] == 1.0
    assert not found["collapses"]


def test_a_voter_that_speaks_of_what_is_easy_alone_is_no_reason_to_warn():
    # Each text has ten easy words and thirty hard ones. a, b and c are right on the
    # easy ones; of the hard ones each is wrong on every third, so two of them are right
    # everywhere. d votes on the easy ones alone, and is right.
    truth_GN = np.tile([1, 0], (10, 20))
    right_NM = np.ones((40, 4), dtype=bool)
    for voter in range(3):
        right_NM[10 + voter :: 3, voter] = False
    right_NM[10:30:6, 1] = False  # now b and a are wrong on four words at once
    vote_GNM = 254 * np.where(right_NM, truth_GN[:, :, None], 1 - truth_GN[:, :, None])
    vote_GNM[:, 10:, 3] = 255

    found = find(inputs_of(np.zeros((10, 40)), vote_GNM, truth_GN=truth_GN))

    # In the rule's place d is as good as the rule; by its own words it would be better
    # by a tenth of words, in each text.
    assert (found["best_voter"], found["value"]) == ("d", found["best_value"])
    assert (found["low"], found["high"], found["collapses"]) == (0, 0, False)
    assert found["value"] == pytest.approx((1 + 16 / 20) / 2)
    assert found["silent"] == 300


def test_a_warning_says_who_decides_where_the_best_voter_is_silent():
    # d sees every hex word, and says nothing of the plain ones; the others drop all.
    truth_GN = np.tile([1, 0], (8, 10))
    vote_GNM = np.zeros((8, 20, 4), dtype=int)
    vote_GNM[:, :, 3] = 254 * truth_GN
    vote_GNM[:, 15:, 3] = 255
    stratum_GN = np.tile([1] * 15 + [0] * 5, (8, 1))

    found = find(inputs_of(stratum_GN, vote_GNM, truth_GN=truth_GN))

    # Of ten words to keep d keeps eight: (.8 + 1) / 2. Three of its words of hex are 15
    # of 20: the rule decides a quarter.
    assert (
        "overall: majority 0.50, d (with majority on the 25% it is silent on) 0.90 "
        "(difference -0.40 to -0.40)"
    ) in found["sentence"]
    assert "hex: majority 0.50, d alone 1.00" in found["sentence"]


@pytest.mark.parametrize("columns", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize(("num_drop", "is_said"), [(1, False), (3, False), (4, True)])
def test_the_order_of_voters_makes_no_warning(columns, num_drop, is_said):
    # Ten texts of twenty words to keep, some with one to drop in place of one. Two
    # voters keep everything; the third drops what is to drop and every tenth word.
    truth_GN = np.ones((10, 20), dtype=int)
    truth_GN[:num_drop, 7] = 0
    vote_GNM = np.full((10, 20, 3), 254)
    vote_GNM[:num_drop, 7, 2] = 0
    vote_GNM[:, ::10, 2] = 0

    found = find(
        inputs_of(np.zeros((10, 20)), vote_GNM[:, :, columns], truth_GN=truth_GN)
    )

    # With four texts: .5 beside ((196 - 20) / 196 + 1) / 2, whatever its column.
    assert found["collapses"] is is_said
    if is_said:
        assert found["best_value"] == pytest.approx((176 / 196 + 1) / 2)
    else:
        assert (found["value"], found["low"]) == (None, None)


def test_of_three_groups_nothing_is_said():
    inputs = each_sighted_on_one_stratum()
    few = replace(inputs, group_of={t: f"g{t % 3}" for t in range(8)})

    found = find(few)

    assert (found["value"], found["collapses"], found["strata"]) == (None, False, [])
    assert "too little is known" in found["sentence"]


@pytest.mark.parametrize(
    ("changes", "num_documents"),
    [
        ({}, 20),
        ({"aggregation": {"pilot_documents": 3}}, 3),
        ({"aggregation": {"pilot_documents": 0}}, 0),
        ({"voters": [{"name": "s", "kind": "simulated"}]}, 0),
        ({"voters": [{"name": n, "kind": "simulated"} for n in "xy"]}, 0),
        ({"protocol": "pairwise"}, 0),
        ({"protocol": "both"}, 20),
    ],
)
def test_a_pilot_is_worth_it_where_somebody_costs_and_somebody_may_be_better(
    changes, num_documents
):
    voters = [{"name": "t", "kind": "teacher"}, {"name": "s", "kind": "simulated"}]
    judges = {"judges": [{"name": "j", "kind": "teacher"}]}
    config = config_of((), **({"voters": voters, "pairwise": judges} | changes))

    assert count_pilot(config) == num_documents


def test_a_teacher_alone_needs_no_pilot():
    assert count_pilot(config_of((), voters=[{"name": "t", "kind": "teacher"}])) == 0


@pytest.mark.slow  # runs a loop
def test_a_round_that_would_collapse_is_warned_of_goes_on_and_pays_nothing_twice(farm):
    transport = start_panel(farm, collapsing_voters(), pilot_documents=12)
    farm.run(until="pilot")
    num_pilot = len(transport.asked)

    farm.run(until="self_label")

    assert farm.parked() == []
    found = pilot_of(farm)
    assert (found["documents"], found["truth"]) == (12, "gold")
    assert found["collapses"]
    by_stratum = {row["stratum"]: row for row in found["strata"]}
    assert by_stratum["plain"]["best_voter"] == "a"
    assert by_stratum["plain"]["collapses"]
    ((loop_id,),) = farm.query("SELECT id FROM loops")
    with farm.sessions() as session:
        events = records.list_events(session, loop_id)
    (event,) = [event for event in events if event.kind == "pilot_warned"]
    assert event.detail == {"round": 1}
    # Twelve documents were asked about before the pilot, and each document once in all.
    assert num_pilot == 12
    ((num_documents,),) = farm.query("SELECT count(*) FROM selections")
    assert len(transport.asked) == num_documents > 12
    # The judge sees in SQL what was foretold.
    assert farm.query(
        """SELECT collapsed, best_voter FROM ensemble_paradox
           WHERE rule = 'majority' AND stratum = 'plain' AND truth = 'gold'"""
    ) == [(True, "a")]
    # And the stage fit, which had more gold, let the sighted voters decide.
    ((fallback,),) = farm.query("SELECT decisions -> 'fallback' FROM rounds")
    assert fallback["plain"]["voter"] == "a"
    assert farm.query(
        """SELECT collapsed, balanced_accuracy FROM ensemble_paradox
           WHERE rule = 'majority+fallback' AND stratum = 'plain'"""
    ) == [(False, 1.0)]


@pytest.mark.slow  # runs a loop
def test_what_a_teacher_could_not_answer_in_the_pilot_is_not_asked_again(farm):
    transport = start_panel(
        farm, collapsing_voters(), answer=refuses(is_transient=False)
    )

    farm.run(until="count")

    assert farm.parked() == []
    ((num_documents,),) = farm.query("SELECT count(*) FROM selections")
    assert len(transport.asked) == num_documents
    assert farm.query("SELECT DISTINCT stage, count(*) FROM failures GROUP BY 1") == [
        ("teach", num_documents)
    ]
    # Nobody heard it, so it is not the best voter, and the rule is judged without it.
    assert pilot_of(farm)["best_voter"] in set("abcd")


@pytest.mark.slow  # runs a loop
def test_a_healthy_round_is_not_warned_of_nor_falls_back(farm):
    start_panel(farm, healthy_voters())

    farm.run(until="self_label")

    assert farm.parked() == []
    found = pilot_of(farm)
    assert (found["documents"], found["collapses"]) == (20, False)
    assert farm.query("SELECT count(*) FROM events WHERE kind = 'pilot_warned'") == [
        (0,)
    ]
    assert farm.query("SELECT coalesce(decisions -> 'fallback', '{}') FROM rounds") == [
        ({},)
    ]
    assert farm.query(
        "SELECT count(*) FROM ensemble_paradox WHERE collapsed AND rule = 'majority'"
    ) == [(0,)]


PILOT = """
    SELECT d.external_id, d.split,
           EXISTS (SELECT FROM gold g WHERE g.text_id = d.text_id
                   AND g.use = 'calibrate') AS has_gold
    FROM shard_documents s JOIN documents d ON d.id = s.document_id
    WHERE s.wave = 0 ORDER BY 1
"""


@pytest.mark.slow  # runs a loop
def test_pilot_documents_have_gold_if_any_do_and_never_are_for_judging(farm):
    start_panel(farm, collapsing_voters(), pilot_documents=12)
    # Of the train documents, seven keep their gold.
    with farm.sessions.begin() as session:
        session.execute(
            text("DELETE FROM gold WHERE use = 'calibrate' AND text_id NOT IN "
                 "(SELECT text_id FROM gold WHERE use = 'calibrate' "
                 "ORDER BY text_id LIMIT 7)")
        )  # fmt: skip

    farm.run(until="teach")

    rows = farm.query(PILOT)
    assert len(rows) == 12
    assert {split for _, split, _ in rows} == {"train"}
    assert sum(has_gold for _, _, has_gold in rows) == 7


@pytest.mark.slow  # runs a loop
def test_a_round_where_nobody_costs_anything_has_no_pilot(farm):
    start_panel(farm, collapsing_voters()[:4])

    farm.run(until="count")

    assert farm.query("SELECT count(*) FROM jobs WHERE stage = 'pilot'") == [(0,)]
    assert farm.query("SELECT count(*) FROM shard_documents WHERE wave = 0") == [(0,)]
    assert pilot_of(farm) is None


@pytest.mark.slow  # runs a loop
def test_a_voter_in_quarantine_is_not_the_best_of_a_pilot(farm):
    start_panel(farm, collapsing_voters())
    farm.run(until="teach")
    with farm.sessions.begin() as session:
        voter_rows.quarantine(session, "a", on=True)
    recount(farm.sessions)

    farm.run(until="count")

    found = pilot_of(farm)
    assert found["best_voter"] in set("bcdt")
    assert all(row["best_voter"] != "a" for row in found["strata"])


@pytest.mark.slow  # runs a pilot
def test_gold_that_comes_while_a_pilot_runs_changes_nothing_of_it(farm):
    start_panel(farm, collapsing_voters())
    forget_half_of_the_gold(farm)
    farm.run(until="pilot")
    before = decided(farm)

    add_late_gold(farm)

    assert decided(farm) == before
    assert before["truth"] == "gold"


def decided(farm):
    """What an attempt at the pilot's job would decide."""
    ((job_id,),) = farm.query("SELECT id FROM jobs WHERE stage = 'pilot'")
    with farm.sessions() as session:
        inputs = pilot.load(session, jobs.get_job(session, job_id))
    return find(inputs)
