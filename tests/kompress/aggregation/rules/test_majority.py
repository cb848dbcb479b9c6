"""Heads are counted; sharpness and samples are not."""

from itertools import product

import numpy as np
import pytest

from kompress.aggregation.rules.majority import Majority


@pytest.mark.parametrize(
    ("votes", "mean"),
    [
        ([np.nan, np.nan, np.nan], 1 / 2),  # the prior alone
        ([0.5, 0.4, np.nan], 2 / 4),  # one keep (ties keep), one drop: (1+1)/(2+2)
        ([0.51, 0.6, 0.0], 3 / 5),  # (1 + 2) / (2 + 3)
        ([0.49, 0.0, 1.0], 2 / 5),  # (1 + 1) / (2 + 3)
    ],
)
def test_the_mean_is_laplaces_share_of_keeps(votes, mean):
    posterior = Majority().aggregate([votes], [1, 50, 1], [0])

    assert posterior.mean_N == pytest.approx([mean])


@pytest.mark.parametrize(("num_voters", "accuracy"), [(3, 0.939), (9, 0.994)])
def test_independent_voters_right_with_085_reach_condorcets_accuracy(
    num_voters, accuracy
):
    # facts/mathematics.md: M=3 .939, M=9 .994 at rho = 0. Every pattern, exactly.
    patterns = np.array(list(product([0.0, 1.0], repeat=num_voters)))
    chance = np.where(patterns == 1, 0.85, 0.15).prod(axis=1)

    posterior = Majority().aggregate(
        patterns, np.ones(num_voters), np.zeros(len(patterns), int)
    )

    assert chance[posterior.mean_N >= 0.5].sum() == pytest.approx(accuracy, abs=5e-4)
