"""How good a posterior is on words whose truth a world knows.

N = words, M = voters, S = strata, Z = seeds, 4 = TP, FN, FP, TN
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from benchmarks.worlds.draws import Draw
from kompress.aggregation.statistics import (
    NUM_CELLS,
    confusion,
    expected_calibration_error,
)
from kompress.types import ABSTAIN, KEEPS_FROM, FloatArray
from kompress.types import encode_votes as encode

IntArray = NDArray[np.int64]

# The incomplete Beta function is the slowest step; words are in random order.
COVERAGE_WORDS = 4_000
TAIL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """One rule on one draw, on its words without gold.

    Attributes:
        confusion_S4: (S, 4) counts by stratum; a word is kept where the mean >= 1/2.
        log_loss: mean of -ln P(truth), in nats.
        ece: expected calibration error, 10 bins.
        coverage: share of words whose Bayes-optimal probability lies in the
            posterior's central 90 % interval; NaN for a posterior without variance.
        seconds: of fitting and pooling.
        sd: mean standard deviation of the posteriors; NaN for one without.
        undetectable: strata on which the rule says that it could not see all voters
            being wrong; None if it says nothing of the kind.
    """

    confusion_S4: IntArray
    log_loss: float
    ece: float
    coverage: float
    seconds: float
    sd: float = float("nan")
    undetectable: tuple[str, ...] | None = None


def score_posterior(
    draw: Draw,
    alpha_N: FloatArray,
    beta_N: FloatArray,
    seconds: float,
    undetectable: tuple[str, ...] | None = None,
) -> Score:
    """Score a rule's Beta posteriors.

    Args:
        draw: N words with their truth.
        alpha_N: (N,) pseudo-counts for keep, > 0.
        beta_N: (N,) pseudo-counts for drop, > 0.
        seconds: what making them took.
        undetectable: strata that the rule warns of.

    Source: ours.
    """
    rows = np.flatnonzero(~draw.gold_N)[:COVERAGE_WORDS]
    below_N = betainc(alpha_N[rows], beta_N[rows], draw.bayes_N[rows])
    size_N = alpha_N + beta_N
    mean_N = alpha_N / size_N
    sd_N = np.sqrt(mean_N * (1 - mean_N) / (size_N + 1))
    return replace(
        _score(draw, mean_N),
        coverage=float(((below_N >= TAIL) & (below_N <= 1 - TAIL)).mean()),
        seconds=seconds,
        sd=float(sd_N[~draw.gold_N].mean()),
        undetectable=undetectable,
    )


def score_bayes(draw: Draw) -> Score:
    """Score the world's own posterior."""
    return _score(draw, draw.bayes_N)


def count_voters(draw: Draw) -> IntArray:
    """Count (M, S, 4): each voter alone, on words without gold that it voted on."""
    open_N = ~draw.gold_N
    counts = []
    for code_N in draw.code_NM.T:
        here_N = open_N & (code_N != ABSTAIN)
        keep_N = code_N >= KEEPS_FROM
        counts.append(confusion(keep_N, draw.truth_N, draw.stratum_N, here_N))
    return np.stack(counts)


def f1_of(confusion_Z4: IntArray) -> FloatArray:
    """(..., 4) counts to F1 of the words to keep."""
    tp, fn, fp, _ = np.moveaxis(confusion_Z4.astype(np.float64), -1, 0)
    f1: FloatArray = 2 * tp / (2 * tp + fn + fp)
    return f1


def mean_of(values: FloatArray | Sequence[float]) -> tuple[float, float]:
    """Mean over seeds and its standard error, 0 for one seed."""
    values_Z = np.asarray(values, dtype=np.float64)
    mean = float(values_Z.mean())
    if values_Z.size < 2:
        return mean, 0.0
    return mean, float(values_Z.std(ddof=1) / np.sqrt(values_Z.size))


def _score(draw: Draw, mean_N: FloatArray) -> Score:
    """Score probabilities, which have no variance and took no time."""
    open_N = ~draw.gold_N
    said_N, truth_N = mean_N[open_N], draw.truth_N[open_N]
    right_N = np.where(truth_N, said_N, 1 - said_N)
    histogram = np.zeros((2, NUM_CELLS), dtype=np.int64)
    np.add.at(histogram, (truth_N.astype(np.intp), encode(said_N)), 1)
    return Score(
        confusion(mean_N >= 0.5, draw.truth_N, draw.stratum_N, open_N),
        float(-np.log(right_N).mean()),
        expected_calibration_error(histogram) or 0.0,
        float("nan"),
        0.0,
    )
