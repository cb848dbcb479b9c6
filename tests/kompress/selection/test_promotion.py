import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.decisions import PromotionTest, WorseText
from kompress.errors import InvalidSelection
from kompress.metrics.ratios import Confusion
from kompress.selection.promotion import (
    DecisionCounts,
    StudentCounts,
    confusions_by_text,
    decisions_by_text,
    decisions_statistic,
    in_validation_half,
    promote,
    worse_texts,
)
from kompress.types import Score

GROUPS = tuple(f"g{i}" for i in range(20))


def candidate(name, rows, groups=GROUPS):
    return StudentCounts(name, np.array(rows), groups)


def test_a_clearly_better_later_student_is_promoted():
    # F1 2*5/(10+5+5) = .5 against 2*8/(16+2+2) = .8 on each of 20 groups.
    found = promote(
        [candidate("r1", [[5, 5, 5]] * 20), candidate("r2", [[8, 2, 2]] * 20)],
        np.random.default_rng(0),
    )

    assert found.best_student_id == "r2"
    assert found.figures == {"r1": 0.5, "r2": 0.8}
    (comparison,) = found.comparisons
    assert comparison.student_id == "r1"
    assert comparison.difference == pytest.approx(0.3)
    assert (comparison.ci_low, comparison.ci_high) == pytest.approx((0.3, 0.3))
    assert comparison.p_value == pytest.approx(2 / 1_001)  # no resample disagreed
    assert found.test == PromotionTest("better", top="r2")


def test_the_best_student_is_promoted_not_the_last():
    found = promote(
        [
            candidate("r1", [[5, 5, 5]] * 20),
            candidate("r2", [[8, 2, 2]] * 20),
            candidate("r3", [[6, 4, 4]] * 20),
        ],
        np.random.default_rng(0),
    )

    assert found.best_student_id == "r2"


def test_a_lead_within_the_noise_leaves_the_earlier_student():
    rng = np.random.default_rng(1)
    one = rng.integers(3, 8, size=(20, 3))
    two = one.copy()
    two[0] += (3, 0, 0)  # one lucky text
    two[1] -= (1, 0, 0)

    found = promote(
        [candidate("r1", one), candidate("r2", two)], np.random.default_rng(0)
    )

    assert found.figures["r2"] > found.figures["r1"]
    assert found.best_student_id == "r1"
    assert found.comparisons[0].p_value > 0.05
    assert (found.test.outcome, found.test.top) == ("within_interval", "r2")
    assert found.test.earlier == "r1"
    assert found.test.low <= 0 < found.test.lead < found.test.high


def test_equal_students_leave_the_earlier_one():
    rows = [[5, 5, 5]] * 20

    found = promote(
        [candidate("r1", rows), candidate("r2", rows)], np.random.default_rng(0)
    )

    assert found.best_student_id == "r1"
    assert found.comparisons[0].p_value == 1.0


def test_one_group_is_too_little_to_replace_a_student():
    found = promote(
        [
            candidate("r1", [[5, 5, 5]], ("g",)),
            candidate("r2", [[8, 2, 2]], ("g",)),
        ],
        np.random.default_rng(0),
    )

    assert found.best_student_id == "r1"
    assert (found.test.outcome, found.test.earlier) == ("too_few_groups", "r1")


def test_without_gold_the_last_student_is_promoted_untested():
    found = promote(
        [candidate("r1", np.zeros((0, 3)), ()), candidate("r2", np.zeros((0, 3)), ())],
        np.random.default_rng(0),
    )

    assert found.best_student_id == "r2"
    assert found.test == PromotionTest("untested")


def test_students_scored_on_other_texts_are_refused():
    with pytest.raises(InvalidSelection, match="score both on the same gold"):
        promote(
            [
                candidate("r1", [[1, 1, 1]], ("a",)),
                candidate("r2", [[1, 1, 1]], ("b",)),
            ],
            np.random.default_rng(0),
        )
    with pytest.raises(InvalidSelection, match="no candidate"):
        promote([], np.random.default_rng(0))


def test_texts_that_got_worse_are_listed_from_the_worst():
    before = {"a": 0.9, "b": 0.9, "c": 0.5, "d": None, "e": 0.9}
    after = {"a": 0.8, "b": 0.1, "c": 0.6, "d": 0.1, "f": 0.1}

    assert worse_texts(before, after) == [
        WorseText("b", 0.9, 0.1),
        WorseText("a", 0.9, 0.8),
    ]


