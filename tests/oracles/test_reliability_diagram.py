"""Bins hold what was stated and what came true, and add up to the ECE."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.aggregation.statistics import expected_calibration_error
from kompress.errors import InvalidVotes
from tests.oracles.reliability_diagram import Bin, reliability_diagram


def test_a_bin_says_what_was_stated_and_what_came_true():
    histogram = np.zeros((2, 256), dtype=np.int64)
    histogram[1, 254], histogram[0, 254] = 3, 1  # .998 stated, 3 of 4 to keep
    histogram[0, 0] = 5  # .002 stated, none to keep
    histogram[1, 255] = 99  # abstained

    found = reliability_diagram(histogram)

    assert found[0] == Bin(1 / 510, 0.0, 5)
    assert found[9] == Bin(509 / 510, 0.75, 4)
    assert found[1:9] == (Bin(None, None, 0),) * 8


@given(arrays(np.int64, (2, 256), elements=st.integers(0, 50)), st.integers(1, 30))
def test_gaps_weighed_by_their_votes_are_the_calibration_error(histogram, num_bins):
    bins = [b for b in reliability_diagram(histogram, num_bins) if b.n]
    total = sum(b.n for b in bins)
    gaps = sum(b.n * abs(b.stated - b.observed) for b in bins)

    error = expected_calibration_error(histogram, num_bins)

    assert total == histogram[:, :255].sum()
    if error is None:
        assert not total
    else:
        assert gaps / total == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("code", range(255))
def test_every_code_lies_in_the_bin_of_the_calibration_error(code):
    # Two codes of one bin cancel where they err in opposite ways; of two bins, not.
    histogram = np.zeros((2, 256), dtype=np.int64)
    histogram[1, code] = 1

    found = reliability_diagram(histogram)

    p = (code + 0.5) / 255
    assert [b.n for b in found].index(1) == min(int(p * 10), 9)


def test_another_histogram_is_refused():
    with pytest.raises(InvalidVotes, match=r"\(2, 256\)"):
        reliability_diagram(np.zeros((2, 255)))
    with pytest.raises(InvalidVotes, match="at least one bin"):
        reliability_diagram(np.zeros((2, 256)), 0)
