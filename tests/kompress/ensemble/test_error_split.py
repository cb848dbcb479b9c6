"""The consensus' error splits exactly into bias, shared and own variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.ensemble.error_split import ErrorSplit, split_error
from kompress.types import KEEP, UNKNOWN
from tests.truth_codes import coded


def draw(seed, num_words=40, num_voters=3):
    rng = np.random.default_rng(seed)
    truth_N = rng.integers(0, 2, num_words)
    keep_NM = rng.random((num_words, num_voters)) < 0.3 + 0.4 * truth_N[:, None]
    return keep_NM, coded(truth_N), rng.integers(0, 3, num_words)


def test_the_parts_are_those_worked_out_by_hand():
    # All to keep, one stratum. Shares wrong: 1, 1/2, 0, 1/2.
    keep_NM = np.array([[False, False], [False, True], [True, True], [True, False]])

    found = split_error(keep_NM, np.ones((4, 2)), [KEEP] * 4, [0] * 4)

    # error (1 + 1/4 + 0 + 1/4)/4 = 3/8; mean error 1/2, so bias 1/4. Each voter errs
    # in half of the words: σ² = 1/4. Both wrong once, both right once, 1 : 1 else:
    # covariance 0, so own variance σ²/2 = 1/8.
    assert found == ErrorSplit(4, 3 / 8, 1 / 4, 0.0, 1 / 8)
    assert found.variance == 1 / 8


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_the_parts_add_up_and_are_the_variance_of_a_mean(seed, num_voters):
    keep_NM, truth_N, stratum_N = draw(seed, num_voters=num_voters)

    found = split_error(keep_NM, np.ones_like(keep_NM), truth_N, stratum_N)

    wrong_NM = (keep_NM != (truth_N == KEEP)[:, None]).astype(float)
    assert found.error == pytest.approx((wrong_NM.mean(axis=1) ** 2).mean())
    assert found.shared_bias + found.variance == pytest.approx(found.error, abs=1e-12)
    # The same by the covariance matrix around cell means: Var = Σ_ab C_ab / M².
    around_NM = wrong_NM.copy()
    for cell in {*zip(stratum_N, truth_N, strict=True)}:
        own_N = (stratum_N == cell[0]) & (truth_N == cell[1])
        around_NM[own_N] -= wrong_NM[own_N].mean(axis=0)
    cov_MM = around_NM.T @ around_NM / len(wrong_NM)
    sigma2 = np.trace(cov_MM) / num_voters
    shared = 0.0
    if num_voters > 1:
        shared = (cov_MM.sum() - np.trace(cov_MM)) / num_voters / (num_voters - 1)
    assert found.shared_variance == pytest.approx(shared, abs=1e-12)
    assert found.own_variance == pytest.approx((sigma2 - shared) / num_voters)


def test_copies_share_all_their_variance():
    keep_NM, truth_N, stratum_N = draw(1, num_words=200, num_voters=1)
    alone = split_error(keep_NM, np.ones_like(keep_NM), truth_N, stratum_N)

    five = np.tile(keep_NM, 5)
    found = split_error(five, np.ones_like(five), truth_N, stratum_N)

    assert found.own_variance == pytest.approx(0, abs=1e-15)
    assert found.shared_variance == pytest.approx(alone.variance)


def test_only_words_of_known_truth_that_all_voted_on_count():
    keep_NM, truth_N, stratum_N = draw(2)
    voted_NM = np.ones_like(keep_NM)
    whole = split_error(keep_NM[:20], voted_NM[:20], truth_N[:20], stratum_N[:20])

    truth_N[20:30] = UNKNOWN
    voted_NM[30:, 1] = False

    assert split_error(keep_NM, voted_NM, truth_N, stratum_N) == whole
    nothing = split_error(keep_NM, np.zeros_like(voted_NM), truth_N, stratum_N)
    assert nothing == ErrorSplit()
    assert nothing.variance is None
