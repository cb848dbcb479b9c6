"""Voters on lines that need no model's weights: each gives P(keep) of every line.

A voter is fitted to marked logs, even where it is a rule that looks at none. A score
orders lines; only the linear model's is a probability.
L = lines, E = bins of the distance to the end
"""

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np

from kompress.lines.failures import distance_to
from kompress.lines.features import (
    NUM_END_BINS,
    end_bins,
    grade_error_lines,
    new_to_twin,
    relative_rarity,
    smooth,
)
from kompress.lines.linear import MarkedLog, count_passing, fit_linear
from kompress.lines.log_lines import LogLines
from kompress.lines.rarity import TemplateCounts
from kompress.must_keep import classify_texts
from kompress.types import PLAIN, FloatArray

LineScorer = Callable[[LogLines], FloatArray]
LineVoter = Callable[[Sequence[MarkedLog]], LineScorer]

REGEX_REACH = 2  # lines before and behind that `error_regex` keeps
MIN_KNOWN = 0.2  # of a log's lines, for other passing runs to say anything of it


def score_random(log: LogLines) -> FloatArray:
    """Score lines by chance, the same each time for the same text."""
    seed = crc32("".join(log.lines.pieces).encode("utf-8", "replace"))
    return np.random.default_rng(seed).random(len(log))


def score_head(log: LogLines) -> FloatArray:
    """Score the first line highest."""
    return np.arange(len(log), 0, -1) / (len(log) + 1)


def score_tail(log: LogLines) -> FloatArray:
    """Score the last line highest."""
    return score_head(log)[::-1].copy()


def score_head_tail(log: LogLines) -> FloatArray:
    """Score the first and the last line highest, the middle lowest."""
    return np.maximum(score_head(log), score_tail(log))


def score_error_regex(log: LogLines) -> FloatArray:
    """Score lines with a word of failure, and two lines around each, all alike."""
    back_L, ahead_L = distance_to(log.failures.hints_L)
    return (np.minimum(back_L, ahead_L) <= REGEX_REACH).astype(np.float64)


def score_must_keep(log: LogLines) -> FloatArray:
    """Score the share of a line's words that are must-keep."""
    codes_N = classify_texts(["".join(log.lines.pieces)])[0]
    # No word goes on in the next line.
    size_L = np.array([len(piece.split()) for piece in log.lines.pieces], np.int64)
    line_N = np.repeat(np.arange(len(log)), size_L)
    found_L = np.bincount(line_N, codes_N != PLAIN, minlength=len(log))
    share_L: FloatArray = found_L / np.maximum(size_L, 1)
    return share_L


def fit_rarity(training: Sequence[MarkedLog]) -> LineScorer:
    """Score how rare a line's template is among the training logs, then in its own."""
    counts = TemplateCounts.count(entry.log.templates for entry in training)

    def score(log: LogLines) -> FloatArray:
        here_L = np.bincount(log.template_L)[log.template_L]
        return 0.9 * relative_rarity(log, counts) + 0.1 / np.maximum(here_L, 1)

    return score


def fit_contrast(training: Sequence[MarkedLog]) -> LineScorer:
    """Score what the twin lacks, stretches of such lines first.

    Without a twin the passing runs of the training logs stand for it. Where these know
    fewer than a fifth of a log's lines they are runs of something else, and no line is
    told from another.
    """
    passing = count_passing(training)

    def score(log: LogLines) -> FloatArray:
        if log.twin_templates is not None:
            new_L = new_to_twin(log)
        else:
            new_L = relative_rarity(log, passing)
            if len(log) and (new_L < 1).mean() < MIN_KNOWN:
                new_L = np.zeros(len(log))
        return new_L * (0.5 + 0.5 * smooth(new_L, 3))

    return score


def fit_position(training: Sequence[MarkedLog]) -> LineScorer:
    """Score how often people keep a line so far from the end; each log counts alike."""
    kept_E, all_E = np.zeros(NUM_END_BINS), np.zeros(NUM_END_BINS)
    for entry in training:
        known_L = ~np.isnan(entry.keep_L)
        bin_L = end_bins(len(entry.log))[known_L]
        kept_E += np.bincount(bin_L, entry.keep_L[known_L], NUM_END_BINS) / max(
            float(np.nansum(entry.keep_L)), 1.0
        )
        all_E += np.bincount(bin_L, minlength=NUM_END_BINS) / max(len(bin_L), 1)
    lift_E = (kept_E + 0.01) / (kept_E + all_E + 0.02)
    return lambda log: lift_E[end_bins(len(log))]


def _rule(score: LineScorer) -> LineVoter:
    return lambda training: score  # noqa: ARG005  # a rule learns nothing


LINE_VOTERS: dict[str, LineVoter] = {
    "random_lines": _rule(score_random),
    "head": _rule(score_head),
    "tail": _rule(score_tail),
    "head_tail": _rule(score_head_tail),
    "error_regex": _rule(score_error_regex),
    "error_lines": _rule(grade_error_lines),
    "rarity": fit_rarity,
    "contrast": fit_contrast,
    "position": fit_position,
    "must_keep": _rule(score_must_keep),
    "linear": lambda training: fit_linear(training).score,
}
