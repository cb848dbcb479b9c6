"""Rows of how votes fall together."""

import numpy as np
import pytest

from kompress.aggregation.pair_rows import pair_rows
from kompress.aggregation.patterns import count_patterns
from kompress.errors import InvalidVotes
from kompress.types import DROP, KEEP, UNKNOWN, PairRow


def test_rows_count_how_votes_fall_together():
    codes_NM = np.array(
        [
            [254, 254],
            [254, 0],
            [254, 0],
            [0, 254],
            [0, 0],
            [0, 0],
            [254, 255],
            [200, 130],
        ],
        dtype=np.uint8,
    )
    truth_N = [KEEP] * 5 + [DROP, KEEP, UNKNOWN]
    patterns = count_patterns(codes_NM, [1, 1], [0] * 7 + [2], truth_N)

    found = pair_rows(("a", "b"), patterns)

    # The seventh word has no vote of b.
    assert found == [
        PairRow("a", "b", "plain", "drop", 0, 0, 0, 1),
        PairRow("a", "b", "plain", "keep", 1, 2, 1, 1),
        PairRow("a", "b", "number", "unknown", 1, 0, 0, 0),
    ]


def test_names_that_are_not_one_a_voter_are_refused():
    patterns = count_patterns([[0.2, 0.3]], [1, 1], [0])
    with pytest.raises(InvalidVotes, match="1 names for 2 voters"):
        pair_rows(("a",), patterns)
