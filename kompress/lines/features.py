"""What a linear model sees of a line: character n-grams, its place, its company.

L = lines, F = features, R = rows of distinct templates, G = n-grams of all rows
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from kompress.lines.failures import distance_to
from kompress.lines.log_lines import LogLines
from kompress.lines.rarity import TemplateCounts
from kompress.types import FloatArray

HASH_BITS = 18
NGRAM_SIZES = (3, 4, 5)  # bytes
MAX_CHARS = 400  # of a template that are looked at
REACHES = (2.0, 8.0, 30.0)  # lines over which nearness falls to 1/e
NUM_END_BINS = 14  # of log2(lines to the end)
NUM_PLACE_BINS = 10
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_NEWLINE = ord("\n")


def hash_ngrams(rows: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the hash bucket of every n-gram of some lines, their ends included.

    Args:
        rows: R lines without LF; the first `MAX_CHARS` count, in lower case.

    Returns:
        (G,) buckets below 2^18, and (G,) the row of each.

    Source: Weinberger et al. 2009, without signs; multiply-shift hashing,
        Dietzfelbinger et al. 1997.
    """
    # Each row stands between two ends; rows lie at even counts of ends, gaps at odd.
    joined = "".join(f"\n{row[:MAX_CHARS]}\n" for row in rows).lower()
    byte_N = np.frombuffer(joined.encode("utf-8", "replace"), np.uint8)
    count_N = np.cumsum(byte_N == _NEWLINE)
    code_N = byte_N.astype(np.uint64)
    buckets, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    gram_N = code_N
    for size in range(2, max(NGRAM_SIZES) + 1):
        if len(byte_N) < size:
            break
        gram_N = (gram_N[:-1] << np.uint64(8)) | code_N[size - 1 :]
        if size not in NGRAM_SIZES:
            continue
        first_N, last_N = count_N[: len(gram_N)], count_N[size - 1 :]
        ends_N = byte_N[size - 1 :] == _NEWLINE
        inside_N = (first_N % 2 == 1) & (last_N - ends_N == first_N)
        hashed_N = (gram_N[inside_N] + np.uint64(size)) * _MULTIPLIER
        buckets.append((hashed_N >> np.uint64(64 - HASH_BITS)).astype(np.int64))
        places.append(first_N[inside_N] // 2)
    return np.concatenate(buckets), np.concatenate(places)


def describe_lines(
    log: LogLines, counts: TemplateCounts, passing: TemplateCounts
) -> FloatArray:
    """Give what is known of each line beside its n-grams.

    Args:
        log: the log.
        counts: templates of failed runs, of training folds alone.
        passing: templates of passing runs, of training folds alone.

    Returns:
        (L, F), the first column all ones.
    """
    columns = [
        np.ones(len(log)),
        *_templates(log, counts, passing),
        *_shape(log),
        *_failures(log),
        *_places(len(log)),
    ]
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def _templates(
    log: LogLines, counts: TemplateCounts, passing: TemplateCounts
) -> list[FloatArray]:
    """Rarity here, in failed and in passing runs; what the twin has not."""
    place_L, num = log.template_L, len(log.templates)
    rarity_L = relative_rarity(log, counts)
    passing_L = relative_rarity(log, passing)
    new_L = new_to_twin(log)
    first_L = np.zeros(len(log))
    first_L[np.unique(place_L, return_index=True)[1]] = 1
    here_L = np.bincount(place_L, minlength=num)[place_L]
    return [
        np.full(len(log), log.twin_templates is not None, np.float64),
        *(new_L, smooth(new_L, 3)),
        *(rarity_L, smooth(rarity_L, 3), (rarity_L >= 1).astype(np.float64)),
        *(passing_L, smooth(passing_L, 3)),
        *(np.log1p(here_L), first_L),
    ]


def _shape(log: LogLines) -> list[FloatArray]:
    size_L = log.bare.str.len_chars().to_numpy().astype(np.float64)
    rest_L = log.bare.str.strip_chars_start().str.len_chars().to_numpy()
    return [np.log1p(size_L), np.log1p(size_L - rest_L), size_L == 0]


def _failures(log: LogLines) -> list[FloatArray]:
    """What a line says of failure, how near others are, how many lie before."""
    found = log.failures
    grade_L = grade_error_lines(log)
    columns = [grade_L, smooth(grade_L, 2), smooth(grade_L, 8)]
    for marked_L in (found.says_L, found.hints_L, found.traceback_L):
        mark_L = marked_L.astype(np.float64)
        back_L, ahead_L = distance_to(marked_L)
        columns += [mark_L, smooth(mark_L, 5), smooth(mark_L, 10)]
        for reach in REACHES:
            columns += [np.exp(-back_L / reach), np.exp(-ahead_L / reach)]
    before_L = np.cumsum(found.says_L) / max(int(found.says_L.sum()), 1)
    return [*columns, before_L, before_L == 0, before_L == 1]


def _places(num_lines: int) -> list[FloatArray]:
    """One column for each bin of the distance to the end, and of the place."""
    place_L = np.arange(num_lines)
    end_L = end_bins(num_lines)
    tenth_L = place_L * NUM_PLACE_BINS // max(num_lines, 1)
    return [
        *((end_L == number).astype(np.float64) for number in range(NUM_END_BINS)),
        *((tenth_L == number).astype(np.float64) for number in range(NUM_PLACE_BINS)),
    ]


def grade_error_lines(log: LogLines) -> FloatArray:
    """Grade what tools write of failures, tracebacks as wholes, then lines around.

    A message counts 1, a traceback .8, a hint .6, neighbours of a message .5 falling
    with distance. What a log repeats counts less: a grade is divided by
    1 + log10(lines of the template).

    Returns:
        (L,) from 0 to 1.

    Source: ours.
    """
    found = log.failures
    back_L, ahead_L = distance_to(found.says_L)
    around_L = 0.5 * np.exp(-np.minimum(back_L, 2 * ahead_L) / 4)
    grade_L = np.select(
        [found.says_L, found.traceback_L, found.hints_L], [1.0, 0.8, 0.6], around_L
    )
    # The calls of a traceback repeat by nature.
    here_L = np.bincount(log.template_L)[log.template_L]
    often_L = np.where(found.traceback_L, 1, here_L)
    fair_L: FloatArray = grade_L / (1 + np.log10(np.maximum(often_L, 1)))
    return fair_L


def end_bins(num_lines: int) -> NDArray[np.int64]:
    """Give (L,) floor(log2(lines from here to the end)), at most 13."""
    to_end_L = np.arange(num_lines, 0, -1)
    return np.minimum(np.log2(to_end_L), NUM_END_BINS - 1).astype(np.int64)


def relative_rarity(log: LogLines, counts: TemplateCounts) -> FloatArray:
    """Give (L,) rarity of each line's template, 1 where no text has it."""
    most = np.log(counts.num_texts + 1)
    rarity_U = (
        counts.rarity(log.templates) / most if most else np.zeros(len(log.templates))
    )
    return rarity_U[log.template_L]


def new_to_twin(log: LogLines) -> FloatArray:
    """Give (L,) 1 where the twin lacks a line's template, 0 without a twin."""
    twin = log.twin_templates
    if twin is None:
        return np.zeros(len(log))
    new_U = np.array([name not in twin for name in log.templates], np.float64)
    return new_U[log.template_L]


def smooth(value_L: FloatArray, reach: int) -> FloatArray:
    """Give the mean over so many lines before and behind; lines outside count as 0."""
    if not len(value_L):
        return value_L
    mean_L: FloatArray = uniform_filter1d(value_L, 2 * reach + 1, mode="constant")
    return mean_L
