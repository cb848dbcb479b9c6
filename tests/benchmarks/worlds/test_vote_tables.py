import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.worlds.vote_tables import (
    hard_votes,
    miss_votes,
    sampled_votes,
    soft_votes,
)
from kompress.types import ABSTAIN

shapes = st.tuples(st.floats(0.2, 20), st.floats(0.2, 20))


def test_a_hard_voter_says_keep_of_words_to_keep_at_its_sensitivity():
    table_TC = hard_votes(0.9, 0.7)

    # Rows drop, keep; code 254 is keep, code 0 drop.
    assert table_TC[:, 254].tolist() == pytest.approx([0.3, 0.9])
    assert table_TC[:, 0].tolist() == pytest.approx([0.7, 0.1])
    assert np.count_nonzero(table_TC) == 4


def test_a_code_has_the_mass_of_its_bin():
    table_TC = soft_votes(drop=(1.0, 1.0), keep=(1.0, 0.2))

    assert table_TC[0, :255] == pytest.approx(np.full(255, 1 / 255))
    # P(X > x) = (1 - x)^.2 for Beta(1, .2), and the top bin begins at 254/255.
    assert table_TC[1, 254] == pytest.approx((1 / 255) ** 0.2)
    assert table_TC[1, 0] == pytest.approx(1 - (254 / 255) ** 0.2)


def test_the_far_tail_keeps_its_digits():
    table_TC = soft_votes(drop=(1.0, 8.0), keep=(8.0, 1.0))

    # P(X > 254/255) = (1/255)^8 = 5.6e-20, lost in a difference of two values near 1.
    assert table_TC[0, 254] == pytest.approx((1 / 255) ** 8, rel=1e-9, abs=0)
    assert table_TC[1, 0] == pytest.approx((1 / 255) ** 8, rel=1e-9, abs=0)


def test_answers_to_one_word_hang_together():
    table_TC = sampled_votes(2, drop=(1.0, 2.0), keep=(2.0, 1.0))

    # Keep: P(2) = 2·3/(3·4), P(1) = 2·(2·1)/(3·4), P(0) = 1·2/(3·4). Two answers right
    # 2/3 of the time would both be right 4/9 of the time, not 1/2.
    assert table_TC[1, [0, 127, 254]] == pytest.approx([1 / 6, 1 / 3, 1 / 2])
    assert table_TC[0, [0, 127, 254]] == pytest.approx([1 / 2, 1 / 3, 1 / 6])


def test_five_answers_have_six_codes():
    table_TC = sampled_votes(5, drop=(1.0, 1.0), keep=(1.0, 1.0))

    assert np.flatnonzero(table_TC[0]).tolist() == [0, 51, 102, 153, 204, 254]
    assert table_TC[0][table_TC[0] > 0] == pytest.approx(np.full(6, 1 / 6))


def test_missing_votes_say_nothing_of_the_truth():
    table_TC = miss_votes(hard_votes(0.9, 0.7), 0.3)

    assert table_TC[:, ABSTAIN].tolist() == [0.3, 0.3]
    assert table_TC[1, 254] == pytest.approx(0.63)  # .7 · .9


@given(shapes, shapes, st.floats(0, 0.9))
def test_every_row_is_a_distribution(drop, keep, rate):
    tables = [soft_votes(drop, keep), sampled_votes(5, drop, keep)]

    for table_TC in tables:
        missed_TC = miss_votes(table_TC, rate)
        assert missed_TC.sum(axis=1) == pytest.approx([1, 1])
        assert (missed_TC >= 0).all()
