"""A text keeps the chosen share of its words, whatever their scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.voters.rank import squash_rank


def test_ranks_are_squashed_around_the_quantile_by_hand():
    # Two words: u = 1/4 and 3/4. At keep rate 1/2: 1/(1+e^(-.25/.12)) = .8893.
    assert squash_rank(np.array([1.0, 7.0]), 0.5) == pytest.approx(
        [1 - 0.88928, 0.88928], abs=1e-5
    )


def test_equal_scores_keep_the_earlier_words():
    keep_N = squash_rank(np.zeros(10), 0.55) >= 0.5

    # u = .05, .15, ... .55 <= .55 for the first six, up to rounding of the last.
    assert keep_N.tolist() == sorted(keep_N.tolist(), reverse=True)
    assert 5 <= keep_N.sum() <= 6


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)),
    st.floats(0, 1),
)
def test_the_share_kept_is_the_keep_rate_and_better_scores_never_get_less(
    score_N, keep_rate
):
    p_N = squash_rank(score_N, keep_rate)

    assert ((p_N > 0) & (p_N < 1)).all()
    assert abs((p_N >= 0.5).sum() - keep_rate * score_N.size) <= 0.5 + 1e-6
    assert (np.diff(p_N[np.argsort(-score_N, kind="stable")]) <= 0).all()


def test_no_words_give_no_votes():
    assert squash_rank(np.zeros(0), 0.5).shape == (0,)
