import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidSelection
from kompress.selection.probabilities import (
    inclusion_probabilities,
    pooled_probability,
    training_weights,
    with_random_slice,
)


def test_probabilities_follow_residuals_and_the_uniform_share():
    # Mean 4/3, r = 3/4, 3/4, 3/2; q is .8 r + .2 = .8, .8, 1.4, in all 3; times n = 2.
    pi_N = inclusion_probabilities(
        np.array([1.0, 1.0, 2.0]), 2, uniform_share=0.2, gamma=1.0
    )

    assert pi_N == pytest.approx([1.6 / 3, 1.6 / 3, 2.8 / 3])


def test_gamma_raises_the_scaled_residual_before_the_uniform_share_is_added():
    # r = 1/2, 3/2; squared 1/4, 9/4; .5 q + .5 = .625, 1.625, in all 2.25; n = 1.
    pi_N = inclusion_probabilities(
        np.array([1.0, 3.0]), 1, uniform_share=0.5, gamma=2.0
    )

    assert pi_N == pytest.approx([0.625 / 2.25, 1.625 / 2.25])


def test_a_document_that_exceeds_one_is_certain_and_the_rest_is_rescaled():
    # r = 1/3, 1/3, 1/3, 3 and n = 2: 2 * 3/4 >= 1, so one of two is left for three.
    pi_N = inclusion_probabilities(
        np.array([1.0, 1.0, 1.0, 9.0]), 2, uniform_share=0.0, gamma=1.0
    )

    assert pi_N == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0])


def test_rescaling_can_make_a_second_document_certain():
    # n = 3 of sizes 20, 6, 3, 3: first 60/32 >= 1, then 2 * 6/12 = 1 as well, and one
    # is left for two.
    pi_N = inclusion_probabilities(
        np.array([20.0, 6.0, 3.0, 3.0]), 3, uniform_share=0.0, gamma=1.0
    )

    assert pi_N.tolist() == [1.0, 1.0, 0.5, 0.5]


@pytest.mark.parametrize("residuals", [[0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
def test_equal_residuals_give_a_uniform_draw(residuals):
    pi_N = inclusion_probabilities(np.array(residuals), 2, uniform_share=0.0, gamma=1.0)

    assert pi_N.tolist() == [0.5] * 4


def test_a_budget_of_the_whole_corpus_takes_everything():
    pi_N = inclusion_probabilities(
        np.array([1.0, 0.0]), 5, uniform_share=0.0, gamma=1.0
    )

    assert pi_N.tolist() == [1.0, 1.0]


def test_budget_left_over_is_shared_by_documents_without_residual():
    pi_N = inclusion_probabilities(
        np.array([4.0, 0.0, 0.0]), 2, uniform_share=0.0, gamma=1.0
    )

    assert pi_N.tolist() == [1.0, 0.5, 0.5]


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_residual_that_is_no_size_is_refused(wrong):
    with pytest.raises(InvalidSelection, match="1 are negative or not finite"):
        inclusion_probabilities(np.array([1.0, wrong]), 1, uniform_share=0.2, gamma=1.0)


def test_a_share_outside_zero_to_one_is_refused():
    with pytest.raises(InvalidSelection, match=r"uniform_share 1\.5"):
        inclusion_probabilities(np.ones(3), 1, uniform_share=1.5, gamma=1.0)


def test_a_random_slice_is_another_chance():
    pi_N = with_random_slice(np.array([0.0, 0.5, 1.0]), 0.1)

    assert pi_N == pytest.approx([0.1, 0.55, 1.0])  # 1 - .5 * .9 = .55


def test_rounds_are_pooled_as_independent_chances():
    pi_RN = np.array([[0.5, 0.0, 1.0], [0.5, 0.2, 0.3]])

    assert pooled_probability(pi_RN) == pytest.approx([0.75, 0.2, 1.0])


def test_training_weights_undo_the_sampling_up_to_the_clip():
    # n / (N π) with n = 2, N = 4: 1/2 divided by π; 1/2 / 1/100 = 50 is clipped.
    weights_N = training_weights(np.array([0.5, 1.0, 0.25, 0.01]), 2, 10.0)

    assert weights_N == pytest.approx([1.0, 0.5, 2.0, 10.0])


def test_training_weights_of_a_sample_need_the_size_of_the_corpus():
    weights_n = training_weights(np.array([0.5, 0.25]), 2, 10.0, num_population=4)

    assert weights_n == pytest.approx([1.0, 2.0])


def test_a_probability_above_one_is_refused():
    with pytest.raises(InvalidSelection, match=r"expected \[0, 1\]"):
        training_weights(np.array([1.5]), 1, 10.0)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=60),
    st.data(),
    st.floats(0, 1),
    st.floats(0, 4),
)
def test_probabilities_add_up_to_the_budget(residuals, data, uniform_share, gamma):
    n = data.draw(st.integers(0, len(residuals)))

    pi_N = inclusion_probabilities(
        np.array(residuals), n, uniform_share=uniform_share, gamma=gamma
    )

    assert pi_N.min() >= 0
    assert pi_N.max() <= 1
    assert float(pi_N.sum()) == pytest.approx(n, abs=1e-9)
