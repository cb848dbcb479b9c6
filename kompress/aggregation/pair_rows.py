"""Lay out how each pair of voters' votes fall together, from counted patterns.

P = patterns, M = voters, R = rows (stratum and truth), O = outcomes
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from kompress.aggregation.pairs import TRUTHS, IntArray, count_pair, sides_of
from kompress.aggregation.patterns import VotePatterns
from kompress.errors import InvalidVotes
from kompress.types import DROP, KEEP, STRATA, PairRow


def pair_rows(names: Sequence[str], patterns: VotePatterns) -> list[PairRow]:
    """Lay out how voters' votes fall together, for the table `voter_pairs`.

    Args:
        names: M names in the order of the patterns' columns.
        patterns: joint votes with what is known of the truth; `count_patterns` makes
            them of words, and shards' merge.

    Returns:
        A row for each pair, stratum and truth that both voted in.

    Raises:
        InvalidVotes: there are not as many names as voters.

    Source: ours.
    """
    if len(names) != patterns.num_voters:
        raise InvalidVotes(
            f"there are {len(names)} names for {patterns.num_voters} voters; expected "
            "one each, in the columns' order"
        )
    truth_P = np.select(
        [patterns.truth_P == DROP, patterns.truth_P == KEEP], [0, 1], default=2
    )
    row_P = patterns.stratum_P.astype(np.intp) * 3 + truth_P
    keep_PM, voted_PM = sides_of(patterns.code_PM)
    return [
        row
        for pair in combinations(range(len(names)), 2)
        for row in _rows_of(
            (names[pair[0]], names[pair[1]]),
            count_pair(
                keep_PM, voted_PM, pair, row_P, len(STRATA) * 3, patterns.count_P
            ),
        )
    ]  # fmt: skip


def _rows_of(names: tuple[str, str], counts_RO: IntArray) -> Iterator[PairRow]:
    for row, (drop, other, voter, keep) in enumerate(counts_RO.tolist()):
        if drop + other + voter + keep:
            stratum, truth = STRATA[row // 3], TRUTHS[row % 3]
            yield PairRow(*names, stratum, truth, keep, voter, other, drop)
