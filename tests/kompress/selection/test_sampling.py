import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidSelection
from kompress.selection.probabilities import inclusion_probabilities
from kompress.selection.sampling import systematic_sample


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
