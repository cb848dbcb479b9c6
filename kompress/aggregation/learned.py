"""What a rule that learns from votes offers beside pooling them.

A plain rule only pools. A learner is first fitted to patterns of joint votes; what it
learned is small, is data, and pools any words the same way ever after. Its `aggregate`
without a fit learns from the very words it is given.
"""

from typing import ClassVar, Protocol, runtime_checkable

from numpy.typing import ArrayLike

from kompress.aggregation.patterns import VotePatterns
from kompress.types import JSON, Posterior


class Learned(Protocol):
    """A rule that has been fitted to M voters and pools raw votes of the same M.

    `data` is all of it, as JSON; `Learner.load` brings it back, bit for bit.
    """

    @property
    def data(self) -> JSON:
        """Everything that was learned."""
        ...

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,
    ) -> Posterior:
        """Pool the votes; see `Aggregator.aggregate` for the arguments."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A rule of the registry that can be fitted; it calibrates voters by itself.

    Votes come to it as they were cast: a temperature fitted elsewhere would be learned
    a second time.
    """

    properties: ClassVar[frozenset[str]]

    def fit(self, patterns: VotePatterns) -> Learned:
        """Learn from patterns; gold among them counts as observed truth."""
        ...

    def load(self, data: JSON) -> Learned:
        """Bring back what was learned."""
        ...

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,
    ) -> Posterior:
        """Fit to these words alone, without gold, and pool them."""
        ...
