"""A voter's bins follow what it says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.reliability.quantile_bins import SILENT, cut_bins


def cut(codes, weights=None):
    codes = np.array(codes, dtype=np.uint8)
    weights = np.ones(codes.size) if weights is None else np.array(weights, float)
    return cut_bins(codes, weights)


def test_yes_and_no_are_two_levels():
    bins = cut([0, 254, 254, 255])

    assert bins.size == 2
    assert bins.keeps_L.tolist() == [False, True]
    assert np.allclose(bins.share_L, [1 / 3, 2 / 3])
    # (0 + 1/2) / 255 and (254 + 1/2) / 255.
    assert np.allclose(bins.center_L, [0.5 / 255, 254.5 / 255])


def test_silence_has_no_level():
    bins = cut([0, 254])

    assert bins.read(np.array([254, 255, 0], dtype=np.uint8)).tolist() == [
        1,
        SILENT,
        0,
    ]


def test_a_code_that_nobody_used_belongs_to_the_level_below_on_its_side():
    bins = cut([10, 30, 200])

    # Below the first of a side there is none: codes 3 and 150 join it.
    found = bins.bin_C[[3, 10, 29, 30, 126, 127, 150, 200, 254]]
    assert found.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]


def test_a_side_that_was_never_taken_is_a_level_without_votes():
    bins = cut([0, 20, 255])

    assert bins.size == 3
    assert bins.share_L.tolist() == [0.5, 0.5, 0]
    # The middle of codes 127 to 254, (190.5 + 1/2) / 255.
    assert np.isclose(bins.center_L[2], 191 / 255)
    assert np.isclose(np.exp(bins.within_L[2]), 1)


def test_a_voter_that_never_voted_has_a_level_each_side():
    bins = cut([255, 255])

    assert bins.keeps_L.tolist() == [False, True]
    assert not bins.is_heard
    assert cut([0]).is_heard


def test_five_samples_are_six_levels():
    codes = [min(int(k / 5 * 255), 254) for k in range(6)]

    assert cut(codes).size == 6


def test_what_is_said_more_often_is_cut_more_finely():
    # 8 bins a side: half of the words above 1/2 have codes 250 to 253.
    codes = [*range(130, 254)]
    weights = [1.0] * 120 + [30.0] * 4

    bins = cut(codes, weights)

    assert len(set(bins.bin_C[250:254].tolist())) >= 3
    assert bins.share_L.max() < 0.3


@given(st.lists(st.integers(0, 254), min_size=1, max_size=300))
def test_levels_ascend_and_none_holds_both_sides(codes):
    bins = cut(codes)

    side_C = np.arange(255) >= 127
    used = np.unique(codes)
    assert bins.size <= 16
    assert (np.diff(bins.bin_C) >= 0).all()
    assert (np.diff(bins.center_L) > 0).all()
    assert np.isclose(bins.share_L.sum(), 1)
    assert (bins.keeps_L[bins.bin_C[used]] == side_C[used]).all()


def test_shares_within_a_side_sum_to_one():
    bins = cut([0, 20, 20, 254])

    # Of three drops one is 0 and two are 20; the only keep is its side's all.
    assert np.allclose(np.exp(bins.within_L), [1 / 3, 2 / 3, 1], atol=1e-5)
