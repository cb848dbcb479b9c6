import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.diagnosis.consensus import (
    mean_rank,
    pool_votes_of_lines,
    rank_product,
    vote_by_rank,
)
from kompress.types import ABSTAIN


def test_a_vote_is_the_level_of_a_line_s_rank():
    # Of 16 lines the best is among the best 1/16: 1 / (1 + 1) = .5, code 127; the
    # second among 1/8: 1/3, code 85; the last 1/17, code 15.
    code_L = vote_by_rank(np.arange(16, 0, -1.0))

    assert code_L[[0, 1, 15]].tolist() == [127, 85, 15]
    assert (np.diff(code_L.astype(int)) <= 0).all()


def test_who_tells_no_line_from_another_abstains():
    assert vote_by_rank(np.full(3, 0.4)).tolist() == [ABSTAIN] * 3
    assert vote_by_rank(np.zeros(0)).tolist() == []


def test_ranks_are_averaged_whatever_the_scale():
    # Ranks 1, 2, 3 and 2, 1, 3 of 3, over 4.
    found = mean_rank([np.array([0.1, 0.2, 0.9]), np.array([50.0, -3, 70])])

    assert found.tolist() == pytest.approx([1.5 / 4, 1.5 / 4, 3 / 4])


def test_a_first_place_counts_more_in_a_product_of_ranks():
    # Places 1 and 4 of 4 have the geometric mean 2/4: 1 / (1 + 8).
    scores = [np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.6, 0.8, 0.7, 0.9])]

    found = rank_product(scores)

    assert found[0] == pytest.approx(1 / 9)
    assert found[3] == pytest.approx(found[0])
    # The mean of ranks prefers place 2 twice; the product holds both for equal.
    assert found[1] == pytest.approx(1 / 9)


def test_a_rule_that_learns_believes_who_was_right():
    rng = np.random.default_rng(0)
    truth_L = (rng.random(600) < 0.1).astype(float)
    good = vote_by_rank(truth_L + 0.4 * rng.random(600))
    bad = vote_by_rank(rng.random(600))
    votes = np.stack([good, bad], axis=1)

    (told,) = pool_votes_of_lines("reliability", [votes], [votes], [truth_L])

    assert told[truth_L == 1].mean() > 0.8
    assert told[truth_L == 0].mean() < 0.1


def test_a_plain_rule_needs_no_training():
    votes = np.stack([vote_by_rank(np.arange(32.0))] * 3, axis=1)

    (pooled,) = pool_votes_of_lines("majority", [votes], [votes], None)

    # The best two of 32 are voted 1/2 or more: ties keep.
    assert np.flatnonzero(pooled > 0.5).tolist() == [30, 31]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_a_single_voter_s_order_is_not_changed(values):
    score_L = np.array(values)

    for pooled in (mean_rank([score_L]), rank_product([score_L])):
        assert ((pooled > 0) & (pooled < 1)).all()
        for low, high in zip(*np.nonzero(score_L[:, None] < score_L), strict=True):
            assert pooled[low] < pooled[high]
