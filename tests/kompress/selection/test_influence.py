import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.errors import InvalidSelection
from kompress.selection.influence import influence

SCORES = arrays(np.float64, 5, elements=st.floats(0, 1))


def test_influence_is_the_mean_squared_change():
    # (.3² + 0 + .6²) / 3 = .15.
    found = influence(np.array([0.9, 0.5, 0.1]), np.array([0.6, 0.5, 0.7]))

    assert found == pytest.approx(0.15)


def test_a_text_without_words_teaches_nothing():
    assert influence(np.zeros(0), np.zeros(0)) == 0.0


@given(SCORES, SCORES)
def test_it_is_a_share_of_the_largest_change_and_0_for_equal_students(seen, unseen):
    assert 0.0 <= influence(seen, unseen) <= 1.0
    assert influence(seen, seen) == 0.0


@pytest.mark.parametrize(
    ("seen", "unseen"), [([0.5], [0.5, 0.5]), ([1.5], [0.5]), ([np.nan], [0.5])]
)
def test_scores_of_other_words_or_out_of_range_are_refused(seen, unseen):
    with pytest.raises(InvalidSelection, match="score the same text"):
        influence(np.array(seen), np.array(unseen))
