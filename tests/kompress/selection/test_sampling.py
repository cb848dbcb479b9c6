import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidSelection
from kompress.selection.sampling import (
    inclusion_probabilities,
    pooled_probability,
    systematic_sample,
    training_weights,
    with_random_slice,
)
from tests.kompress.selection.hajek import hajek_ratio


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


def test_documents_are_chosen_as_often_as_their_probability_says():
    pi_N = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 1.0])  # 3 in all
    rng = np.random.default_rng(0)
    times_N, pairs_NN = np.zeros(7), np.zeros((7, 7))

    for _ in range(5_000):
        chosen = systematic_sample(pi_N, rng)
        assert len(chosen) == 3
        times_N[chosen] += 1
        pairs_NN[np.ix_(chosen, chosen)] += 1

    # The sd of a frequency is at most sqrt(.25 / 5000) = .007: four of them.
    assert times_N / 5_000 == pytest.approx(pi_N, abs=0.028)
    assert times_N[6] == 5_000
    # A random order leaves no pair without a chance; a variance needs every pair.
    assert pairs_NN.min() > 0


def test_the_same_seed_chooses_the_same_documents():
    pi_N = np.full(100, 0.2)

    one = systematic_sample(pi_N, np.random.default_rng(5))
    two = systematic_sample(pi_N, np.random.default_rng(5))

    assert one.tolist() == two.tolist()


def test_a_sum_that_is_no_whole_number_gives_one_of_its_neighbours():
    rng = np.random.default_rng(1)

    sizes = [len(systematic_sample(np.full(5, 0.5), rng)) for _ in range(400)]

    assert set(sizes) == {2, 3}
    assert np.mean(sizes) == pytest.approx(2.5, abs=0.1)  # four sd of .5 / sqrt(400)


@pytest.mark.parametrize(
    ("pi", "chosen"), [([], []), ([0.0, 0.0], []), ([1, 1], [0, 1])]
)
def test_nothing_and_everything_can_be_chosen(pi, chosen):
    found = systematic_sample(np.array(pi, dtype=float), np.random.default_rng(0))

    assert found.tolist() == chosen


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_a_probability_that_is_none_is_refused(wrong):
    with pytest.raises(InvalidSelection, match=r"within \[0, 1\]"):
        systematic_sample(np.array([0.5, wrong]), np.random.default_rng(0))


@given(
    st.lists(st.floats(0, 1e9), min_size=1, max_size=200),
    st.data(),
    st.integers(0, 2**32),
)
def test_the_sample_has_exactly_the_size_of_the_budget(residuals, data, seed):
    n = data.draw(st.integers(0, len(residuals)))
    pi_N = inclusion_probabilities(np.array(residuals), n, uniform_share=0.1, gamma=1.0)

    chosen = systematic_sample(pi_N, np.random.default_rng(seed))

    assert len(chosen) == n
    assert (np.diff(chosen) > 0).all()


def test_the_corpus_ratio_and_its_error_are_those_worked_by_hand():
    # Σk/π = 1/.5 + 2 = 4, Σt/π = 2/.5 + 2 = 6, R = 2/3. Only the first document is
    # uncertain: (1 - 4/3) / .5 = -2/3, se² = 2/1 * .5 * 4/9 / 36 = 1/81.
    value, se = hajek_ratio(np.array([1, 2]), np.array([2, 2]), np.array([0.5, 1.0]))

    assert value == pytest.approx(2 / 3)
    assert se == pytest.approx(1 / 9)


@pytest.mark.slow
def test_ninety_five_per_cent_intervals_cover_the_corpus_ratio_that_often():
    rng = np.random.default_rng(0)
    total_N = rng.integers(5, 60, size=600)
    quality_N = rng.beta(4, 2, size=600)
    kept_N = rng.binomial(total_N, quality_N)
    truth = kept_N.sum() / total_N.sum()
    # Documents that are kept badly are chosen more often: the naive ratio is biased.
    pi_N = inclusion_probabilities(1 - quality_N, 90, uniform_share=0.2, gamma=1.0)

    covered, naive, values = 0, [], []
    for _ in range(1_000):
        n = systematic_sample(pi_N, rng)
        value, se = hajek_ratio(kept_N[n], total_N[n], pi_N[n])
        covered += abs(value - truth) <= 1.96 * se
        values.append(value)
        naive.append(kept_N[n].sum() / total_N[n].sum())

    # The sd of the coverage is sqrt(.95 * .05 / 1000) = .007.
    assert 0.92 <= covered / 1_000 <= 0.98
    assert np.mean(values) == pytest.approx(truth, abs=0.005)
    assert np.mean(naive) < truth - 0.03
