"""Cycles through all items, and counts that become edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from kompress.errors import InvalidComparisons
from kompress.pairwise.graph import find_components, hamiltonian_pairs, read_edges


def adjacency(pairs, num_items):
    graph = np.zeros((num_items, num_items))
    for i, j in pairs:
        graph[i, j] = graph[j, i] = 1
    return graph


@given(
    st.integers(2, 40),
    st.integers(1, 6),
    st.integers(0, 2**32).map(np.random.default_rng),
)
def test_cycles_connect_all_items_with_distinct_pairs(num_items, num_cycles, seed):
    pairs = hamiltonian_pairs(num_items, num_cycles, np.random.default_rng(seed))

    graph = adjacency(pairs, num_items)
    assert len(set(pairs)) == len(pairs) == graph.sum() / 2
    assert all(0 <= i < j < num_items for i, j in pairs)
    assert connected_components(graph)[0] == 1
    assert graph.sum(axis=0).max() <= max(2 * num_cycles, 1)
    assert len(pairs) <= min(num_cycles * num_items, num_items * (num_items - 1) // 2)


@pytest.mark.parametrize(
    ("cycles", "least", "most"), [(1, 100, 100), (2, 196, 200), (4, 386, 400)]
)
def test_a_hundred_items_get_almost_all_the_partners_that_cycles_allow(
    cycles, least, most
):
    for seed in range(20):
        pairs = hamiltonian_pairs(100, cycles, np.random.default_rng(seed))

        assert least <= len(pairs) <= most


def test_of_few_items_every_pair_is_compared():
    rng = np.random.default_rng(0)

    assert hamiltonian_pairs(2, 1, rng) == [(0, 1)]
    assert hamiltonian_pairs(3, 5, rng) == [(0, 1), (0, 2), (1, 2)]
    assert len(hamiltonian_pairs(5, 2, rng)) == 10


def test_the_same_seed_gives_the_same_pairs():
    one, other = (hamiltonian_pairs(30, 2, np.random.default_rng(7)) for _ in range(2))

    assert one == other


@pytest.mark.parametrize(("num_items", "num_cycles"), [(1, 1), (0, 2), (5, 0)])
def test_no_cycle_goes_through_fewer_than_two_items(num_items, num_cycles):
    with pytest.raises(InvalidComparisons, match="expected at least 2 items"):
        hamiltonian_pairs(num_items, num_cycles, np.random.default_rng(0))


def test_edges_hold_each_pair_once_with_both_counts():
    wins = [[0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0.5, 0, 0, 0]]
    ties = [[0, 0, 0, 0], [0, 0, 3, 0], [0, 3, 0, 0], [0, 0, 0, 0]]

    edges = read_edges(wins, ties, prior=1)

    rows = zip(
        edges.first_E,
        edges.second_E,
        edges.wins_E,
        edges.losses_E,
        edges.ties_E,
        strict=True,
    )
    assert list(rows) == [(0, 1, 2, 1, 0), (0, 3, 0, 0.5, 0), (1, 2, 0, 0, 3)]


def test_components_are_told_apart():
    component = find_components([0, 1, 3], [1, 2, 4], 6)

    assert component.tolist() == [0, 0, 0, 1, 1, 2]


CHAIN = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
TWO_GOOD_PAIRS_AND_A_BAD_ONE = np.kron(np.eye(3), [[0, 1], [1, 0]])
TWO_GOOD_PAIRS_AND_A_BAD_ONE[5, 4] = 0


@pytest.mark.parametrize(
    ("wins", "ties", "prior", "message"),
    [
        (np.zeros((2, 3)), None, 1, "square"),
        ([[0, -1], [0, 0]], None, 1, r"\[-1.0, 0.0\]"),
        ([[0, np.nan], [0, 0]], None, 1, "expected finite counts"),
        ([[0, np.inf], [0, 0]], None, 1, "expected finite counts"),
        ([[0, 1], [1, 2]], None, 1, "item 1 against itself"),
        (np.zeros((3, 3)), None, 1, "no comparison between 3 items"),
        (np.zeros((0, 0)), None, 1, "no comparison between 0 items"),
        ([[0, 1], [1, 0]], [[0, 1], [0, 0]], 1, "ties symmetric"),
        ([[0, 1], [1, 0]], np.zeros((3, 3)), 1, "one shape"),
        ([[0, 1], [1, 0]], None, -1, "prior -1"),
        ([[0, 1], [1, 0]], None, np.nan, "prior nan"),
        ([[0, 1], [1, 0]], None, 1e300, "prior 1e\\+300"),
        ([[0, 1e308], [1e308, 0]], None, 1, "wins sum to inf"),
        ([[0, 1e50], [1, 0]], None, 1, r"wins sum to 1e\+50; expected at most 2"),
        ([[0, 1], [1, 0]], [[0, 1e300], [1e300, 0]], 1, "ties sum to 2e\\+300"),
        (CHAIN, None, 0, "pass prior > 0"),
        # Two good components hide no bad third one.
        (
            np.kron(np.eye(3), [[0, 1], [1, 0]]) - np.eye(6)[[5]].T * np.eye(6)[[4]],
            None,
            0,
            "item 4",
        ),
    ],
)
def test_counts_that_break_their_contract_are_refused(wins, ties, prior, message):
    with pytest.raises(InvalidComparisons, match=message):
        read_edges(wins, ties, prior=prior)


def test_ties_hold_a_group_together_where_wins_do_not():
    ties = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]])

    assert len(read_edges(CHAIN, ties, prior=0).first_E) == 3
