"""A linear model of which lines people keep: fitted on marked logs, no other weights.

L = lines, F = features, H = hash buckets, C = those that occur,
R = distinct templates, N = lines of all logs
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from scipy.special import expit

from kompress.errors import InvalidConfig
from kompress.lines.features import HASH_BITS, describe_lines, hash_ngrams
from kompress.lines.log_lines import LogLines
from kompress.lines.rarity import TemplateCounts
from kompress.types import FloatArray

# Of an n-gram's weight, and of what else is known: docs/log.md 2026-12-01.
PENALTY = 4e-3
DENSE_PENALTY = 1e-2
MAX_STEPS = 60


@dataclass(frozen=True, slots=True, eq=False)
class MarkedLog:
    """A log and how much people want each of its lines.

    Attributes:
        log: the log.
        keep_L: (L,) share of the annotators who keep a line, NaN where none says.
        weight: how much the log counts beside others.
    """

    log: LogLines
    keep_L: FloatArray
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """What was learned; P(keep) is that of logs in which half of the lines are kept.

    Attributes:
        ngram_H: (H,) weights of hashed n-grams.
        dense_F: (F,) weights of what `describe_lines` gives, standardised.
        mean_F: (F,) its means on the training logs.
        sd_F: (F,) its standard deviations there.
        counts: templates of the training logs.
        passing: templates of their twins.
    """

    ngram_H: NDArray[np.float32]
    dense_F: FloatArray
    mean_F: FloatArray
    sd_F: FloatArray
    counts: TemplateCounts
    passing: TemplateCounts

    def score(self, log: LogLines) -> FloatArray:
        """Give (L,) P(keep) of a log's lines."""
        bucket_G, row_G = hash_ngrams(log.templates)
        size_R = np.maximum(np.bincount(row_G, minlength=len(log.templates)), 1)
        sum_R = np.bincount(row_G, self.ngram_H[bucket_G], minlength=len(log.templates))
        dense_LF = describe_lines(log, self.counts, self.passing)
        # Standardising is linear: the weights take it over.
        weight_F = self.dense_F / self.sd_F
        own_L = dense_LF @ weight_F - self.mean_F @ weight_F
        p_L: FloatArray = expit((sum_R / np.sqrt(size_R))[log.template_L] + own_L)
        return p_L


def fit_linear(training: Sequence[MarkedLog]) -> LinearModel:
    """Fit a logistic regression to marked logs.

    In each log what is kept weighs as much as what is dropped. A
    template's counts leave out the log that it is looked up for.

    Args:
        training: at least one log with a line that somebody keeps.

    Raises:
        InvalidConfig: no log has such a line.

    Source: logistic regression on hashed n-grams, Weinberger et al. 2009; by L-BFGS,
        Liu & Nocedal 1989. What it sees beside them is ours.
    """
    if not any(np.nansum(entry.keep_L) > 0 for entry in training):
        raise InvalidConfig(
            f"none of {len(training)} logs has a line that somebody keeps; a linear "
            "model needs one; add marked logs"
        )
    counts = TemplateCounts.count(entry.log.templates for entry in training)
    passing = count_passing(training)
    dense_NF = np.concatenate(
        [_describe_apart(entry.log, counts, passing) for entry in training]
    )
    mean_F, sd_F = dense_NF.mean(axis=0), dense_NF.std(axis=0)
    constant_F = sd_F < 1e-9
    mean_F[constant_F], sd_F[constant_F] = 0, 1
    names: dict[str, int] = {}
    row_N = np.concatenate([_rows(entry.log, names) for entry in training])
    ngram_RC, bucket_C = _ngram_matrix(list(names))
    ngram_C, dense_F = _descend(
        ngram_RC,
        row_N,
        (dense_NF - mean_F) / sd_F,
        np.concatenate([entry.keep_L for entry in training]),
        np.concatenate([entry.weight * _weights(entry.keep_L) for entry in training]),
    )
    ngram_H = np.zeros(1 << HASH_BITS, np.float32)
    ngram_H[bucket_C] = ngram_C
    return LinearModel(
        ngram_H=ngram_H,
        dense_F=dense_F,
        mean_F=mean_F,
        sd_F=sd_F,
        counts=counts,
        passing=passing,
    )


def count_passing(training: Sequence[MarkedLog]) -> TemplateCounts:
    """Count the templates of the twins of some logs."""
    twins = [entry.log.twin_templates for entry in training]
    return TemplateCounts.count(twin for twin in twins if twin is not None)


def _describe_apart(
    log: LogLines, counts: TemplateCounts, passing: TemplateCounts
) -> FloatArray:
    """Describe a log of the training by the counts of all others."""
    if log.twin_templates is not None:
        passing = passing.without(log.twin_templates)
    return describe_lines(log, counts.without(log.templates), passing)


def _rows(log: LogLines, names: dict[str, int]) -> NDArray[np.int64]:
    """Give (L,) the number of each line's template among all, numbering new ones."""
    row_U = np.array(
        [names.setdefault(name, len(names)) for name in log.templates], np.int64
    )
    return row_U[log.template_L]


def _weights(keep_L: FloatArray) -> FloatArray:
    """Share a weight of 1 between what is kept and what is dropped."""
    known_L = ~np.isnan(keep_L)
    keeps_L = np.where(known_L, keep_L, 0.0)
    drops_L = np.where(known_L, 1 - keep_L, 0.0)
    kept, dropped = max(keeps_L.sum(), 1.0), max(drops_L.sum(), 1.0)
    weight_L: FloatArray = (keeps_L / kept + drops_L / dropped) / 2
    return weight_L


def _ngram_matrix(
    rows: list[str],
) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """Give (R, C) n-grams of lines, each worth 1 / sqrt(those of the line).

    And the (C,) buckets that occur, for all others stay at 0.
    """
    bucket_G, row_G = hash_ngrams(rows)
    bucket_C, column_G = np.unique(bucket_G, return_inverse=True)
    value_G = 1 / np.sqrt(np.bincount(row_G, minlength=len(rows))[row_G])
    shape = (len(rows), len(bucket_C))
    return sparse.csr_matrix((value_G, (row_G, column_G)), shape=shape), bucket_C


def _descend(
    ngram_RC: sparse.csr_matrix,
    row_N: NDArray[np.int64],
    dense_NF: FloatArray,
    keep_N: FloatArray,
    weight_N: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Minimise the weighted log-loss plus both penalties from weights of 0."""
    num_rows, num_columns = ngram_RC.shape
    transposed_CR = ngram_RC.T.tocsr()
    keep_N = np.nan_to_num(keep_N)
    weight_N = weight_N / weight_N.sum()

    def loss(weight: FloatArray) -> tuple[float, FloatArray]:
        ngram_C, dense_F = weight[:num_columns], weight[num_columns:]
        logit_N = (ngram_RC @ ngram_C)[row_N] + dense_NF @ dense_F
        miss_N = weight_N * (expit(logit_N) - keep_N)
        value = weight_N @ (np.logaddexp(0, logit_N) - keep_N * logit_N)
        value += PENALTY / 2 * (ngram_C @ ngram_C)
        value += DENSE_PENALTY / 2 * (dense_F @ dense_F)
        by_row_R = np.bincount(row_N, miss_N, minlength=num_rows)
        slope_C = transposed_CR @ by_row_R + PENALTY * ngram_C
        slope_F = dense_NF.T @ miss_N + DENSE_PENALTY * dense_F
        return float(value), np.concatenate([slope_C, slope_F])

    start = np.zeros(num_columns + dense_NF.shape[1])
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MAX_STEPS}
    )
    return found.x[:num_columns], found.x[num_columns:]
