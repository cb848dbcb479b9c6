"""What the views say of a small world; every expected number is worked out by hand."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

import db
from db.models import Job, Round
from db.queries import (
    labels,
    quality,
    records,
    scores,
    selections,
    students,
    views,
)
from kompress.config import AGENT_SUITE, GOLD_SUITE, EvaluationConfig
from kompress.types import CountKey, LabelCounts, RuleStatRow, Score, VoterStatRow

VIEWS = Path(db.__file__).parent / "views"
# Design §5: names and order are the contract.
COLUMNS = {
    "label_quality": "loop, round, source, kind, category, rule_set, rule_version, "
    "num_documents, num_words, num_kept, num_must_keep, num_must_keep_kept, "
    "mk_in_ref, keep_rate",
    "round_summary": "loop, round, status, stop_reason, num_documents, num_failures, "
    "mk_in_ref, mk_in_ref_corpus, mk_in_ref_corpus_se, label_keep_rate, f1_gold, "
    "f1_keep_rate, exact_pct, exact_keep_rate, override_delta, student, usd, seconds",
    "voter_quality": "loop, round, voter, stratum, num_words, truth, sensitivity, "
    "specificity, weight, agreement, ece, diagram",
    "ensemble_paradox": "loop, round, stratum, rule, truth, recall, precision, "
    "keep_rate, balanced_accuracy, best_voter, best_balanced_accuracy, collapsed",
    "ensemble_diversity": "loop, round, num_voters, n_eff, n_eff_low, n_eff_high, "
    "alpha, truth, num_gold_words, mean_correlation, error, shared_bias, variance, "
    "shared_variance, own_variance, copies, identical",
    "voter_correlation": "loop, round, voter, other, num_words, agreement, "
    "num_gold_words, error_correlation",
    "student_scores": "loop, round, student, suite, stratum, rule_set, definition, "
    "override, target_keep_rate, step, metric, value, ci_low, ci_high, n",
    "queue_depth": "queue, kind, status, jobs, oldest_seconds",
    "round_costs": "loop, round, stage, voter, seconds, input_tokens, output_tokens, "
    "usd_spent, usd_useful",
}


@pytest.mark.parametrize("view", COLUMNS)
def test_a_view_has_the_columns_of_the_contract(session, view):
    found = session.execute(text(f"SELECT * FROM {view}")).keys()

    assert ", ".join(found) == COLUMNS[view]


def add_counts(session, round_id, source, *counts):
    key = CountKey(source, "all", "all", "farm", "2")
    labels.add_label_counts(session, round_id, {key: LabelCounts(*counts)})


def test_a_rate_over_nothing_is_null(session, world):
    add_counts(session, world.round_id, "silver", 2, 10, 4, 0, 0)

    (row,) = views.label_quality(session, "small", 1)

    assert (row["mk_in_ref"], row["keep_rate"]) == (None, 0.4)


def test_rows_are_those_of_the_loop_and_round_asked_for(session, world, add_round):
    second = add_round(session, world, 2)
    for round_id in (world.round_id, second):
        add_counts(session, round_id, "silver", 2, 10, 4, 2, 1)

    every = views.label_quality(session)
    one = views.label_quality(session, "small", 2)
    assert [row["round"] for row in every] == [1, 2]
    assert [row["round"] for row in one] == [2]
    assert views.label_quality(session, "other") == []


@pytest.mark.parametrize(
    ("trained_on", "mk_in_ref", "keep_rate"),
    [
        ("silver", 0.5, 0.4),
        # The correction is an override: the votes before it, the labels after it.
        ("corrected", 0.5, 0.6),
        ("self_label", 0.25, 0.7),
        ("consensus", 0.75, 0.3),
    ],
)
def test_a_summary_shows_the_labels_trained_on_before_any_override(
    session, world, trained_on, mk_in_ref, keep_rate
):
    round_ = session.get(Round, world.round_id)
    round_.config = {"label_source": trained_on}
    session.flush()
    for source, kept, must_keep_kept in (
        ("silver", 4, 2),
        ("corrected", 6, 4),
        ("consensus", 3, 3),
        ("self_label_raw", 5, 1),
        ("self_label", 7, 4),
    ):
        add_counts(session, world.round_id, source, 2, 10, kept, 4, must_keep_kept)

    (row,) = views.round_summary(session, "small")

    assert (row["mk_in_ref"], row["label_keep_rate"]) == (mk_in_ref, keep_rate)


def test_the_corpus_estimate_undoes_the_sampling(session, world):
    a, b, c = world.document_ids
    selections.store_selections(
        session,
        world.round_id,
        [(a, "train", False, 0.5), (b, "train", False, 1.0), (c, "audit", False, 1.0)],
    )
    quality.set_selection_counts(
        session, world.round_id, {a: (4, 2), b: (4, 4), c: (9, 0)}
    )

    (row,) = views.round_summary(session, "small", 1)

    # Sum k/pi = 2/.5 + 4 = 8, sum t/pi = 4/.5 + 4 = 12: R = 2/3. Audit stays outside.
    # se^2 = 2/1 * (1 - .5) * ((2 - 2/3 * 4) / .5)^2 / 12^2 = (4/3)^2 / 144.
    assert row["num_documents"] == 2
    assert row["mk_in_ref_corpus"] == pytest.approx(2 / 3, abs=1e-12)
    assert row["mk_in_ref_corpus_se"] == pytest.approx((4 / 3) / 12, abs=1e-12)


def test_a_summary_shows_the_main_students_own_threshold(session, world):
    student = students.NewStudent(
        world.round_id, "tiny", 0, "silver", "a", "c", "m", [], 1, 1
    )
    fold = students.store_student(session, replace(student, fold=0))
    main = students.store_student(session, student)
    agent = Score("agent", "all", "exact_pct", 0.5, 10, rule_set="farm")
    wanted = [
        agent,
        replace(agent, metric="keep_rate", value=0.25, rule_set=""),
        replace(agent, metric="override_delta", value=0.125, override="headroom-0.42"),
        replace(agent, suite="planted", metric="f1", value=0.75, rule_set=""),
        replace(agent, suite="planted", metric="keep_rate", value=0.375, rule_set=""),
    ]
    others = [
        replace(agent, value=1.0, target_keep_rate=0.5),
        replace(agent, value=1.0, stratum="hex"),
        replace(agent, value=1.0, rule_set="kompress-r0"),
        replace(agent, value=1.0, override="farm"),
        replace(agent, value=1.0, definition="substring"),
        replace(agent, value=1.0, text_sha256=world.digests[0].hex()),
    ]
    scores.store_scores(
        session, world.round_id, "student", str(main), main, wanted + others
    )
    ones = [replace(score, value=1.0) for score in wanted]
    scores.store_scores(session, world.round_id, "student", str(fold), fold, ones)

    (row,) = views.round_summary(session, "small", 1)

    assert row["student"] == main
    assert (row["exact_pct"], row["exact_keep_rate"]) == (0.5, 0.25)
    assert (row["f1_gold"], row["f1_keep_rate"]) == (0.75, 0.375)
    assert row["override_delta"] == 0.125
    # Rows about one text are not in student_scores; those of both students are.
    listed = views.student_scores(session, "small")
    assert len(listed) == len(wanted) * 2 + len(others) - 1


def test_a_summary_measures_by_the_rule_sets_of_the_rounds_config(session, world):
    row = session.get(Round, world.round_id)
    evaluation = {"rule_set": "kompress-r0", "override": "farm"}
    row.config = {**row.config, "evaluation": evaluation}
    student = students.NewStudent(
        world.round_id, "tiny", 0, "silver", "a", "c", "m", [], 1, 1
    )
    main = students.store_student(session, student)
    exact = Score("agent", "all", "exact_pct", 0.5, 10, rule_set="kompress-r0")
    delta = replace(exact, metric="override_delta", value=0.125, override="farm")
    rows = [
        exact,
        replace(exact, value=1.0, rule_set="farm"),
        delta,
        replace(delta, value=1.0, rule_set="farm"),
        replace(delta, value=1.0, override="headroom-0.42"),
    ]
    scores.store_scores(session, world.round_id, "student", str(main), main, rows)

    (found,) = views.round_summary(session, "small", 1)

    assert (found["exact_pct"], found["override_delta"]) == (0.5, 0.125)


def test_what_a_summary_takes_for_granted_are_the_configs_constants():
    sql = (VIEWS / "round_summary_v02.sql").read_text()
    defaults = EvaluationConfig()

    assert set(re.findall(r"suite = '(\w+)'", sql)) == {GOLD_SUITE, AGENT_SUITE}
    assert f"rule_set}}', '{defaults.rule_set}')" in sql
    assert f"override}}', '{defaults.override}')" in sql


def test_costs_are_summed_by_stage_and_voter(session, world, add_job):
    teach = add_job(session, world, "teach", voter="salience")
    more = add_job(session, world, "teach", voter="salience", shard=1)
    train = add_job(session, world, "train")
    for job_id, kind, spent, useful in (
        (teach, "usd", 0.5, 0.25),
        (teach, "input_tokens", 100, 100),
        (more, "usd", 0.25, 0.25),
        (train, "seconds", 8, 8),
    ):
        records.add_cost(session, job_id, 1, kind, spent, useful)
    records.add_failures(
        session, [(world.text_ids[0], None, "teach", 1, world.round_id, "x")]
    )

    taught, trained = views.round_costs(session, "small", 1)
    (summary,) = views.round_summary(session, "small", 1)

    assert (taught["voter"], taught["usd_spent"], taught["usd_useful"]) == (
        "salience",
        0.75,
        0.5,
    )
    assert (taught["input_tokens"], taught["output_tokens"]) == (100, 0)
    assert (trained["stage"], trained["seconds"]) == ("train", 8.0)
    assert (summary["usd"], summary["num_failures"]) == (0.75, 1)


def test_voters_are_rated_against_each_truth(session, world):
    row = VoterStatRow("a", "all", "gold", 3, 1, 2, 6, 5, 20, [0] * 256, [0] * 256)
    without = replace(row, truth="leave_one_out")
    quality.add_voter_stats(session, world.round_id, [row, without])

    gold, left_out = views.voter_quality(session, "small", 1)

    # 3 of 4 kept, 6 of 8 dropped, 5 of 20 equal; 12 words have a truth.
    assert (gold["sensitivity"], gold["specificity"]) == (0.75, 0.75)
    assert (gold["agreement"], gold["num_words"]) == (0.25, 12)
    assert left_out["num_words"] == 20


def test_an_ensemble_collapses_when_the_whole_interval_is_below_its_best_voter(
    session, world
):
    row = RuleStatRow("beta", "all", "gold", 3, 1, 2, 6, "a", 0.875, -0.2, -0.1)
    rows = [
        row,
        replace(row, rule="majority", difference_high=0.1),
        replace(row, truth="must_keep", difference_high=None),
    ]
    quality.store_rule_stats(session, world.round_id, rows)

    beta, majority, must_keep = views.ensemble_paradox(session, "small", 1)

    # Recall 3/4, precision 3/5, kept 5 of 12, balanced (3/4 + 6/8) / 2.
    assert (beta["recall"], beta["precision"]) == (0.75, 0.6)
    assert beta["keep_rate"] == pytest.approx(5 / 12)
    assert (beta["balanced_accuracy"], beta["best_balanced_accuracy"]) == (0.75, 0.875)
    assert (beta["collapsed"], majority["collapsed"]) == (True, False)
    assert (must_keep["recall"], must_keep["collapsed"]) == (0.75, False)
    assert (must_keep["precision"], must_keep["balanced_accuracy"]) == (None, None)


def test_the_queue_shows_what_waits_runs_or_is_parked(session, world, add_job):
    for shard, status in enumerate(("pending", "pending", "running", "done")):
        add_job(session, world, "teach", shard=shard, status=status)
    session.execute(
        text(
            "UPDATE jobs SET created_at = now() - interval '9 s', "
            "run_after = now() - interval '5 s' WHERE shard = 1"
        )
    )

    pending, running = views.queue_depth(session)

    assert (pending["queue"], pending["kind"], pending["jobs"]) == ("cpu", "teach", 2)
    assert pending["oldest_seconds"] == 5.0
    assert (running["status"], running["jobs"]) == ("running", 1)


def test_sums_do_not_depend_on_the_order_of_rows(session, build_world):
    # As float8, their sum is 2.4 from the left and 2.4000000000000004 from the right.
    shares = [0.5, 0.5, 0.3, 0.4, 0.3, 0.4]
    found = []
    for name, order in (("one", shares), ("other", shares[::-1])):
        world = build_world(session, num_texts=len(shares), name=name)
        drawn = list(zip(world.document_ids, order, strict=True))
        selections.store_selections(
            session,
            world.round_id,
            [(document, "train", False, share) for document, share in drawn],
        )
        quality.set_selection_counts(
            session,
            world.round_id,
            {document: (7, round(share * 10) % 7) for document, share in drawn},
        )
        job_id = add_paying_job(session, world)
        for attempt, share in enumerate(order):
            session.execute(
                text("INSERT INTO costs VALUES (:job, :attempt, 'usd', :usd, :usd)"),
                {"job": job_id, "attempt": attempt, "usd": share},
            )
        (summary,) = views.round_summary(session, name, 1)
        (costs,) = session.execute(
            text("SELECT usd_spent, usd_useful FROM round_costs WHERE loop = :name"),
            {"name": name},
        )
        names = ("mk_in_ref_corpus", "mk_in_ref_corpus_se", "usd")
        found.append([*(summary[key] for key in names), *costs])

    assert found[0] == found[1]
    assert found[0][2:] == [2.4, 2.4, 2.4]


def add_paying_job(session, world):
    job = Job(round_id=world.round_id, stage="teach", queue="teach.x", voter="x")
    session.add(job)
    session.flush()
    return job.id
