"""What a voter says given the truth: exact masses of byte codes.

Every likelihood of a world is such a table, so a draw and its posterior are of one
model, quantisation included.

C = byte codes (256, the last one an abstention), T = truths (drop, keep)
"""

import numpy as np
from scipy.stats import beta as beta_law
from scipy.stats import betabinom

from kompress.types import ABSTAIN, NUM_CODES, FloatArray, encode_votes

HARD_KEEP, HARD_DROP = NUM_CODES - 1, 0


def hard_votes(sensitivity: float, specificity: float) -> FloatArray:
    """Tabulate a voter that says keep or drop and nothing between.

    Args:
        sensitivity: P(says keep | keep), in [0, 1].
        specificity: P(says drop | drop), in [0, 1].

    Returns:
        (T, C) masses; rows sum to 1.

    Source: Dawid & Skene 1979, two classes.
    """
    table_TC = np.zeros((2, NUM_CODES + 1))
    table_TC[:, HARD_KEEP] = 1 - specificity, sensitivity
    table_TC[:, HARD_DROP] = specificity, 1 - sensitivity
    return table_TC


def soft_votes(drop: tuple[float, float], keep: tuple[float, float]) -> FloatArray:
    """Tabulate a voter whose stated P(keep) follows a Beta law given the truth.

    Args:
        drop: the law's (a, b) > 0 where the word is to be dropped.
        keep: (a, b) where it is to be kept.

    Returns:
        (T, C) masses: code c holds the law's mass on [c/255, (c+1)/255].

    Source: ours.
    """
    edge_C = np.arange(NUM_CODES + 1) / NUM_CODES
    table_TC = np.zeros((2, NUM_CODES + 1))
    for row_C, (a, b) in zip(table_TC, (drop, keep), strict=True):
        # Near 1 differences of the distribution function cancel; the survival
        # function's do not.
        low_C = np.diff(beta_law.cdf(edge_C, a, b))
        high_C = -np.diff(beta_law.sf(edge_C, a, b))
        row_C[:NUM_CODES] = np.where(edge_C[1:] <= a / (a + b), low_C, high_C)
    return table_TC


def sampled_votes(
    num_samples: int, drop: tuple[float, float], keep: tuple[float, float]
) -> FloatArray:
    """Tabulate a voter asked several times that answers keep or drop each time.

    A word has its own P(keep), Beta(a, b) given the truth, so the number of keeps is
    beta-binomial: more spread than as many independent answers.

    Args:
        num_samples: answers behind a vote, at least 1; the vote is the share of keeps.
        drop: (a, b) > 0 where the word is to be dropped.
        keep: (a, b) where it is to be kept.

    Returns:
        (T, C) masses on `num_samples` + 1 codes.

    Source: Skellam 1948, the beta-binomial law.
    """
    keeps = np.arange(num_samples + 1)
    codes = encode_votes(keeps / num_samples)
    table_TC = np.zeros((2, NUM_CODES + 1))
    for row_C, (a, b) in zip(table_TC, (drop, keep), strict=True):
        row_C[codes] = betabinom.pmf(keeps, num_samples, a, b)
    return table_TC


def miss_votes(table_TC: FloatArray, rate: float) -> FloatArray:
    """Let a voter abstain at random, whatever the truth.

    Args:
        table_TC: (T, C) masses without abstentions; leading axes are allowed.
        rate: share of votes that are missing, in [0, 1].

    Returns:
        As many masses.

    Source: ours.
    """
    missed_TC = table_TC * (1 - rate)
    missed_TC[..., ABSTAIN] = rate
    return missed_TC
