"""Reliability diagrams: what voters state beside what came true.

The farm reads and draws those that SQL makes, and tests hold SQL to this definition.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kompress.aggregation.statistics import NUM_CELLS
from kompress.errors import InvalidVotes
from kompress.types import NUM_CODES

NUM_BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The votes whose P(keep) lies in one tenth of [0, 1].

    Attributes:
        stated: mean stated P(keep); None without votes.
        observed: share of their words that are to be kept; None without votes.
        n: how many votes.
    """

    stated: float | None
    observed: float | None
    n: int


def reliability_diagram(
    histogram: ArrayLike, num_bins: int = NUM_BINS
) -> tuple[Bin, ...]:
    """Lay a voter's probabilities beside the truth.

    Args:
        histogram: (2, 256) counts of byte codes by truth, drop then keep; abstentions
            do not count.
        num_bins: bins of equal width over [0, 1], at least 1, those of
            `expected_calibration_error`: that is Σ (n/N) |stated - observed|.

    Returns:
        The bins in order, empty ones too. With ten of them the column `diagram` of the
        view `voter_quality`, digit by digit: sums are whole numbers up to one division.

    Raises:
        InvalidVotes: the histogram has another shape, or there is no bin.

    Source: DeGroot & Fienberg 1983; Niculescu-Mizil & Caruana 2005, section 4.
    """
    counts_2C = np.asarray(histogram, dtype=np.int64)
    if counts_2C.shape != (2, NUM_CELLS) or num_bins < 1:
        raise InvalidVotes(
            f"the histogram has shape {counts_2C.shape} for {num_bins} bins; expected "
            f"(2, {NUM_CELLS}) and at least one bin"
        )
    # Code c stands for (2c + 1) / 510.
    doubled_C = 2 * np.arange(NUM_CODES) + 1
    bin_C = doubled_C * num_bins // (2 * NUM_CODES)
    drop_C, keep_C = counts_2C[:, :NUM_CODES]
    found = []
    for number in range(num_bins):
        own_C = bin_C == number
        kept = int(keep_C[own_C].sum())
        n = kept + int(drop_C[own_C].sum())
        doubled = int((doubled_C * (drop_C + keep_C))[own_C].sum())
        found.append(
            Bin(doubled / (2 * NUM_CODES * n), kept / n, n) if n else Bin(None, None, 0)
        )
    return tuple(found)
