"""One voter, one vote: the plain majority, blind to how sure anybody is."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from kompress.aggregation.votes import Block, Pooled, pool_votes, sum_voters
from kompress.types import FloatArray, Posterior

# N = words, M = voters, C = words of one block


@dataclass(frozen=True, slots=True)
class Majority:
    """Keep a word if at least half of the voters that voted would; ties keep.

    A voter votes keep if its P(keep) >= 1/2. With K keeps and D drops the posterior is
    Beta(1 + K, 1 + D): sample counts, sharpness and strata change nothing.

    Source: Condorcet 1785 for the rule; the Beta(1, 1) prior is Laplace's.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "monotone", "unanimous"}
    )

    def aggregate(
        self, p_NM: ArrayLike, strength: ArrayLike, stratum_N: ArrayLike
    ) -> Posterior:
        """Count heads, word by word.

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
        return pool_votes(p_NM, strength, stratum_N, combine=_combine)


def _combine(block: Block) -> Pooled:
    cast_MC: FloatArray = block.voted_MC.astype(float)
    keeps_C = sum_voters(block.voted_MC & (block.p_MC >= 0.5))
    return Pooled(1.0 + keeps_C, 1.0 + sum_voters(cast_MC) - keeps_C, cast_MC)
