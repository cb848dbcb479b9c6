"""Micro-averaged ratios: sums of numerators over sums of denominators, None if 0."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a keep decision met the truth; keep is positive.

    Attributes:
        tp: kept and should be.
        fp: kept and should not be.
        fn: dropped and should not be.
    """

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float | None:
        """Give tp / (tp + fp), None where nothing was kept."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Give tp / (tp + fn), None where nothing should be kept."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """Give 2tp / (2tp + fp + fn), None where nothing was or should be kept."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def __add__(self, other: "Confusion") -> "Confusion":
        """Pool two counts; the micro average is the ratio of the pooled ones."""
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


def ratio(numerator: float, denominator: float) -> float | None:
    """Divide, or None where the denominator is 0; never NaN.

    Source: design §1 "Exactly".
    """
    return None if denominator == 0 else float(numerator) / float(denominator)
