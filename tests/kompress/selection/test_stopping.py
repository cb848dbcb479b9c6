from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import StopConfig
from kompress.selection.stopping import RoundFacts, decide
from kompress.stop_reason import Converged, Drifted, LimitReached

PLATEAU = RoundFacts(
    number=0,
    f1_gold=0.8,
    decision_at_target=0.6,
    fact_at_target=0.7,
    exact_at_target=0.9,
    mk_in_ref_raw=0.7,
    override_delta=0.005,
    keep_rate=0.75,
    usd=1.0,
    seconds=100.0,
)
PATIENT = StopConfig(max_rounds=99, patience=2, override_tolerance=0.01)


def history(*changes):
    return [
        replace(PLATEAU, number=number, **change)
        for number, change in enumerate(changes, start=1)
    ]


def test_a_plateau_of_patience_rounds_stops_the_loop_and_says_why():
    reason = decide(history({}, {}, {}), PATIENT)

    assert reason == Converged(
        figures=(
            "f1_gold",
            "decision_at_target",
            "fact_at_target",
            "exact_at_target",
            "mk_in_ref_raw",
        ),
        num_rounds=2,
        target_keep_rate=0.8,
        override_delta=0.005,
        override_tolerance=0.01,
    )


def test_patience_counts_rounds_after_the_best_one():
    assert decide([], PATIENT) is None
    assert decide(history({}), PATIENT) is None
    assert decide(history({}, {}), PATIENT) is None
    assert decide(history({"f1_gold": 0.7}, {}, {}), PATIENT) is None
    assert decide(history({"f1_gold": 0.7}, {}, {}, {}), PATIENT) is not None


@pytest.mark.parametrize(
    "figure",
    ["f1_gold", "decision_at_target", "fact_at_target", "exact_at_target",
     "mk_in_ref_raw"],
)  # fmt: skip
@pytest.mark.parametrize("place", [1, 2])
def test_a_gain_in_any_figure_goes_on(figure, place):
    changes = [{}, {}, {}]
    changes[place] = {figure: 0.95}

    assert decide(history(*changes), PATIENT) is None


def test_a_rise_that_only_regains_the_best_is_no_gain():
    rounds = history({"f1_gold": 0.9}, {"f1_gold": 0.7}, {"f1_gold": 0.85})

    assert isinstance(decide(rounds, PATIENT), Converged)


@pytest.mark.parametrize(
    "last",
    [
        {"override_delta": 0.011},  # the student still leans on the override
        {"override_delta": None},
        {"keep_rate": 0.81},  # it keeps too much to call this the end
        {"keep_rate": None},
        {"f1_gold": None},  # gold vanished: no gain cannot be shown
    ],
)
def test_what_is_missing_or_not_reached_goes_on(last):
    assert decide(history({}, {}, last), PATIENT) is None


def test_every_round_of_the_plateau_has_to_be_at_the_target():
    assert decide(history({}, {"keep_rate": 0.9}, {}), PATIENT) is None
    assert decide(history({"keep_rate": 0.9}, {}, {}), PATIENT) is not None


def test_figures_exactly_at_their_bounds_are_within_them():
    at_bounds = {"keep_rate": 0.8, "override_delta": 0.01}

    assert decide(history(*[at_bounds] * 3), PATIENT) is not None


def test_a_figure_that_was_never_measured_does_not_count():
    without = {"f1_gold": None, "decision_at_target": None, "fact_at_target": None}

    reason = decide(history(*[without] * 3), PATIENT)

    assert reason.figures == ("exact_at_target", "mk_in_ref_raw")


def test_a_loop_without_any_figure_never_converges():
    nothing = dict.fromkeys(
        ("f1_gold", "decision_at_target", "fact_at_target", "exact_at_target",
         "mk_in_ref_raw")
    )  # fmt: skip

    assert decide(history(*[nothing] * 5), PATIENT) is None


def test_a_first_measurement_is_not_a_plateau():
    rounds = history({"f1_gold": None}, {}, {})

    assert decide(rounds, PATIENT) is None


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (StopConfig(max_rounds=2), LimitReached("rounds", 2, 2)),
        (
            StopConfig(max_rounds=9, max_usd=2.0),
            LimitReached("usd", 2.0, 2.0),
        ),
        (
            StopConfig(max_rounds=9, max_seconds=150.0),
            LimitReached("seconds", 200.0, 150.0),
        ),
        (StopConfig(max_rounds=9, max_usd=2.01, max_seconds=201.0), None),
    ],
)
def test_limits_are_compared_with_the_sums_over_all_rounds(config, reason):
    assert decide(history({}, {}), config) == reason


def test_a_limit_of_no_money_lets_a_free_loop_go_on():
    rounds = history({"usd": 0.0}, {"usd": None})

    assert decide(rounds, StopConfig(max_rounds=9, max_usd=0.0)) is None


@pytest.mark.parametrize(("rise", "ends"), [(0.009, True), (0.011, False)])
def test_a_rise_within_min_gain_is_none(rise, ends):
    rounds = history({}, {}, {"f1_gold": 0.8 + rise})

    assert (decide(rounds, PATIENT) is not None) is ends


def test_small_rises_that_add_up_over_the_patience_are_a_gain():
    rounds = history({}, {"f1_gold": 0.808}, {"f1_gold": 0.816})

    assert decide(rounds, PATIENT) is None


def test_rounds_that_the_config_plans_are_run_before_convergence_counts():
    rounds = history({}, {}, {})

    assert decide(rounds, PATIENT, num_planned=4) is None
    assert decide(rounds, PATIENT, num_planned=3) is not None
    limited = PATIENT.model_copy(update={"max_rounds": 3})
    assert decide(rounds, limited, num_planned=4) == LimitReached("rounds", 3, 3)


def test_a_loop_that_only_keeps_more_has_drifted():
    # Seen: keep_rate .89, F1 flat, must-keep words rising with what is kept.
    rounds = history(
        {"keep_rate": 0.7},
        {"keep_rate": 0.85, "mk_in_ref_raw": 0.8, "override_delta": 0.2},
        {"keep_rate": 0.89, "mk_in_ref_raw": 0.9, "override_delta": 0.1},
    )

    assert decide(rounds, PATIENT) == Drifted(
        figures=("f1_gold", "decision_at_target", "fact_at_target"),
        num_rounds=2,
        target_keep_rate=0.8,
        keep_rate=0.89,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"keep_rate": 0.8},  # back at the target
        {"keep_rate": None},
        {"f1_gold": 0.95},
        {"decision_at_target": 0.95},
        {"fact_at_target": None},
    ],
)
def test_a_loop_that_gains_or_keeps_less_has_not_drifted(change):
    rounds = history({}, {"keep_rate": 0.85}, {"keep_rate": 0.89, **change})

    assert decide(rounds, PATIENT) is None


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(1, 3))
def test_convergence_is_exactly_patience_rounds_without_a_new_best(steps, patience):
    rounds = history(*[{"f1_gold": step / 3} for step in steps])
    best_at = steps.index(max(steps))

    reason = decide(rounds, PATIENT.model_copy(update={"patience": patience}))

    assert (reason is not None) == (len(steps) - 1 - best_at >= patience)