def test_counts_are_recovered_from_stored_ratios():
    def row(metric, value, n, text="t", **changes):
        return Score("planted", "all", metric, value, n, text_sha256=text, **changes)

    scores = [
        row("precision", 3 / 4, 4),  # 3 of 4 kept words are right
        row("recall", 3 / 5, 5),  # 3 of 5 needed words are kept
        row("recall", 1.0, 9, target_keep_rate=0.5),
        row("precision", None, 0, "nothing_kept"),
        row("recall", 0.0, 2, "nothing_kept"),
        row("recall", 0.5, 10, ""),
    ]

    assert confusions_by_text(scores) == {
        "t": Confusion(tp=3, fp=1, fn=2),
        "nothing_kept": Confusion(tp=0, fp=0, fn=2),
    }


def test_about_half_of_the_groups_validate():
    sides = [in_validation_half(f"group-{i}") for i in range(1_000)]

    assert 437 <= sum(sides) <= 563  # four sd of sqrt(1000) / 2 = 15.8


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=6, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_no_student_is_promoted_over_a_better_earlier_one(students):
    candidates = [
        candidate(f"r{i}", rows, GROUPS[:6]) for i, rows in enumerate(students)
    ]

    found = promote(candidates, np.random.default_rng(0), num_bootstraps=50)

    names = [each.student_id for each in candidates]
    best = names.index(found.best_student_id)
    own = found.figures[found.best_student_id]
    if own is not None:
        earlier = [found.figures[name] for name in names[:best]]
        assert all(value is None or value < own for value in earlier)


def test_a_noisy_student_is_passed_over_for_a_steadier_earlier_one():
    # The last is better than r1 on every text, a little; r2 swings about a lower mean.
    steady = [[16, 4, 4]] * 20
    noisy = [[20, 0, 0], [11, 9, 9]] * 10
    last = [[17, 3, 3]] * 20

    found = promote(
        [candidate("r1", steady), candidate("r2", noisy), candidate("r3", last)],
        np.random.default_rng(0),
    )

    assert found.best_student_id == "r3"
    noisy_row = found.comparisons[1]
    assert noisy_row.ci_low < 0 < noisy_row.difference  # not clearly beaten


def test_students_may_be_compared_by_what_can_still_be_decided():
    # Questions 5/10, then 8/10; facts 20/40 in both: means .5 and .65.
    found = promote(
        [
            candidate("r1", [[5, 10, 20, 40]] * 20),
            candidate("r2", [[8, 10, 20, 40]] * 20),
        ],
        np.random.default_rng(0),
        figure="decisions",
    )

    assert found.best_student_id == "r2"
    assert found.figures == pytest.approx({"r1": 0.5, "r2": 0.65})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((1, 2, 3, 4), 0.625),  # the mean of 1/2 and 3/4
        ((0, 0, 3, 4), 0.75),  # no question: facts alone
        ((1, 4, 0, 0), 0.25),
        ((0, 0, 0, 0), np.nan),
    ],
)
def test_the_figure_is_the_mean_of_what_there_is(counts, expected):
    (value,) = decisions_statistic(np.array([counts], dtype=float))

    assert value == pytest.approx(expected, nan_ok=True)


def test_counts_of_questions_and_facts_come_back_from_a_texts_shares():
    def row(metric, value, n, **changed):
        place = {"target_keep_rate": 0.8, "text_sha256": "ab", **changed}
        return Score("planted", "all", metric, value, n, **place)

    rows = [
        row("decision_pct", 0.5, 2),
        row("fact_pct", 2 / 3, 3),
        row("fact_pct", None, 0, text_sha256="no fact"),
        # Of another keep_rate, of the own threshold, with override, of all texts.
        row("fact_pct", 1.0, 3, target_keep_rate=0.5),
        row("fact_pct", 1.0, 3, target_keep_rate=None),
        row("fact_pct", 1.0, 3, override="farm"),
        row("fact_pct", 1.0, 3, text_sha256=""),
        row("exact_pct", 1.0, 3),
    ]

    assert decisions_by_text(rows, 0.8) == {
        "ab": DecisionCounts(1, 2, 2, 3),
        "no fact": DecisionCounts(0, 0, 0, 0),
    }
