"""How far a voter's probabilities can be believed, and what a vote is worth.

A language model states P(keep), yet most models are surer than they are right. Against
gold, a temperature T brings its probabilities to what comes true, and a strength κ says
how many draws one of its votes counts as: beside a vote of 5 sampled answers, a
probability read from logits has no sample count of its own.

C = byte codes, G = tried values
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.statistics import NUM_CELLS
from kompress.decisions import Calibration
from kompress.errors import InvalidVotes
from kompress.types import NUM_CODES, FloatArray

# A byte's largest logit is ln 509 = 6.2. At T = 16 it becomes P = .60, a mere hint; at
# T = 1/4 the step from one code beside 1/2 to the next is worth .06 in the logit, and a
# steeper curve would read certainty into the rounding of a byte.
TEMPERATURES = (1 / 4, 16.0)
# A vote of P = 1 stands for odds of 1 + κ under the prior Beta(1, 1). At 16 that is
# .944: a teacher that is right to be sure outweighs a rule, three teachers outweigh it.
# At 1/16 it says next to nothing.
STRENGTHS = (1 / 16, 16.0)
# Normal priors on ln T and ln κ, centred on 1. A word at P = .88 (logit 2) tells
# p(1 - p) · 2² = .42 about ln T: 1/.25² = 16 is the say of 38 words. One at P = .9
# tells .05 about ln κ near 1: 1/.5² = 4 is the say of 80.
TEMPERATURE_SD = 0.25
STRENGTH_SD = 0.5
_GRID = 65  # values of each pass; the best one's neighbours bound the next
_PASSES = 6  # ln(64) · (2 / 64)^6 = 4e-9: far below the digits that are kept
_DIGITS = 6


def fit_calibration(histogram: ArrayLike) -> Calibration:
    """Fit a voter's temperature and strength to gold.

    T minimises Σ −ln P(truth) of p' = σ(logit(p) / T), then κ that of the posterior
    mean of one vote alone, (1 + κ p') / (2 + κ), each with its prior. One after the
    other, because T is the voter's own: fitted together, a T below 1 would undo the
    pull of Beta(1, 1) on a vote alone, and be too sure beside other votes.

    Args:
        histogram: (2, 256) counts of byte codes by truth, drop then keep, as
            `code_histogram` gives for a stratum; abstentions do not count. Integers, so
            that shards merge in any order.

    Returns:
        T in [1/4, 16] and κ in [1/16, 16], rounded to 6 digits. T = κ = 1 without a
        word; few words stay near (the priors above). For many words a voter that says
        what comes true gets T = 1 and the largest κ; one that says logit(p) · a gets
        T = a. κ falls where no T fits: sure votes that are wrong, or noise.

    Raises:
        InvalidVotes: the histogram has another shape or negative counts.

    Source: T: Guo et al. 2017, section 4.2 (temperature scaling); κ by the same loss,
        the bounds and priors: ours.
    """
    drop_C, keep_C = _read_histogram(histogram)
    num_words = int(drop_C.sum() + keep_C.sum())
    if not num_words:
        return Calibration()
    code_C = np.arange(NUM_CODES) + 0.5
    logit_C = np.log(code_C) - np.log(NUM_CODES - code_C)

    def temperature_loss(log_G: FloatArray) -> FloatArray:
        x_GC = logit_C / np.exp(log_G)[:, None]
        loss_GC = keep_C * np.logaddexp(0, -x_GC) + drop_C * np.logaddexp(0, x_GC)
        return _with_prior(loss_GC, log_G, TEMPERATURE_SD)

    temperature = _minimise(temperature_loss, TEMPERATURES)
    p_C = 1 / (1 + np.exp(-logit_C / temperature))

    def strength_loss(log_G: FloatArray) -> FloatArray:
        k_G1 = np.exp(log_G)[:, None]
        keep_GC, drop_GC = 1 + k_G1 * p_C, 1 + k_G1 * (1 - p_C)
        both_GC = (keep_C + drop_C) * np.log(2 + k_G1)
        loss_GC = both_GC - keep_C * np.log(keep_GC) - drop_C * np.log(drop_GC)
        return _with_prior(loss_GC, log_G, STRENGTH_SD)

    return Calibration(temperature, _minimise(strength_loss, STRENGTHS), num_words)


def apply_temperature(p: FloatArray, temperature: float) -> FloatArray:
    """Turn P(keep) into what comes true: σ(logit(p) / T).

    Args:
        p: probabilities of any shape, in [0, 1]; NaN, an abstention, stays.
        temperature: T > 0; 1 changes no bit.

    Returns:
        As many probabilities. What was kept at 1/2 is kept, what was dropped dropped.

    Source: Guo et al. 2017, equation 9, for two classes.
    """
    if temperature == 1:
        return p
    with np.errstate(divide="ignore", over="ignore"):  # 0 and 1 stay what they are
        logit = np.log(p) - np.log1p(-p)
        tempered: FloatArray = 1 / (1 + np.exp(-logit / temperature))
    return tempered


def _minimise(
    loss: Callable[[FloatArray], FloatArray], bounds: tuple[float, float]
) -> float:
    """Find the least loss on a grid of logarithms, ever finer around the best.

    No gradient and no start: the same integers give the same bits, and a loss with two
    valleys (a prior's and the data's) is settled by the first grid.
    """
    low, high = np.log(bounds)
    best = 0.0
    for _ in range(_PASSES):
        grid_G = np.linspace(low, high, _GRID)
        n = int(np.argmin(loss(grid_G)))
        best = float(grid_G[n])
        low, high = grid_G[max(n - 1, 0)], grid_G[min(n + 1, _GRID - 1)]
    return float(round(np.exp(best), _DIGITS))


def _with_prior(loss_GC: FloatArray, log_G: FloatArray, sd: float) -> FloatArray:
    prior_G = (log_G / sd) ** 2 / 2
    total_G: FloatArray = loss_GC.sum(axis=1) + prior_G
    return total_G


def _read_histogram(histogram: ArrayLike) -> NDArray[np.int64]:
    """Check the counts; (2, 255), without the abstentions."""
    counts = np.asarray(histogram)
    if counts.shape != (2, NUM_CELLS) or counts.dtype.kind not in "iu":
        raise InvalidVotes(
            f"the histogram is {counts.dtype} of shape {counts.shape}; expected whole "
            f"numbers of shape (2, {NUM_CELLS}), drop then keep"
        )
    if (counts < 0).any():
        raise InvalidVotes(
            f"the histogram holds {counts.min()}; expected counts >= 0; was a shard "
            "subtracted?"
        )
    return counts[:, :NUM_CODES].astype(np.int64)
