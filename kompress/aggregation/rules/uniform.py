"""The plain mean of what the voters say: soft votes, all of the same weight."""

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from kompress.aggregation.votes import Block, Pooled, pool_votes, sum_voters
from kompress.types import FloatArray, Posterior

# N = words, M = voters, C = words of one block


@dataclass(frozen=True, slots=True)
class Uniform:
    """Average P(keep) over the voters that voted, whatever their strength.

    With V votes of mean μ = Σ p_m / V the posterior is Beta(1 + V μ, 1 + V (1 - μ)): V
    votes are worth V draws, as in `majority`, which it equals where every vote is 0
    or 1. It keeps a word exactly where μ >= 1/2.

    Source: the linear opinion pool with equal weights, Stone 1961; the worth of a
    draw a vote, and the prior Beta(1, 1), are ours.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "monotone", "unanimous"}
    )

    def aggregate(
        self, p_NM: ArrayLike, strength: ArrayLike, stratum_N: ArrayLike
    ) -> Posterior:
        """Average the votes, word by word.

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
    keep_C = sum_voters(cast_MC * block.p_MC)
    drop_C = sum_voters(cast_MC * (1 - block.p_MC))
    return Pooled(1 + keep_C, 1 + drop_C, cast_MC)
