"""Soft votes become counts and Betas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidComparisons
from kompress.pairwise.evidence import Judgments, count_votes, read_votes

NAN = np.nan


@pytest.mark.parametrize(
    ("votes", "strength", "alpha", "beta"),
    [
        ([(NAN, NAN, NAN)], [1], 1, 1),  # a failed call: the prior alone
        ([(0, 0, 0)], [1], 1, 1),
        ([(0, 0, 1)], [1], 1.5, 1.5),  # a tie adds one half to both
        ([(1, 0, 0)], [3], 4, 1),
        # H₂(5/7) = .863121 bits: 1 + 2(.136879 · .5 + .15), 1 + 2(.136879 · .2 + .15)
        ([(0.5, 0.2, 0.3)], [2], 1.436879, 1.354752),
        ([(0.5, 0.5, 0)], [9], 1, 1),  # no opinion
        # H₂(.95) = .286397 bits: 1 + 4 · .713603 · .95, 1 + 4 · .713603 · .05
        ([(0.95, 0.05, 0)], [4], 3.711691, 1.142721),
        ([(1, 0, 0), (0, 1, 0), (NAN, NAN, NAN)], [1, 2, 9], 2, 3),
    ],
)
def test_votes_add_to_the_beta_what_they_are_worth(votes, strength, alpha, beta):
    items = np.zeros(len(votes), int)

    found = count_votes(
        Judgments(items, items + 1, *np.transpose(votes), strength_E=strength),
        num_items=2,
    )

    assert found.alpha_NN[0, 1] == pytest.approx(alpha)
    assert found.beta_NN[0, 1] == pytest.approx(beta)
    assert found.mean_NN[0, 1] == pytest.approx(alpha / (alpha + beta))
    variance = alpha * beta / (alpha + beta) ** 2 / (alpha + beta + 1)
    assert found.sd_NN[0, 1] == pytest.approx(np.sqrt(variance))


def test_who_stood_first_does_not_matter_to_the_counts():
    one = count_votes(
        Judgments([0, 1], [1, 0], [0.9, 0], [0, 0.6], [0.1, 0.4]), num_items=2
    )
    other = count_votes(
        Judgments([0, 0], [1, 1], [0.9, 0.6], [0, 0], [0.1, 0.4]), num_items=2
    )

    assert one.wins_NN == pytest.approx(other.wins_NN)
    assert one.wins_NN == pytest.approx(np.array([[0, 1.5], [0, 0]]))
    assert one.ties_NN == pytest.approx(np.array([[0, 0.5], [0.5, 0]]))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(1, 4),
            st.tuples(*[st.floats(0.01, 1)] * 3),
            st.floats(0, 9),
        ),
        max_size=20,
    )
)
def test_the_votes_of_i_and_j_are_one_beta_seen_from_both_sides(rows):
    first = np.array([row[0] for row in rows], int)
    second = np.array([(row[0] + row[1]) % 5 for row in rows], int)
    p = np.array([row[2] for row in rows]).reshape(-1, 3)
    p /= p.sum(axis=1, keepdims=True)
    strength = np.array([row[3] for row in rows])

    found = count_votes(
        Judgments(first, second, *p.T, strength_E=strength), num_items=5
    )

    assert found.alpha_NN == pytest.approx(found.beta_NN.T)
    assert found.mean_NN + found.mean_NN.T == pytest.approx(np.ones((5, 5)))
    # A tie is counted once and in full, a win never more than once.
    tied = (strength * p[:, 2]).sum()
    assert found.ties_NN.sum() / 2 == pytest.approx(tied)
    assert 0 <= (found.alpha_NN - 1).sum() <= strength.sum() + 1e-9


def test_failed_and_weightless_judgments_are_left_out_by_place():
    votes = read_votes(
        Judgments(
            [0, 1, 2, 0],
            [1, 2, 0, 2],
            [1, NAN, 0, 0],
            [0, NAN, 0, 1],
            [0, NAN, 0, 0],
            strength_E=[1, 1, 1, 0],
        ),
        num_items=3,
    )

    assert votes.place_E.tolist() == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_E": [0, 1]}, "shapes"),
        ({"first_E": [0.5]}, "float64; expected integers"),
        ({"first_E": [3]}, r"items lie in 1\.\.3; expected 0\.\.2"),
        ({"first_E": [-1]}, r"items lie in -1"),
        ({"first_E": [1]}, "item 1 is held against itself"),
        ({"p_first_E": [0.2]}, "sum to 1"),
        ({"p_first_E": [1.7], "p_tie_E": [-0.7]}, "of at least 0"),
        ({"p_first_E": [NAN]}, "three NaN for a failed call"),
        ({"strength_E": [-1.0]}, "a strength is -1.0"),
        ({"strength_E": [np.inf]}, "a strength is inf"),
    ],
)
def test_judgments_that_break_their_contract_are_refused(changes, message):
    given_ = {
        "first_E": [0],
        "second_E": [1],
        "p_first_E": [0.7],
        "p_second_E": [0.0],
        "p_tie_E": [0.3],
    }

    with pytest.raises(InvalidComparisons, match=message):
        count_votes(Judgments(**(given_ | changes)), num_items=3)
