"""Counts merge, rates are right by hand, intervals cover."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation.statistics import (
    Rates,
    balanced_accuracies,
    code_histogram,
    confusion,
    count_by_group,
    expanded_percents,
    expected_calibration_error,
    others_voted,
    paired_interval,
    rates,
)
from kompress.errors import InvalidVotes
from kompress.types import STRATA

KEEP = np.array([True, False, True, False, True])
TRUTH = np.array([True, True, False, False, True])
STRATUM = np.array([0, 0, 0, 0, 2])


def test_a_confusion_counts_by_stratum_and_leaves_out_the_unknown():
    counts = confusion(KEEP, TRUTH, STRATUM)
    known = confusion(KEEP, TRUTH, STRATUM, KEEP)

    assert counts.shape == (len(STRATA), 4)
    assert counts.dtype == np.int64
    assert counts[0].tolist() == [1, 1, 1, 1]  # TP FN FP TN
    assert counts[2].tolist() == [1, 0, 0, 0]
    assert known[0].tolist() == [1, 0, 1, 0]
    assert known.sum() == 3


def test_a_histogram_counts_codes_by_stratum_and_truth():
    codes_N = np.array([254, 0, 0, 255, 254], dtype=np.uint8)

    counts = code_histogram(codes_N, TRUTH, STRATUM)

    assert counts.shape == (len(STRATA), 2, 256)
    assert counts[0, 1, 254] == 1
    assert counts[0, 1, 0] == 1
    assert counts[0, 0, 0] == 1
    assert counts[0, 0, 255] == 1
    assert counts[2, 1, 254] == 1
    assert counts.sum() == 5
    assert code_histogram(codes_N, TRUTH, STRATUM, TRUTH).sum() == 3


@given(
    arrays(np.bool_, 20),
    arrays(np.bool_, 20),
    arrays(np.uint8, 20),
    st.integers(0, 20),
)
def test_counts_of_two_shards_add_up_to_the_whole(keep_N, truth_N, codes_N, cut):
    stratum_N = codes_N % len(STRATA)
    parts = [slice(0, cut), slice(cut, 20)]

    confusions = [confusion(keep_N[p], truth_N[p], stratum_N[p]) for p in parts]
    histograms = [code_histogram(codes_N[p], truth_N[p], stratum_N[p]) for p in parts]

    assert np.array_equal(sum(confusions), confusion(keep_N, truth_N, stratum_N))
    whole = code_histogram(codes_N, truth_N, stratum_N)
    assert np.array_equal(sum(histograms), whole)


def test_rates_by_hand_and_none_where_nothing_can_be_said():
    assert rates([3, 1, 2, 4]) == Rates(
        recall=3 / 4,
        precision=3 / 5,
        specificity=4 / 6,
        keep_rate=5 / 10,
        balanced_accuracy=(3 / 4 + 4 / 6) / 2,
    )
    assert rates([0, 2, 0, 0]) == Rates(0.0, None, None, 0.0, None)
    assert rates([0, 0, 0, 0]) == Rates(None, None, None, None, None)


def test_balanced_accuracies_by_hand():
    # (3/4 + 4/6) / 2; without words to drop there is none.
    first, second = balanced_accuracies([[3, 1, 2, 4], [3, 1, 0, 0]])

    assert first == pytest.approx(17 / 24)
    assert np.isnan(second)


def test_groups_without_a_word_are_counted_too():
    keep_N, right_N = np.array([True, False, True]), np.array([True, True, False])

    counts_G4 = count_by_group(keep_N, right_N, np.array([0, 0, 2]), 4)

    assert counts_G4.tolist() == [[1, 1, 0, 0], [0] * 4, [0, 0, 1, 0], [0] * 4]


def test_a_voter_is_compared_where_somebody_else_voted():
    nan = np.nan
    p_NM = np.array([[1.0, 1.0, 0.0], [0.0, nan, 1.0], [1.0, nan, nan]])
    codes_NM = np.array([[254, 0], [0, 255]], dtype=np.uint8)

    assert others_voted(p_NM).tolist() == [
        [True, True, True],
        [True, False, True],
        [False, False, False],
    ]
    assert others_voted(codes_NM).tolist() == [[True, True], [False, False]]


def test_calibration_error_by_hand():
    # Code 229 says (229.5)/255 = .9 and is right 3 of 4 times: .15 off; code 25 says
    # .1 and keeps 1 of 4: .15 off. Together .15. Abstentions do not count.
    histogram = np.zeros((2, 256), dtype=np.int64)
    histogram[:, 229] = 1, 3
    histogram[:, 25] = 3, 1
    histogram[:, 255] = 100, 100

    assert expected_calibration_error(histogram) == pytest.approx(0.15)
    # In one bin: stated .5 on average, kept 4 of 8.
    assert expected_calibration_error(histogram, num_bins=1) == pytest.approx(0.0)
    assert expected_calibration_error(np.zeros((2, 256), int)) is None


def test_the_interval_of_a_known_difference_holds_it():
    # 200 groups of 10 words; a is right on 9 of 10, b on 8 of 10 of both truths.
    rng = np.random.default_rng(3)
    a_right = rng.binomial(5, 0.9, (200, 2))
    b_right = rng.binomial(5, 0.8, (200, 2))
    a, b = (
        np.stack([r[:, 0], 5 - r[:, 0], 5 - r[:, 1], r[:, 1]], axis=1)[:, None]
        for r in (a_right, b_right)
    )

    interval = paired_interval(a, b, np.random.default_rng(0))

    assert interval is not None
    low, high = interval
    # Standard error of the difference: sqrt((.9*.1 + .8*.2) / 2000) = .0112.
    assert low < 0.1 < high
    assert 0.03 < high - low < 0.06
    assert interval == paired_interval(a, b, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("num_groups", "reach"),
    [
        (4, 3.674),  # √(4/3) · 3.182
        (8, 2.528),  # √(8/7) · 2.365
        (20, 2.147),  # √(20/19) · 2.093
        (100_000, 1.960),
    ],
)
def test_few_groups_widen_an_interval_by_what_t_says(num_groups, reach):
    low, high = expanded_percents(num_groups)

    assert low == pytest.approx(100 * NormalDist().cdf(-reach), rel=0.005)
    assert low + high == pytest.approx(100)


def test_equal_confusions_differ_by_exactly_nothing():
    counts = np.random.default_rng(4).integers(0, 9, (30, 2, 4))

    interval = paired_interval(counts, counts, np.random.default_rng(0), 50)

    assert interval == (0.0, 0.0)


def test_without_both_truths_there_is_no_interval():
    rng = np.random.default_rng(0)
    only_keep = np.tile([3, 1, 0, 0], (5, 1, 1))

    assert paired_interval(only_keep, only_keep, rng) is None
    assert paired_interval(np.zeros((0, 1, 4)), np.zeros((0, 1, 4)), rng) is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: confusion([1, 0], [True, False], [0, 0]), "expected bool"),
        (lambda: confusion([True], [True, False], [0, 0]), r"expected \(2,\)"),
        (lambda: confusion([True], [True], [99]), "STRATA"),
        (lambda: code_histogram([0.5], [True], [0]), "uint8"),
        (lambda: expected_calibration_error(np.zeros((2, 9))), "256"),
        (lambda: expected_calibration_error(np.zeros((2, 256)), 0), "one bin"),
        (
            lambda: paired_interval(
                np.zeros((2, 4)), np.zeros((2, 4)), np.random.default_rng(0)
            ),
            "TP FN FP TN",
        ),
    ],
)
def test_wrong_counts_are_refused_in_words(call, says):
    with pytest.raises(InvalidVotes, match=says):
        call()
