import numpy as np
import pytest

from kompress.config import StopConfig
from kompress.decisions import PromotionReport, PromotionTest
from kompress.labelling.conclusion import find_stop_reason, promote_student
from kompress.selection.promotion import in_validation_half
from kompress.types import Score


def summary(number, exact, *, f1=0.5):
    """A round that kept few enough words, and its exact_pct at two keep_rates."""
    row = {
        "round": number,
        "f1_gold": f1,
        "mk_in_ref": 0.9,
        "override_delta": 0.0,
        "exact_keep_rate": 0.5,
        "usd": 1.0,
        "seconds": 2.0,
    }
    scores = [
        Score("agent", "all", "exact_pct", 0.99, 9, override="farm"),
        Score("agent", "all", "exact_pct", 0.98, 9, target_keep_rate=0.3),
        Score("agent", "all", "exact_pct", exact, 9, target_keep_rate=0.85),
    ]
    return row, scores


CONFIG = StopConfig(patience=1, max_rounds=9, target_keep_rate=0.85)


def test_a_loop_converges_by_the_figure_at_the_target_keep_rate():
    same = find_stop_reason([summary(1, 0.7), summary(2, 0.7)], CONFIG)

    assert same is not None
    assert find_stop_reason([summary(1, 0.7), summary(2, 0.8)], CONFIG) is None
    assert find_stop_reason([summary(1, 0.7)], CONFIG) is None


def scores(tp, fp, fn, names):
    """The same counts on every text."""
    return [
        score
        for name in names
        for score in (
            Score("planted", "all", "precision", tp / (tp + fp), tp + fp,
                  text_sha256=name),
            Score("planted", "all", "recall", tp / (tp + fn), tp + fn,
                  text_sha256=name),
        )
    ]  # fmt: skip


def test_the_better_student_is_promoted_and_reported_on_the_other_half():
    names = [f"text{n}" for n in range(20)]
    groups = {name: f"group of {name}" for name in names}
    validation = [name for name in names if in_validation_half(groups[name])]
    assert 0 < len(validation) < 20

    report = promote_student(
        {3: scores(2, 8, 8, names), 5: scores(8, 2, 2, names)},
        groups,
        np.random.default_rng(0),
        target_keep_rate=0.8,
    )

    assert report.promoted == 5
    # F1 = 2 * 8 / (2 * 8 + 2 + 2), of the first student 4 / 20.
    assert report.f1_report == pytest.approx(0.8)
    assert report.f1_validation == pytest.approx({"3": 0.2, "5": 0.8})
    assert report.num_validation == len(validation)
    assert report.num_report == 20 - len(validation)
    assert report.worse_texts == ()


def test_texts_that_one_student_was_not_scored_on_are_left_out():
    names = ["a", "b", "c"]
    groups = dict.fromkeys(names, "one group")

    report = promote_student(
        {3: scores(2, 8, 8, names), 5: scores(8, 2, 2, names[:2])},
        groups,
        np.random.default_rng(0),
        target_keep_rate=0.8,
    )

    assert report.num_validation + report.num_report == 2


def test_without_a_student_nothing_is_promoted():
    report = promote_student({}, {}, np.random.default_rng(0), target_keep_rate=0.8)

    assert report == PromotionReport(None, PromotionTest("no_student"))


def decisions(decided, facts_kept, names):
    """Of two questions and ten facts on every text, at keep_rate .8."""
    return [
        Score(
            "planted", "all", metric, part / whole, whole, text_sha256=name,
            target_keep_rate=0.8,
        )
        for name in names
        for metric, part, whole in (
            ("decision_pct", decided, 2),
            ("fact_pct", facts_kept, 10),
        )
    ]  # fmt: skip


def test_what_survives_at_the_target_decides_before_f1():
    names = [f"text{n}" for n in range(20)]
    groups = {name: f"group of {name}" for name in names}

    report = promote_student(
        {
            3: scores(8, 2, 2, names) + decisions(1, 5, names),
            5: scores(2, 8, 8, names) + decisions(2, 8, names),
        },
        groups,
        np.random.default_rng(0),
        target_keep_rate=0.8,
    )

    assert report.promoted == 5
    assert report.figure == "decisions"
    # Means of 1/2 and 5/10, of 2/2 and 8/10.
    assert report.decisions_validation == pytest.approx({"3": 0.5, "5": 0.9})
    assert report.decisions_report == pytest.approx(0.9)
    assert report.f1_report == pytest.approx(0.2)


def test_a_student_that_was_not_scored_at_the_target_leaves_f1_to_decide():
    names = [f"text{n}" for n in range(20)]
    groups = {name: f"group of {name}" for name in names}

    report = promote_student(
        {
            3: scores(8, 2, 2, names),
            5: scores(2, 8, 8, names) + decisions(2, 8, names),
        },
        groups,
        np.random.default_rng(0),
        target_keep_rate=0.8,
    )

    assert (report.promoted, report.figure) == (3, "f1")


@pytest.mark.parametrize("metric", ["decision_pct", "fact_pct"])
def test_a_gain_in_what_survives_at_the_target_goes_on(metric):
    def survived(number, value):
        row, rows = summary(number, 0.7)
        found = Score("planted", "all", metric, value, 9, target_keep_rate=0.85)
        return row, [*rows, found]

    same, better = [survived(1, 0.4), survived(2, 0.4)], survived(2, 0.5)

    assert find_stop_reason(same, CONFIG) is not None
    assert find_stop_reason([same[0], better], CONFIG) is None
