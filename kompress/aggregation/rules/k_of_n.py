"""Drop a word once k voters would: the rule whose paradox the farm must show."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from kompress.aggregation.votes import Block, Pooled, pool_votes, sum_voters
from kompress.errors import InvalidConfig
from kompress.types import FloatArray, Posterior

# N = words, M = voters, C = words of one block


@dataclass(frozen=True, slots=True)
class KOfN:
    """Drop a word if at least k of the voters that voted would drop it.

    A voter drops a word if its P(keep) < 1/2. "Dropped" is thus the k-th largest of
    the voters' indicators, from which follows:

    - what is dropped at k + 1 is dropped at k; k = 1 keeps only what all would keep;
    - if the voters' drops are nested in a stratum (each drops all that the more
      careful one drops), the rule equals the k-th weakest voter there: k = 1 is the
      weakest, k = M the strongest. That is the voting paradox;
    - a word with fewer than k votes is always kept.

    With D drops among V votes the posterior is Beta(1 + V·g, 1 + V·(1 - g)), g being
    the share of keeps bent so that the rule's threshold t = k - 1/2 falls on one half:
    g = 1 - D / (2t) for D < k, else (V - D) / (2 (V - t)). So its mean is >= 1/2
    exactly where the rule keeps, and with k = (V + 1) / 2 it is `majority`'s.

    Attributes:
        k: drops needed, at least 1.

    Raises:
        InvalidConfig: k is not a whole number >= 1.

    Source: k-out-of-n systems, Barlow & Heidtmann 1984; the bent posterior is ours.
    """

    k: int = 2
    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "monotone", "unanimous"}
    )

    def __post_init__(self) -> None:
        k: object = self.k  # a config may hold anything
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise InvalidConfig(
                f"k_of_n: k is {k!r}; expected a whole number >= 1, the drops "
                "that it takes to drop a word"
            )

    def aggregate(
        self, p_NM: ArrayLike, strength: ArrayLike, stratum_N: ArrayLike
    ) -> Posterior:
        """Count the drops, word by word.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: (M,) or (N, M) samples; only tells 0 (no vote) from the rest.
            stratum_N: (N,) codes into `STRATA`; only sorts the weights.

        Returns:
            The posterior; no vote at all gives the prior.

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

        Source: see the class.
        """
        return pool_votes(p_NM, strength, stratum_N, combine=self._combine)

    def _combine(self, block: Block) -> Pooled:
        cast_MC: FloatArray = block.voted_MC.astype(float)
        votes_C = sum_voters(cast_MC)
        drops_C = sum_voters(block.voted_MC & (block.p_MC < 0.5))
        threshold = self.k - 0.5
        # With fewer than k votes the second branch is never taken: any divisor does.
        beyond_C = np.maximum(votes_C - threshold, 0.5)
        share_C = np.where(
            drops_C < self.k,
            1 - drops_C / (2 * threshold),
            (votes_C - drops_C) / (2 * beyond_C),
        )
        return Pooled(1 + votes_C * share_C, 1 + votes_C * (1 - share_C), cast_MC)
