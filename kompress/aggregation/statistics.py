"""Count how voters and rules did, in integers that merge across shards in any order.

N = words, M = voters, S = strata, G = document groups, B = bootstraps
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from kompress.aggregation.votes import read_stratum
from kompress.errors import InvalidVotes
from kompress.metrics.bootstrap import resample_in_parts
from kompress.types import ABSTAIN, NUM_CODES, P_OF_CODE, STRATA, BoolArray, FloatArray

IntArray = NDArray[np.int64]
NUM_CELLS = 256  # a histogram has a cell for every byte, the last one for abstentions


@dataclass(frozen=True, slots=True)
class Rates:
    """What a confusion says; None where its denominator is 0.

    Attributes:
        recall: kept among the words to keep, TP / (TP + FN).
        precision: to keep among the kept, TP / (TP + FP).
        specificity: dropped among the words to drop, TN / (TN + FP).
        keep_rate: kept among all, (TP + FP) / n.
        balanced_accuracy: (recall + specificity) / 2.
    """

    recall: float | None
    precision: float | None
    specificity: float | None
    keep_rate: float | None
    balanced_accuracy: float | None


def confusion(
    keep_N: ArrayLike,
    truth_N: ArrayLike,
    stratum_N: ArrayLike,
    known_N: ArrayLike | None = None,
) -> IntArray:
    """Count right and wrong decisions by stratum.

    Args:
        keep_N: (N,) bool, what was decided.
        truth_N: (N,) bool, what is right.
        stratum_N: (N,) codes into `STRATA`.
        known_N: (N,) bool, False for words to leave out (no truth, or an abstention);
            None counts all.

    Returns:
        (S, 4) counts TP, FN, FP, TN, keep being positive.

    Raises:
        InvalidVotes: a shape or a stratum is wrong.

    Source: ours.
    """
    truth_N = _read_flags(truth_N, "truth")
    size = truth_N.size
    keep_N = _read_flags(keep_N, "keep", size)
    stratum = read_stratum(stratum_N, size)
    if known_N is not None:
        known_N = _read_flags(known_N, "known", size)
        keep_N, truth_N, stratum = keep_N[known_N], truth_N[known_N], stratum[known_N]
    return count_by_group(keep_N, truth_N, stratum, len(STRATA))


def count_by_group(
    keep_N: BoolArray,
    right_N: BoolArray,
    place_N: NDArray[np.integer[Any]],
    num_groups: int,
) -> IntArray:
    """Count right and wrong decisions by group.

    Args:
        keep_N: (N,) what was decided.
        right_N: (N,) what is right.
        place_N: (N,) each word's group, 0 to G - 1.
        num_groups: G, also those without a word.

    Returns:
        (G, 4) counts TP, FN, FP, TN, keep being positive.

    Source: ours.
    """
    cell_N = np.where(right_N, np.where(keep_N, 0, 1), np.where(keep_N, 2, 3))
    counts = np.bincount(place_N * 4 + cell_N, minlength=num_groups * 4)
    return counts.reshape(num_groups, 4)


def code_histogram(
    codes_N: ArrayLike,
    truth_N: ArrayLike,
    stratum_N: ArrayLike,
    known_N: ArrayLike | None = None,
) -> IntArray:
    """Count a voter's byte codes by stratum and truth.

    Args:
        codes_N: (N,) uint8 byte codes; abstentions are counted in cell 255.
        truth_N: (N,) bool, what is right.
        stratum_N: (N,) codes into `STRATA`.
        known_N: (N,) bool, False for words without truth; None counts all.

    Returns:
        (S, 2, 256) counts; the middle axis is the truth, drop then keep.

    Raises:
        InvalidVotes: a shape, the codes' type or a stratum is wrong.

    Source: ours.
    """
    codes_N = np.asarray(codes_N)
    truth_N = _read_flags(truth_N, "truth")
    size = truth_N.size
    if codes_N.dtype != np.uint8 or codes_N.shape != truth_N.shape:
        raise InvalidVotes(
            f"codes are {codes_N.dtype} of shape {codes_N.shape}; expected uint8 byte "
            f"codes of shape {truth_N.shape}, as the truth"
        )
    stratum = read_stratum(stratum_N, size)
    index_N = (stratum * 2 + truth_N) * NUM_CELLS + codes_N
    if known_N is not None:
        index_N = index_N[_read_flags(known_N, "known", size)]
    counts = np.bincount(index_N, minlength=len(STRATA) * 2 * NUM_CELLS)
    return counts.reshape(len(STRATA), 2, NUM_CELLS)


def others_voted(p_NM: ArrayLike) -> BoolArray:
    """Tell where a voter can be compared with the others.

    Args:
        p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.

    Returns:
        (N, M) bool: voter m voted on the word, and so did somebody else.

    Source: ours.
    """
    votes_NM = np.asarray(p_NM)
    missing_NM = votes_NM == ABSTAIN
    if votes_NM.dtype != np.uint8:
        missing_NM = np.isnan(votes_NM)
    voted_NM = ~missing_NM
    others_NM = voted_NM.sum(axis=1, keepdims=True) > 1
    result: BoolArray = voted_NM & others_NM
    return result


def expected_calibration_error(
    histogram: ArrayLike, num_bins: int = 10
) -> float | None:
    """Measure how far stated probabilities are from what came true.

    Args:
        histogram: (2, 256) counts of byte codes by truth; abstentions do not count.
        num_bins: bins of equal width over [0, 1], at least 1.

    Returns:
        Σ (n_b / n) |mean P(keep) - share to keep| in [0, 1]; None without votes.

    Raises:
        InvalidVotes: the histogram has another shape, or there is no bin.

    Source: Naeini et al. 2015, ECE; Guo et al. 2017, equation 3.
    """
    counts_2C = np.asarray(histogram, dtype=np.int64)
    if counts_2C.shape != (2, NUM_CELLS) or num_bins < 1:
        raise InvalidVotes(
            f"the histogram has shape {counts_2C.shape} for {num_bins} bins; expected "
            f"(2, {NUM_CELLS}) and at least one bin"
        )
    bin_C = np.minimum((P_OF_CODE * num_bins).astype(np.intp), num_bins - 1)
    drop_C, keep_C = counts_2C[:, :NUM_CODES]
    total_C = drop_C + keep_C
    total = int(total_C.sum())
    if not total:
        return None
    kept_B = np.bincount(bin_C, weights=keep_C, minlength=num_bins)
    stated_B = np.bincount(bin_C, weights=P_OF_CODE * total_C, minlength=num_bins)
    return float(np.abs(stated_B - kept_B).sum() / total)


def rates(counts: ArrayLike) -> Rates:
    """Turn one confusion into rates.

    Args:
        counts: (4,) TP, FN, FP, TN.

    Returns:
        The rates, None where the denominator is 0.

    Source: ours.
    """
    tp, fn, fp, tn = (int(count) for count in np.asarray(counts))
    recall, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    balanced = None
    if recall is not None and specificity is not None:
        balanced = (recall + specificity) / 2
    return Rates(
        recall=recall,
        precision=_ratio(tp, tp + fp),
        specificity=specificity,
        keep_rate=_ratio(tp + fp, tp + fn + fp + tn),
        balanced_accuracy=balanced,
    )


def balanced_accuracies(counts_B4: ArrayLike) -> FloatArray:
    """Give the balanced accuracy of each of many confusions.

    Args:
        counts_B4: (…, 4) TP, FN, FP, TN.

    Returns:
        (…,) in [0, 1]; NaN where there are no words to keep, or none to drop.

    Source: ours.
    """
    tp, fn, fp, tn = np.moveaxis(np.asarray(counts_B4, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that we say
        balanced_B: FloatArray = (tp / (tp + fn) + tn / (tn + fp)) / 2
    return balanced_B


def recalls(counts_B4: ArrayLike) -> FloatArray:
    """Give the recall of each of many confusions.

    Args:
        counts_B4: (…, 4) TP, FN, FP, TN.

    Returns:
        (…,) in [0, 1]; NaN where there are no words to keep.

    Source: ours.
    """
    tp, fn, _, _ = np.moveaxis(np.asarray(counts_B4, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore"):
        recall_B: FloatArray = tp / (tp + fn)
    return recall_B


def paired_interval(
    confusion_a_GS4: ArrayLike,
    confusion_b_GS4: ArrayLike,
    rng: np.random.Generator,
    num_bootstraps: int = 1000,
    *,
    rate: Callable[[IntArray], FloatArray] = balanced_accuracies,
    percents: tuple[float, float] = (2.5, 97.5),
) -> tuple[float, float] | None:
    """Bound the difference of two balanced accuracies on the same documents.

    Groups are drawn with replacement, the same for both; counts are summed over the
    drawn groups and all given strata before any ratio is taken. For one stratum pass
    that stratum alone, `counts[:, s : s + 1]`.

    Args:
        confusion_a_GS4: (G, S, 4) counts TP, FN, FP, TN of the first, by group.
        confusion_b_GS4: (G, S, 4) counts of the second.
        rng: where the draws come from.
        num_bootstraps: how many, at least 1.
        rate: (B, 4) counts -> (B,) what is compared, NaN where there is none.
        percents: which percentiles; of few groups see `expanded_percents`.

    Returns:
        These percentiles of a - b; None where no draw has a rate: no balanced accuracy
        without both words to keep and words to drop.

    Raises:
        InvalidVotes: the shapes differ or do not end in 4, or there are no groups.

    Source: Efron & Tibshirani 1993, chapter 13 (percentile), clusters resampled.
    """
    a_GS4, b_GS4 = np.asarray(confusion_a_GS4), np.asarray(confusion_b_GS4)
    if a_GS4.shape != b_GS4.shape or a_GS4.ndim != 3 or a_GS4.shape[2] != 4:
        raise InvalidVotes(
            f"confusions have shapes {a_GS4.shape} and {b_GS4.shape}; expected the "
            "same (G, S, 4), TP FN FP TN by group and stratum"
        )
    num_groups = a_GS4.shape[0]
    if not num_groups:
        return None
    a_G4, b_G4 = a_GS4.sum(axis=1), b_GS4.sum(axis=1)
    parts = resample_in_parts(num_groups, num_bootstraps=num_bootstraps, rng=rng)
    gap_B = np.concatenate([rate(w_BG @ a_G4) - rate(w_BG @ b_G4) for w_BG in parts])
    gap_B = gap_B[~np.isnan(gap_B)]
    if not gap_B.size:
        return None
    low, high = np.percentile(gap_B, percents)
    return float(low), float(high)


def expanded_percents(num_groups: int) -> tuple[float, float]:
    """Say which percentiles of resampled groups hold 95 %, however few groups.

    The 2.5th and 97.5th are too near to each other: resamples of G groups vary by
    √((G - 1) / G) of what the groups do, and of few groups that is itself uncertain.

    Args:
        num_groups: G, at least 2.

    Returns:
        100·Φ(-q) and 100·Φ(q) with q = √(G / (G - 1)) · t(.975; G - 1): 0.012 and
        99.988 of 4 groups, 0.57 and 99.43 of 8, 1.6 and 98.4 of 20.

    Source: Hesterberg 2015, "What teachers should know about the bootstrap", section
        5.3.1: expanded percentile interval.
    """
    freedom = num_groups - 1
    reach = np.sqrt(num_groups / freedom) * stdtrit(freedom, 0.975)
    return 100 * float(ndtr(-reach)), 100 * float(ndtr(reach))


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def _read_flags(values: ArrayLike, what: str, size: int | None = None) -> BoolArray:
    """Check a (N,) bool array."""
    flags = np.asarray(values)
    expected = "(N,)" if size is None else f"({size},)"
    if flags.ndim != 1 or (size is not None and flags.size != size):
        raise InvalidVotes(f"{what} has shape {flags.shape}; expected {expected}")
    if flags.dtype != np.bool_ and flags.size:
        raise InvalidVotes(f"{what} is {flags.dtype}; expected bool")
    return flags.astype(np.bool_, copy=False)
