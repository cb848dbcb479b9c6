import numpy as np
import pytest

from benchmarks.bench_budget import first_reach, share_of_calls
from benchmarks.budget_world import (
    NUM_TEACHERS,
    REPEATED,
    SHARED,
    WORLDS,
    draw_world,
    f1,
    train_student,
)


def test_between_two_rounds_calls_lie_on_a_straight_line():
    calls_R, f1_R = np.array([10, 20, 40]), np.array([0.5, 0.6, 0.8])

    assert first_reach(calls_R, f1_R, 0.7) == pytest.approx(30)
    assert first_reach(calls_R, f1_R, 0.4) == 10  # at once
    assert first_reach(calls_R, f1_R, 0.9) == np.inf


def test_the_same_curve_needs_the_same_calls_and_one_twice_as_fast_half():
    calls = np.arange(1, 11) * 10.0
    rise = np.arange(1, 11) / 100
    slow = np.stack([np.stack([calls, rise + 0.01 * s], axis=1) for s in range(4)])
    fast = slow * np.array([0.5, 1.0])

    assert share_of_calls(slow, slow, 1.0)[0] == pytest.approx(1)
    assert share_of_calls(fast, slow, 1.0) == pytest.approx((0.5, 0.5, 0.5))
    assert share_of_calls(fast, slow, 0.5) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("name", WORLDS)
def test_teachers_are_as_good_and_as_alike_as_the_world_says(name):
    draw = draw_world(name, 0, 1_500)

    right_WMR = draw.right_WMR
    accuracy_M = [teacher.accuracy for teacher in draw.teachers]
    assert right_WMR.mean(axis=(0, 2)) == pytest.approx(accuracy_M, abs=0.01)
    # Two luck sources: of the word, and of the teacher where it is not the word's.
    rho = np.corrcoef(right_WMR[:, 0, 0], right_WMR[:, 0, 1])[0, 1]
    assert rho == pytest.approx(SHARED + (1 - SHARED) * REPEATED, abs=0.03)
    if name == "homogeneous":
        rho = np.corrcoef(right_WMR[:, 0, 0], right_WMR[:, 1, 0])[0, 1]
        assert rho == pytest.approx(SHARED, abs=0.02)
    assert len(draw.teachers) == NUM_TEACHERS


def test_a_student_learns_its_cells_and_falls_back_where_it_saw_none():
    draw = draw_world("homogeneous", 0, 3_000)
    words = draw.words_of(np.arange(2_400))
    cells = draw.cell_W[words]
    score_C = train_student(
        np.bincount(cells, draw.truth_W[words].astype(float), draw.num_cells),
        np.bincount(cells, minlength=draw.num_cells).astype(float),
        draw.num_kinds,
    )
    nothing_C = train_student(
        np.zeros(draw.num_cells), np.zeros(draw.num_cells), draw.num_kinds
    )
    test = draw.words_of(np.arange(2_400, 3_000))

    assert f1(score_C[draw.cell_W[test]], draw.truth_W[test]) > 0.85
    assert nothing_C == pytest.approx(np.full(draw.num_cells, 0.5))


def test_f1_counts_words_that_are_kept_rightly():
    # Two kept, one of them rightly; two to keep: 2 * 1 / (2 + 2).
    keep = np.array([0.9, 0.5, 0.1, 0.2])

    assert f1(keep, np.array([True, False, True, False])) == 0.5
