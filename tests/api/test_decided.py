"""Sentences about what rounds decided; `tests/db/test_migrations.py` has old ones."""

import pytest

from api.decided import describe_pilot, describe_promotion, describe_stop, promotion_row
from kompress.decisions import (
    Pilot,
    PilotFinding,
    PromotionReport,
    PromotionTest,
    WorseText,
)
from kompress.stop_reason import (
    Converged,
    Drifted,
    JobFailed,
    LimitReached,
    stop_as_json,
    stop_from_json,
)

WORSE = PilotFinding(
    "hex", 64, 0.5, "b", 1.0, low=-0.5, high=-0.25, collapses=True, silent=16
)


def pilot(overall, *strata, truth="gold", rule="majority"):
    return Pilot(8, truth, rule, overall, strata)


def test_a_pilot_of_too_few_groups_says_so():
    said = describe_pilot(pilot(PilotFinding("all", 90)))

    assert said == (
        "on 8 pilot documents (90 words) too little is known to compare majority with "
        "its voters"
    )


@pytest.mark.parametrize(
    ("truth", "rule", "says"),
    [
        ("gold", "majority", "choose the rule reliability, add calibration gold"),
        ("must_keep", "majority", "by must-keep recall at equal keep_rate"),
        ("gold", "reliability", "to do better, add calibration gold"),
    ],
)
def test_a_collapse_is_told_with_what_to_do(truth, rule, says):
    whole = PilotFinding("all", 90, 0.75, "a", 0.5, low=-0.125, high=0.5)

    said = describe_pilot(pilot(whole, WORSE, truth=truth, rule=rule))

    assert (
        f"hex: {rule} 0.50, b (with {rule} on the 25% it is silent on) 1.00 "
        "(difference -0.50 to -0.25)"
    ) in said
    assert "overall" not in said
    assert says in said


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (PromotionTest("no_student"), "no student was trained"),
        (
            PromotionTest("untested"),
            "no evaluation gold to test on: the last student is promoted untested",
        ),
        (PromotionTest("highest", "7"), "7 has the highest F1, 0.8000"),
        (
            PromotionTest("better", "7"),
            (
                "7 has the highest F1, 0.8000, and beats every earlier student beyond "
                "the 95 % interval"
            ),
        ),
        (
            PromotionTest("too_few_groups", "7", "5", 0.25),
            (
                "7 has the highest F1, 0.8000, but the gold holds one document group, "
                "too few to test it against the earlier 5"
            ),
        ),
        (
            PromotionTest("within_interval", "7", "5", 0.25, -0.125, 0.5),
            (
                "7 has the highest F1, 0.8000, but its lead of 0.2500 over the earlier "
                "5 lies within the 95 % interval -0.1250 to 0.5000"
            ),
        ),
    ],
)
def test_every_outcome_of_a_promotion_has_its_sentence(test, says):
    f1 = {"5": 0.55, "7": 0.8}

    assert describe_promotion(PromotionReport(7, test, f1)) == says


def test_a_promotion_by_decisions_says_at_which_keep_rate():
    report = PromotionReport(
        7,
        PromotionTest("highest", "7"),
        {"7": 0.2},
        figure="decisions",
        target_keep_rate=0.8,
        decisions_validation={"7": 0.75},
    )

    assert describe_promotion(report) == (
        "7 has the highest mean of decision_pct and fact_pct at keep_rate 0.8, 0.7500"
    )


def test_a_promotion_is_laid_out_for_programs():
    report = PromotionReport(
        7,
        PromotionTest("highest", "7"),
        {"7": 0.8},
        0.5,
        num_validation=3,
        num_report=2,
        worse_texts=(WorseText("ab", 0.5, 0.25),),
    )

    assert promotion_row(report) == {
        "promoted": 7,
        "reason": "7 has the highest F1, 0.8000",
        "f1_validation": {"7": 0.8},
        "f1_report": 0.5,
        "figure": "f1",
        "target_keep_rate": None,
        "decisions_validation": {},
        "decisions_report": None,
        "num_validation": 3,
        "num_report": 2,
        "worse_texts": [{"text": "ab", "before": 0.5, "after": 0.25}],
    }
    assert promotion_row(None) == {}
    assert promotion_row(PromotionReport(None, PromotionTest("no_student"))) == {
        "reason": "no student was trained"
    }


@pytest.mark.parametrize(
    ("code", "stop", "says"),
    [
        ("", None, ""),
        ("cancelled", None, "cancelled"),
        ("limit", LimitReached("rounds", 2, 3), "limit on rounds: 2 of 3 are done"),
        (
            "limit",
            LimitReached("usd", 2.006, 2.0),
            "limit on money: 2.01 of 2.00 USD are spent",
        ),
        (
            "limit",
            LimitReached("seconds", 200.4, 150.0),
            "limit on time: 200 of 150 s are used",
        ),
        (
            "failed",
            JobFailed("train", 12, "TrainingFailed: no label", 1),
            "failed: train (job 12): TrainingFailed: no label",
        ),
        (
            "failed",
            JobFailed("teach", 3, "OSError: no network", 4),
            "failed: teach (job 3 and 3 more): OSError: no network",
        ),
        (
            "drifted",
            Drifted(("f1_gold", "decision_at_target"), 2, 0.8, 0.891),
            (
                "drifted: no gain in F1, decision_pct at the target keep_rate for 2 "
                "rounds at keep_rate above 0.8: students only keep more, the last one "
                "0.891"
            ),
        ),
        (
            "converged",
            Converged(("f1_gold", "exact_at_target"), 2, 0.8, 0.005, 0.01),
            (
                "converged: no gain in F1, exact_pct at the target keep_rate for 2 "
                "rounds at keep_rate at most 0.8, and override_delta 0.0050 is within "
                "0.01"
            ),
        ),
        (
            "converged",
            Converged(("mk_in_ref_raw",), 1, 0.8, 0.0, 0.01),
            (
                "converged: no gain in mk_in_ref before override for 1 round at "
                "keep_rate at most 0.8, and override_delta 0.0000 is within 0.01"
            ),
        ),
    ],
)
def test_every_stop_reason_has_its_sentence(code, stop, says):
    assert describe_stop(code, stop) == says
    assert stop is None or stop_from_json(stop_as_json(stop)) == stop
