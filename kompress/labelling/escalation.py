"""Between two waves: which documents do the votes so far leave the most open?

How open a word is, is the entropy of its mean: whether its P(keep) is .5 or .52 may be
well known, as of voters that toss coins, and its deviation small.

A rule that learns is fitted to what the first waves said, and what gold says of it: of
the words that `kompress.labelling.fit_data` would let count if no wave followed.

W = words of some texts
"""

from collections.abc import Mapping, Sequence

import numpy as np

from kompress.aggregation import make_own_rule
from kompress.aggregation.learned import Learned, Learner
from kompress.config import RoundConfig
from kompress.ensemble.information import entropy_bits
from kompress.labelling.consensus import pool
from kompress.labelling.fit_data import (
    EligibleVotes,
    PatternSums,
    count_joint_votes,
    dependent_voters,
    make_fit_data,
)
from kompress.labelling.panel import Panel, Panels
from kompress.types import FloatArray


class ProvisionalConsensus:
    """Pools the votes of the waves so far by the round's rule.

    Attributes:
        learns: whether the rule learns: it is then fitted to all shards before any is
            pooled.
    """

    def __init__(self, config: RoundConfig, names: Sequence[str]) -> None:
        """Start with nothing learned.

        Args:
            config: the round's.
            names: the voters so far.
        """
        self._names = names
        self._dependent = dependent_voters(config)
        self._rule = make_own_rule(config.aggregation)
        self._sums = PatternSums(len(names))
        self._learned: Learned | None = None
        self.learns = isinstance(self._rule, Learner)

    @property
    def is_ready(self) -> bool:
        """Whether shards can be pooled."""
        return self._learned is not None or not self.learns

    def add(self, found: EligibleVotes) -> None:
        """Count a shard's votes that may be learned from."""
        data = make_fit_data(self._names, found)
        self._sums.add(count_joint_votes(data, self._dependent))

    def fit(self) -> None:
        """Fit the rule to all shards; a rule that does not learn stays as it is."""
        if isinstance(self._rule, Learner):
            self._learned = self._rule.fit(self._sums.merged())

    def pool(self, panel: Panel) -> FloatArray:
        """Give (W,) the mean of the posterior of each word."""
        return pool(Panels(panel, panel), self._rule, self._learned).mean_N


def open_bits(panel: Panel, mean_W: FloatArray) -> dict[int, float]:
    """Give the mean entropy of a word's posterior mean, in bits, by text id."""
    return {
        text_id: float(bits_N.sum() / max(bits_N.size, 1))
        for text_id, bits_N in panel.split(entropy_bits(mean_W)).items()
    }


def most_open(
    bits_of: Mapping[int, float], share: float
) -> tuple[list[int], float | None]:
    """Take the share of documents whose words are the most open.

    Args:
        bits_of: mean entropy by document id.
        share: of all, in [0, 1]; rounded up.

    Returns:
        Their ids, most open first, and the bits of the last one; None where none is
        taken.
    """
    contested = sorted(bits_of, key=lambda document: (-bits_of[document], document))
    num_open = int(np.ceil(share * len(contested)))
    threshold = bits_of[contested[num_open - 1]] if num_open else None
    return contested[:num_open], threshold
