import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from kompress.errors import InvalidConfig
from kompress.metrics import bootstrap
from kompress.metrics.bootstrap import (
    difference_statistic,
    f1_statistic,
    independent_difference,
    paired_difference,
    percentile_interval,
    ratio_statistic,
    resample_weights,
    sum_by_group,
)


def bootstrap_interval(counts_TK, group_ids, *, rng, num_bootstraps=1_000):
    counts_GK = sum_by_group(counts_TK, group_ids)
    weights_BG = resample_weights(
        len(counts_GK), num_bootstraps=num_bootstraps, rng=rng
    )
    return percentile_interval(counts_GK, weights_BG, ratio_statistic)


def test_texts_of_one_group_are_added_up():
    counts_TK = np.array([[1, 2], [3, 4], [5, 6]])

    counts_GK = sum_by_group(counts_TK, ["b", "a", "b"])

    assert counts_GK.tolist() == [[3, 4], [6, 8]]  # a, then b = rows 0 and 2


def test_counts_without_a_group_each_are_refused():
    with pytest.raises(InvalidConfig, match="one group id a text"):
        sum_by_group(np.zeros((2, 2)), ["a"])


def test_two_opposite_groups_give_the_whole_range():
    # A resample holds both halves with 1/2, one twice with 1/4 each: ratios 0, 1/2, 1.
    interval = bootstrap_interval(
        np.array([[0, 10], [10, 10]]),
        ["a", "b"],
        rng=np.random.default_rng(0),
    )

    assert interval == (0.0, 1.0)


def test_equal_groups_leave_no_doubt():
    interval = bootstrap_interval(
        np.array([[3, 4]] * 5),
        list("abcde"),
        rng=np.random.default_rng(0),
    )

    assert interval == (0.75, 0.75)


def test_one_group_gives_no_interval_however_many_texts_it_has():
    interval = bootstrap_interval(
        np.array([[0, 1], [1, 1]]),
        ["a", "a"],
        rng=np.random.default_rng(0),
    )

    assert interval == (None, None)


def test_an_undefined_statistic_gives_no_interval():
    interval = bootstrap_interval(
        np.zeros((4, 2)), list("abcd"), rng=np.random.default_rng(0)
    )

    assert interval == (None, None)


def test_the_interval_of_a_mean_agrees_with_the_normal_one():
    # 400 groups of 1 with 30 % ones: sd of the mean is sqrt(.3 * .7 / 400) = .0229.
    kept_T = np.repeat([1, 0], [120, 280])
    counts_T2 = np.stack([kept_T, np.ones(400)], axis=1)

    low, high = bootstrap_interval(
        counts_T2,
        [str(i) for i in range(400)],
        rng=np.random.default_rng(1),
        num_bootstraps=4_000,
    )

    half = norm.ppf(0.975) * np.sqrt(0.3 * 0.7 / 400)
    assert low == pytest.approx(0.3 - half, abs=0.004)
    assert high == pytest.approx(0.3 + half, abs=0.004)


def test_statistics_are_those_worked_by_hand():
    assert ratio_statistic(np.array([[3.0, 4.0]])).tolist() == [0.75]
    assert difference_statistic(np.array([[3.0, 1.0, 4.0]])).tolist() == [0.5]
    assert f1_statistic(np.array([[3.0, 1.0, 2.0]])).tolist() == [6 / 9]


def test_shared_resamples_pair_two_figures():
    # b is a plus 1 in every group, so on the same resamples b - a is exactly 1 / 2.
    a_GK = np.array([[0.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    weights_BG = resample_weights(3, num_bootstraps=50, rng=np.random.default_rng(2))

    both_GK = np.concatenate([a_GK[:, :1] + 1, a_GK], axis=1)
    interval = percentile_interval(both_GK, weights_BG, difference_statistic)

    assert interval == (0.5, 0.5)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=8)
)
def test_an_interval_stays_within_the_groups_own_values(pairs):
    counts_GK = np.array([[min(a, b), b] for a, b in pairs], dtype=float)
    weights_BG = resample_weights(
        len(pairs), num_bootstraps=40, rng=np.random.default_rng(3)
    )

    low, high = percentile_interval(counts_GK, weights_BG, ratio_statistic)

    own_G = counts_GK[:, 0] / counts_GK[:, 1]
    assert own_G.min() - 1e-12 <= low <= high <= own_G.max() + 1e-12


# Two groups; tp fp fn of a: (2 1 0), (1 0 1); of b: (1 1 1), (1 0 1).
A_GK = np.array([[2.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
B_GK = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])


def test_a_paired_difference_is_taken_within_each_resample():
    weights_BG = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])

    found = paired_difference(A_GK, B_GK, weights_BG, f1_statistic)

    # F1 of a 6/8, of b 4/7; by resample .178571, 8/10 - 4/8 = .3, 0, .178571.
    assert found.value == pytest.approx(6 / 8 - 4 / 7)
    # Percentiles 2.5 and 97.5 of (0, .178571, .178571, .3): places .075 and 2.925.
    assert found.low == pytest.approx(0.075 * (6 / 8 - 4 / 7))
    assert found.high == pytest.approx(0.178571 + 0.925 * (0.3 - 0.178571), abs=1e-5)
    # One of four at or below 0, and the data: 2 * (1 + 1) / 5.
    assert found.p_value == pytest.approx(0.8)


def test_independent_samples_are_resampled_each_by_itself():
    a_weights_BG = np.array([[1.0, 1.0], [2.0, 0.0]])
    b_weights_BG = np.array([[0.0, 2.0], [1.0, 1.0]])

    found = independent_difference(
        A_GK[:, 1:], B_GK[:, 1:], a_weights_BG, b_weights_BG, lambda s: s[:, 0]
    )

    # fp: a 1 - b 1 = 0; by resample 1 - 0 = 1 and 2 - 1 = 1.
    assert found.value == 0.0
    assert (found.low, found.high) == (1.0, 1.0)
    assert found.p_value == pytest.approx(2 / 3)


def test_one_group_and_an_undefined_figure_give_no_test():
    one = paired_difference(A_GK[:1], B_GK[:1], np.ones((5, 1)), f1_statistic)
    undefined = paired_difference(A_GK * 0, B_GK, np.ones((5, 2)), f1_statistic)

    # F1 4/5 - 2/4
    assert one == (pytest.approx(0.3), None, None, None)
    assert undefined == (None, None, None, None)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2))
def test_nobody_differs_from_oneself(counts):
    counts_GK = np.array(counts, dtype=np.float64)
    weights_BG = resample_weights(
        len(counts), num_bootstraps=20, rng=np.random.default_rng(0)
    )

    found = paired_difference(counts_GK, counts_GK, weights_BG, ratio_statistic)

    assert found == (0.0, 0.0, 0.0, 1.0)


def test_parts_hold_the_draws_of_the_whole(monkeypatch):
    monkeypatch.setattr(bootstrap, "_PART_CELLS", 21)  # three rows of seven groups

    parts = list(
        bootstrap.resample_in_parts(7, num_bootstraps=8, rng=np.random.default_rng(0))
    )
    whole = bootstrap.resample_weights(
        7, num_bootstraps=8, rng=np.random.default_rng(0)
    )

    assert [len(part) for part in parts] == [3, 3, 2]
    # numpy draws row by row, so that cutting changes no draw.
    assert np.array_equal(np.concatenate(parts), whole)
