"""What a sample chosen unequally says of the whole corpus.

n = sampled documents
"""

from dataclasses import dataclass

import numpy as np

from kompress.errors import InvalidSelection
from kompress.types import FloatArray


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio over the corpus, with its standard error.

    Attributes:
        value: the ratio, None where its denominator is 0.
        se: standard error, None for fewer than two documents.
    """

    value: float | None
    se: float | None


def hajek_ratio(kept_n: FloatArray, total_n: FloatArray, pi_n: FloatArray) -> Estimate:
    """Estimate Σkept / Σtotal of the corpus from a sample with known probabilities.

    R̂ = Σ(k/π) / Σ(t/π) and se² = n/(n−1) · Σ(1−π)((k − R̂t)/π)² / (Σt/π)².

    Args:
        kept_n: (n,) numerators of the sampled documents.
        total_n: (n,) denominators.
        pi_n: (n,) their inclusion probabilities, in (0, 1].

    Returns:
        The ratio and its standard error; 0 when every π is 1, a census.

    Raises:
        InvalidSelection: lengths differ, or a probability is not in (0, 1].

    Source: design §9; Hájek 1971, variance after Hájek 1964.
    """
    kept_n = np.asarray(kept_n, dtype=np.float64)
    total_n = np.asarray(total_n, dtype=np.float64)
    pi_n = np.asarray(pi_n, dtype=np.float64)
    if not (kept_n.shape == total_n.shape == pi_n.shape and pi_n.ndim == 1):
        raise InvalidSelection(
            f"kept, total and pi have shapes {kept_n.shape}, {total_n.shape} and "
            f"{pi_n.shape}; expected one number each a sampled document"
        )
    if not ((pi_n > 0) & (pi_n <= 1)).all():
        raise InvalidSelection(
            "a sampled document has a probability outside (0, 1]; expected what it "
            "was drawn with; take it from `selections`"
        )
    weighted_total = float((total_n / pi_n).sum())
    if weighted_total == 0:
        return Estimate(None, None)
    value = float((kept_n / pi_n).sum()) / weighted_total
    n = pi_n.size
    if n < 2:
        return Estimate(value, None)
    deviation_n = (kept_n - value * total_n) / pi_n
    variance = n / (n - 1) * float(((1 - pi_n) * deviation_n**2).sum())
    return Estimate(value, float(np.sqrt(variance)) / weighted_total)
