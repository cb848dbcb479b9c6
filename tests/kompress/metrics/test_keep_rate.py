from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.metrics.keep_rate import count_kept, keep_top


@pytest.mark.parametrize(
    ("num_words", "keep_rate", "num_kept"),
    [
        (5, 0.5, 3),  # 2.5 rounds up; banker's rounding would give 2
        (3, 0.5, 2),  # 1.5
        (15, 0.7, 11),  # 10.5 rounds up, though 15 * 0.7 is 10.5 only by luck
        (35, 0.7, 25),  # 24.5; as floats 0.7 * 35 is 24.499999999999996
        (10, 0.7, 7),
        (0, 0.9, 0),
        (4, 0.0, 0),
        (4, 1.0, 4),
    ],
)
def test_a_share_is_rounded_half_up(num_words, keep_rate, num_kept):
    assert count_kept(num_words, keep_rate) == num_kept


def test_the_highest_scores_are_kept_and_ties_go_to_the_earlier_word():
    score_N = np.array([0.2, 0.9, 0.5, 0.5, 0.5])

    keep_N = keep_top(score_N, 0.6)

    assert keep_N.tolist() == [False, True, True, True, False]


def test_a_word_without_a_score_is_kept_last():
    score_N = np.array([np.nan, 0.0, 0.1])

    assert keep_top(score_N, 0.7).tolist() == [False, True, True]


@pytest.mark.parametrize("keep_rate", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_zero_to_one_is_refused(keep_rate):
    with pytest.raises(InvalidConfig, match="expected a share in"):
        keep_top(np.zeros(3), keep_rate)


@given(st.integers(0, 5_000), st.integers(0, 1_000))
def test_the_count_equals_decimal_arithmetic(num_words, thousandths):
    exact = Decimal(num_words) * Decimal(thousandths) / 1_000

    expected = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))

    assert count_kept(num_words, thousandths / 1_000) == expected


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0, 1))
def test_no_dropped_word_scores_above_a_kept_one(scores, keep_rate):
    score_N = np.array(scores)

    keep_N = keep_top(score_N, keep_rate)

    assert int(keep_N.sum()) == count_kept(len(scores), keep_rate)
    if keep_N.any() and not keep_N.all():
        assert score_N[~keep_N].max() <= score_N[keep_N].min()
