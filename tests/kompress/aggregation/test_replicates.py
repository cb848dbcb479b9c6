"""A voter's replicates become one vote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation.replicates import pool_replicates
from kompress.errors import InvalidVotes


def test_replicates_pool_by_sample_count_without_abstentions():
    # Codes 0, 127, 254 stand for .5/255, .5 and 254.5/255.
    # Word 0: (1 * .5/255 + 3 * 254.5/255) / 4 = 764/1020. Word 1: the second alone.
    codes_RN = np.array([[0, 255, 255], [254, 127, 255]], dtype=np.uint8)

    p_N, strength_N = pool_replicates(codes_RN, [1, 3])

    assert p_N[:2] == pytest.approx([764 / 1020, 0.5])
    assert np.isnan(p_N[2])
    assert strength_N.tolist() == [4, 3, 0]


def test_no_replicate_is_an_abstention():
    p_N, strength_N = pool_replicates(np.zeros((0, 2), np.uint8), [])

    assert np.isnan(p_N).all()
    assert strength_N.tolist() == [0, 0]


@given(arrays(np.uint8, (3, 5)), arrays(np.int64, 3, elements=st.integers(1, 50)))
def test_splitting_a_replicate_in_two_changes_nothing(codes_RN, num_R):
    split = pool_replicates(np.vstack([codes_RN, codes_RN]), np.append(num_R, num_R))
    whole = pool_replicates(codes_RN, num_R * 2)

    assert split[0] == pytest.approx(whole[0], nan_ok=True)
    assert split[1] == pytest.approx(whole[1])


@pytest.mark.parametrize(
    ("codes_RN", "num_R", "says"),
    [
        (np.zeros((2, 3), np.uint8), [1], "a row a replicate"),
        (np.zeros(3, np.uint8), [1], "a row a replicate"),
        (np.zeros((1, 3)), [1], "uint8"),
        (np.zeros((1, 3), np.uint8), [0], ">= 1"),
        (np.zeros((1, 3), np.uint8), [1.5], "whole numbers"),
    ],
)
def test_wrong_replicates_are_refused_in_words(codes_RN, num_R, says):
    with pytest.raises(InvalidVotes, match=says):
        pool_replicates(codes_RN, num_R)
