import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidSelection
from kompress.selection.frontier import pareto_frontier

GRID = st.sampled_from([0.5, 0.6, 0.7, 0.8])


def test_the_frontier_by_hand():
    # (.8, .95) is beaten by (.7, .96), (.9, .96) by the same; equal points stay both.
    points = [
        (0.5, 0.8),
        (0.7, 0.96),
        (0.8, 0.95),
        (0.9, 0.96),
        (0.9, 0.99),
        (0.5, 0.8),
    ]

    on = pareto_frontier(*zip(*points, strict=True))

    assert on.tolist() == [True, True, False, False, True, True]


def test_no_point_has_no_frontier():
    assert pareto_frontier([], []).tolist() == []


@pytest.mark.parametrize("qualities", [[0.5], [0.5, np.nan]])
def test_points_that_were_not_measured_are_refused(qualities):
    with pytest.raises(InvalidSelection, match="leave out"):
        pareto_frontier([0.5, 0.6], qualities)


@given(st.lists(st.tuples(GRID, GRID), max_size=12))
def test_a_point_is_on_the_frontier_unless_another_beats_it(points):
    on = pareto_frontier(*(zip(*points, strict=True) if points else ([], [])))

    for (rate, quality), is_on in zip(points, on.tolist(), strict=True):
        beaten = any(
            r <= rate and q >= quality and (r < rate or q > quality) for r, q in points
        )
        assert is_on is not beaten
