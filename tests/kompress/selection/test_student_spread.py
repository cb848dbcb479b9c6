import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.errors import InvalidSelection
from kompress.selection.student_spread import StudentSpread


def test_the_variance_of_a_bin_is_that_between_the_students_in_it():
    # 1,000 words at .2 and .4: variance (.1² + .1²) / 1 = .02, in bins 2 and 4. As many
    # at .9 and .9: 0. The mean over all words is .01, worth 20 words in every bin:
    # (1000 * .02 + 20 * .01) / 1020 = .0198 and 20 * .01 / 2020 = .000099.
    score_KN = np.repeat([[0.2, 0.9], [0.4, 0.9]], 1_000, axis=1)

    spread = StudentSpread.fit(score_KN)

    assert spread.num_words == 2_000
    assert spread.variance([0.25, 0.45, 0.95]) == pytest.approx(
        [0.0198039, 0.0198039, 0.000099], rel=1e-3
    )
    # Nobody said anything about this bin: what holds on average.
    assert spread.variance([0.65]) == pytest.approx([0.01])


def test_one_student_or_no_words_tell_no_variance():
    assert StudentSpread.fit(np.full((1, 5), 0.5)) is None
    assert StudentSpread.fit(np.zeros((3, 0))) is None


def test_certain_scores_lie_in_the_outer_bins():
    spread = StudentSpread.fit(np.array([[0.0, 1.0], [0.0, 1.0]]))

    assert spread.variance([0.0, 1.0]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("score", [-0.1, 1.1, np.nan])
def test_a_score_outside_the_range_is_refused(score):
    with pytest.raises(InvalidSelection, match="a row a fold student"):
        StudentSpread.fit(np.array([[score], [0.5]]))


def test_students_of_disjoint_documents_show_the_variance_of_one_student():
    # A score is the mean of 50 coin tosses of bias p: its variance is p (1 - p) / 50.
    rng = np.random.default_rng(0)
    score_KN = rng.binomial(50, 0.5, size=(2, 20_000)) / 50

    spread = StudentSpread.fit(score_KN)

    # By score it is less in the middle and more at the ends, on average it is right.
    found = spread.variance(score_KN.ravel()).mean()
    assert found == pytest.approx(0.25 / 50, rel=0.02)
    assert spread.variance([0.5])[0] < found < spread.variance([0.75])[0]


@given(arrays(np.float64, (3, 12), elements=st.floats(0, 1)))
def test_a_variance_is_never_negative_nor_above_that_of_a_coin(score_KN):
    spread = StudentSpread.fit(score_KN)

    variance = spread.variance(score_KN.ravel())

    # Three scores in [0, 1] vary by at most 1/3: two at one end, one at the other.
    assert ((variance >= 0) & (variance <= 1 / 3 + 1e-12)).all()
    turned = StudentSpread.fit(score_KN[::-1])
    assert turned.variance_B == pytest.approx(spread.variance_B)
