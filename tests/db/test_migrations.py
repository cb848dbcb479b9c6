"""The four tests that pytest-alembic brings; what migrations make of old rows."""

import json

import pytest
from alembic.script import ScriptDirectory
from pytest_alembic.config import Config
from pytest_alembic.tests import (
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.decided import (
    describe_pilot,
    describe_stop,
    promotion_row,
    with_stop_reasons,
)
from db.engine import make_engine
from db.migrate import SCRIPTS, upgrade
from db.queries import loops, views
from kompress.decisions import Calibration, Decisions, GoldRun, from_json

__all__ = [
    "test_model_definitions_match_ddl",
    "test_single_head_revision",
    "test_up_down_consistency",
    "test_upgrade",
]


@pytest.fixture
def alembic_config():
    return Config(config_options={"script_location": str(SCRIPTS)})


@pytest.fixture
def alembic_engine(empty_database_url):
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def script(revision):
    """The module of a migration."""
    return ScriptDirectory(str(SCRIPTS)).get_revision(revision).module


# What a round decided before it was one record, of two rules and a budget.
OLD_PILOT = {
    "documents": 8, "truth": "gold", "rule": "majority", "words": 192, "value": 0.75,
    "best_voter": "a", "best_value": 0.5, "low": -0.125, "high": 0.5,
    "collapses": True, "silent": 0,
    "strata": [
        {
            "stratum": "hex", "words": 64, "value": 0.5, "best_voter": "b",
            "best_value": 1.0, "low": -0.5, "high": -0.25, "collapses": True,
            "silent": 0,
        }
    ],
    "sentence": "on 8 pilot documents (192 words) majority does worse than its best "
    "voter, by balanced accuracy on calibration gold: hex: majority 0.50, b alone 1.00 "
    "(difference -0.50 to -0.25). The round goes on; to do better, choose the rule "
    "reliability, add calibration gold (`farm gold add`), or leave out voters that are "
    "wrong there, and start another loop: the answers are stored",
}  # fmt: skip
OLD_DIVERSITY = {
    "num_voters": 2, "voters": ["a", "b"], "truth": "gold", "num_words": 9,
    "num_gold_words": 4, "alpha": 0.5, "alpha_soft": None, "n_eff": 1.5,
    "n_eff_low": 1.0, "n_eff_high": 2.0, "mean_correlation": 0.25,
    "num_unidentified": 0, "copies": [["a", "b", 0.97]], "identical": [],
    "strata": [["hex", 9, 4]], "error": 0.5, "shared_bias": 0.125,
    "shared_variance": 0.25, "own_variance": 0.125, "variance": 0.375,
    "num_split_words": 4,
    "gains": [
        {
            "voter": "a", "bits": 0.5, "bits_low": None, "bits_high": None,
            "num_words": 4, "sensitivity": 0.75, "specificity": 0.5,
            "bits_of_another": 0.25,
        }
    ],
}  # fmt: skip
OLD_PROMOTION = {
    "promoted": 5,
    "reason": "7 has the highest F1, 0.8012, but its lead of 0.0256 over the earlier 5 "
    "lies within the 95 % interval -0.1250 to 0.5000",
    "f1_validation": {"5": 0.7756, "7": 0.80123},
    "f1_report": 0.5,
    "num_validation": 3,
    "num_report": 2,
    "worse_texts": [{"text": "ab", "before": 0.5, "after": 0.25}],
}
OLD = {
    "voters": {"a": 1, "b": 2},
    "quarantined": ["b"],
    "selection": {"num_population": 10, "num_expected": 4.5, "num_selected": 4,
                  "num_random_slice": 1, "residuals_known": 0, "influences_known": 0},
    "evidence": {
        "totals": {"num_documents": 4, "is_certain": True, "gold_words": 1,
                   "slice_words": 2, "all_words": 3},
        "gold_runs": [["ann", 1, 3]],
        "lesson_gold_runs": [["ann", 1, 9]],
    },
    "pilot": OLD_PILOT,
    "escalation_2": {"threshold_bits": 0.5, "num_documents": 3, "num_gold": 1},
    "escalation_3": {
        "unit": "words", "budget": 9.0, "spent": 8.0, "gain_bits": 0.25,
        "num_documents": 3, "num_calls": {"a": 2}, "num_replicates": 1,
        "least_bits_per_dollar": None, "num_gold": 1, "voters": {"0": {"a": 2}},
    },
    "calibration": {"a": {"temperature": 2.0, "strength": 0.5, "num_words": 40,
                          "gold": True}},
    "fit": {
        "documents": "all", "share": 1.0, "gold_share": 0.5,
        "num_words_available": 100, "num_gold_words_available": 50, "rules": ["beta"],
        "num_patterns": 7, "num_words": 100, "num_gold_words": 25, "gold": True,
    },
    "reliability": {"a": {"all": [0.75, 0.5]}},
    "fallback": {},
    "diversity": OLD_DIVERSITY,
    "residual_model": {"num_measured": 9, "predicted_by": "mean", "r2": None,
                       "rank_correlation": None},
    "promotion": OLD_PROMOTION,
    "budget": {"max_usd": 2.0, "spent_usd": 1.5, "refused_requests": {"a": 1}},
}  # fmt: skip


@pytest.fixture
def migrate(empty_database_url):
    """Upgrade a database to before a revision, run statements, upgrade to the end."""
    engine = make_engine(empty_database_url)

    def run(revision, *statements, **values):
        upgrade(empty_database_url, revision)
        with Session(engine) as session, session.begin():
            session.execute(
                text("""
                    WITH corpus AS (
                        INSERT INTO corpora (name) VALUES ('c') RETURNING id
                    ), loop AS (
                        INSERT INTO loops (name, corpus_id, corpus_seq, config)
                        SELECT 'old', id, 0, '{}' FROM corpus RETURNING id
                    )
                    INSERT INTO rounds (loop_id, number, config)
                    SELECT id, number, '{}' FROM loop, generate_series(1, 2) AS number
                """)
            )
            for statement in statements:
                session.execute(text(statement), values)
        upgrade(empty_database_url)
        return Session(engine)

    yield run
    engine.dispose()


def test_rounds_of_before_the_record_show_the_same(migrate):
    with migrate(
        "0008",
        "UPDATE rounds SET decisions = CAST(:old AS jsonb) WHERE number = 1",
        old=json.dumps(OLD),
    ) as session:
        loop = loops.get_loop(session, "old")
        first, second = loops.rounds_of(session, loop.id)
        (seen,) = views.ensemble_diversity(session, "old")
        made = loops.read_round(session, first.id).decisions

    assert second.decisions == Decisions()
    assert describe_pilot(made.pilot) == OLD_PILOT["sentence"]
    assert [one.stratum for one in made.pilot.collapsed] == ["hex"]
    shown = promotion_row(made.promotion)
    assert {**shown, **OLD_PROMOTION} == shown
    assert shown["figure"] == "f1"
    assert {name: seen[name] for name in seen.keys() & OLD_DIVERSITY.keys()} == {
        name: OLD_DIVERSITY[name] for name in seen.keys() & OLD_DIVERSITY.keys()
    }
    assert {"num_voters", "variance", "error"} <= seen.keys()
    assert made.diversity.leave_one_out[0].bits_of_another == 0.25
    assert made.escalations[2].threshold_bits == 0.5
    assert made.escalations[3].asked == {0: {"a": 2}}
    assert made.escalations[3].spending.spent == 8.0
    assert made.evidence.corpus_gold_runs == (GoldRun("ann", 1, 9),)
    assert made.calibration == {"a": Calibration(2.0, 0.5, 40)}
    assert (made.voters, made.quarantined) == (OLD["voters"], ("b",))
    assert (made.fallback, made.influence_model) == ({}, None)
    assert made.budget.refused_requests == {"a": 1}


@pytest.mark.parametrize(
    "reason",
    [
        "no evaluation gold to test on: the last student is promoted untested",
        "7 has the highest F1, 0.8012",
        (
            "7 has the highest F1, 0.8012, and beats every earlier student beyond the "
            "95 % interval"
        ),
        (
            "7 has the highest F1, 0.8012, but the gold holds one document group, too "
            "few to test it against the earlier 5"
        ),
        OLD_PROMOTION["reason"],
    ],
)
def test_the_reason_of_an_old_promotion_stays(reason):
    old = {"promotion": OLD_PROMOTION | {"reason": reason}}

    made = from_json(script("0009").rewrite(old)).promotion

    assert promotion_row(made)["reason"] == reason


def test_an_old_loop_without_a_student_says_so():
    old = {"promotion": {"reason": "no student was trained"}}

    made = from_json(script("0009").rewrite(old)).promotion

    assert promotion_row(made) == old["promotion"]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("limit on rounds: 2 of 2 are done", "limit"),
        ("limit on money: 2.01 of 2.00 USD are spent", "limit"),
        ("limit on time: 200 of 150 s are used", "limit"),
        (
            (
                "converged: no gain in F1, exact_pct at the target keep_rate, "
                "mk_in_ref before override for 2 rounds at keep_rate at most 0.8, and "
                "override_delta -0.0050 is within 0.01"
            ),
            "converged",
        ),
        (
            (
                "converged: no gain in mk_in_ref before override for 1 round at "
                "keep_rate at most 0.75, and override_delta 0.0000 is within 0"
            ),
            "converged",
        ),
        ("cancelled", "cancelled"),
        ("enough", "enough"),
    ],
)
def test_an_old_stop_reason_is_told_in_the_same_words(migrate, reason, code):
    with migrate(
        "0009",
        "UPDATE rounds SET stop_reason = :reason WHERE number = 2",
        "UPDATE loops SET stop_reason = :reason",
        reason=reason,
    ) as session:
        loop = loops.get_loop(session, "old")
        first, second = loops.rounds_of(session, loop.id)
        summary = views.round_summary(session, "old")
        told = with_stop_reasons(summary, loops.list_stops(session, loop.id))

    assert (first.stop_reason, first.stop) == ("", None)
    for row in (loop, second):
        assert row.stop_reason == code
        assert describe_stop(row.stop_reason, row.stop) == reason
    assert [row["stop_reason"] for row in summary] == ["", code]
    assert [row["stop_reason"] for row in told] == ["", reason]
