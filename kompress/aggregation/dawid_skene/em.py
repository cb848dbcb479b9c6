"""Dawid & Skene 1979 for any number of classes: EM on distinct rows of answers.

Equal rows of answers have equal posteriors, so each is computed once and counted as
often as it occurs: exact, and independent of the number of words where few rows differ.
`kompress.aggregation.dawid_skene.rule` is the farm's rule of the same model.

N = items, M = voters, K = classes, P = distinct rows, F = M * K answers of a row
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.errors import InvalidConfig, InvalidVotes
from kompress.types import FloatArray

DEFAULT_MAX_ITER = 1_000
# In nats an item. EM is linear: on the data of 1979 this leaves 1e-8 of the maximum.
DEFAULT_TOL = 1e-10
_TINY = 1e-300
# Integers up to here are exact in a float64.
_EXACT = 2**53
_SAMPLE_ROWS = 4_096
# Rows read at a time: temporaries stay in the second-level cache.
_BLOCK_ROWS = 4_096
Counts = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pseudocounts:
    """A Dirichlet prior, as answers imagined before the first: Dirichlet(1 + c).

    Attributes:
        classes: number or (K,) imagined items of each class, >= 0.
        confusion: number, (K, K) or (M, K, K) imagined answers, truth by answer, >= 0.
    """

    classes: ArrayLike = 0.0
    confusion: ArrayLike = 0.0


@dataclass(frozen=True, slots=True)
class DawidSkeneFit:
    """What EM found.

    Attributes:
        prior_K: (K,) share of each class; sums to 1.
        confusion_MKK: (M, K, K) P(voter says the last | truth is the middle).
        posterior_NK: (N, K) P(class | answers) under `prior_K` and `confusion_MKK`;
            `prior_K` itself where nobody answered.
        log_likelihood: of all answers under the same, in nats, without the
            multinomial coefficients and without the prior.
        num_iter: steps taken; one is a maximisation and an expectation after it.
        converged: whether `tol` ended it, not `max_iter`.
    """

    prior_K: FloatArray
    confusion_MKK: FloatArray
    posterior_NK: FloatArray
    log_likelihood: float
    num_iter: int
    converged: bool


def fit(
    counts_NMK: ArrayLike,
    max_iter: int = DEFAULT_MAX_ITER,
    tol: float = DEFAULT_TOL,
    prior: Pseudocounts | float | None = None,
) -> DawidSkeneFit:
    """Estimate classes and voters' confusions together from who said what.

    Starts from each item's share of answers, as published; answers of one voter on one
    item are independent given its class. Ends after the step that gains less than
    `tol`.

    Args:
        counts_NMK: (N, M, K) how often voter m said k of item n, >= 0; all 0 is
            missing.
        max_iter: steps at most, >= 1.
        tol: least gain of a step in nats an item; -inf takes `max_iter` steps.
        prior: None for maximum likelihood; a number imagines as many items of each
            class and as many answers in each cell.

    Returns:
        The fit. Classes are those of the start: nothing orders them afterwards.

    Raises:
        InvalidVotes: the counts' shape or a count is wrong.
        InvalidConfig: `max_iter`, `tol` or the prior is out of range.

    Source: Dawid & Skene 1979, equations 2.3 to 2.5; MAP with Dirichlet priors as in
    Paun et al. 2018, section 3; distinct rows: docs/references.md.
    """
    flat_NF, shape = _read_counts(counts_NMK)
    _check_limits(max_iter, tol)
    model = _Model(shape, prior)
    answers_PF, weight_P, row_N = _distinct_rows(flat_NF)
    heard_P = weight_P * (answers_PF.sum(axis=1) > 0)
    posterior_PK, value, num_iter, converged = model.run(
        answers_PF, heard_P, max_iter, tol
    )
    posterior_NK = posterior_PK if row_N is None else posterior_PK.take(row_N, axis=0)
    return DawidSkeneFit(
        prior_K=model.prior_K,
        confusion_MKK=np.ascontiguousarray(model.confusion_KMK.transpose(1, 0, 2)),
        posterior_NK=posterior_NK,
        log_likelihood=value,
        num_iter=num_iter,
        converged=converged,
    )


class _Model:
    """The parameters, and both steps of EM on flat rows of answers."""

    def __init__(
        self, shape: tuple[int, int, int], prior: Pseudocounts | float | None
    ) -> None:
        _, num_voters, num_classes = shape
        if prior is None:
            prior = Pseudocounts()
        elif not isinstance(prior, Pseudocounts):
            prior = Pseudocounts(prior, prior)
        self.classes_K = _read_prior(prior.classes, (num_classes,), "classes")
        wanted = (num_voters, num_classes, num_classes)
        confusion_MKK = _read_prior(prior.confusion, wanted, "confusion")
        self.pseudo_KMK = confusion_MKK.transpose(1, 0, 2)
        self.has_prior = bool(self.classes_K.any() or self.pseudo_KMK.any())
        self.prior_K: FloatArray = np.full(num_classes, 1 / num_classes)
        self.confusion_KMK: FloatArray = np.full(
            self.pseudo_KMK.shape, 1 / num_classes
        )  # fmt: skip

    def run(
        self, answers_PF: FloatArray, heard_P: FloatArray, max_iter: int, tol: float
    ) -> tuple[FloatArray, float, int, bool]:
        """Step until little is gained: posteriors, log-likelihood, steps, converged."""
        least = tol * max(float(heard_P.sum()), 1.0)
        posterior_PK = self.start(answers_PF)
        before, converged, num_iter = -np.inf, False, 0
        while num_iter < max_iter and not converged:
            num_iter += 1
            self.maximise(answers_PF, heard_P, posterior_PK)
            posterior_PK, value = self.expect(answers_PF, heard_P)
            after = value + self.log_prior()
            converged = after - before < least
            before = after
        return posterior_PK, value, num_iter, converged

    def start(self, answers_PF: FloatArray) -> FloatArray:
        """Give (P, K) shares of answers, equal ones where there is none."""
        num_classes = self.prior_K.size
        num_voters = self.pseudo_KMK.shape[1]
        said_PMK = answers_PF.reshape(-1, num_voters, num_classes)
        return _normalised(said_PMK.sum(axis=1))

    def maximise(
        self, answers_PF: FloatArray, heard_P: FloatArray, posterior_PK: FloatArray
    ) -> None:
        """Count classes and answers by how probable each class is."""
        mass_KP = (posterior_PK * heard_P[:, None]).T
        self.prior_K = _normalised(mass_KP.sum(axis=1) + self.classes_K)
        counted_KF = mass_KP @ answers_PF
        counted_KMK = counted_KF.reshape(self.pseudo_KMK.shape)
        self.confusion_KMK = _normalised(counted_KMK + self.pseudo_KMK)

    def expect(
        self, answers_PF: FloatArray, heard_P: FloatArray
    ) -> tuple[FloatArray, float]:
        """Give (P, K) posteriors and the log-likelihood."""
        flat_KF = self.confusion_KMK.reshape(len(self.prior_K), -1)
        score_PK = answers_PF @ _log(flat_KF).T + _log(self.prior_K)
        top_P1 = score_PK.max(axis=1, keepdims=True)
        odds_PK = np.exp(score_PK - top_P1)
        total_P1 = odds_PK.sum(axis=1, keepdims=True)
        evidence_P = (top_P1 + np.log(total_P1))[:, 0]
        return odds_PK / total_P1, float(heard_P @ evidence_P)

    def log_prior(self) -> float:
        """Give the log density of the Dirichlet prior, but for a constant."""
        if not self.has_prior:
            return 0.0
        classes = self.classes_K @ _log(self.prior_K)
        return float(classes + (self.pseudo_KMK * _log(self.confusion_KMK)).sum())


def _normalised(mass: FloatArray) -> FloatArray:
    """Divide by the sum over the last axis; equal shares where it is 0."""
    total = mass.sum(axis=-1, keepdims=True)
    safe = np.where(total > 0, total, 1.0)
    share: FloatArray = np.where(total > 0, mass / safe, 1 / mass.shape[-1])
    return share


def _log(value: FloatArray) -> FloatArray:
    # Stands for log(0): no product of answers reaches it, and 0 times it is 0.
    log: FloatArray = np.log(np.maximum(value, _TINY))
    return log


def _distinct_rows(
    flat_NF: Counts,
) -> tuple[FloatArray, FloatArray, NDArray[np.intp] | None]:
    """Find distinct rows: (P, F), how often each occurs, and the place of each item.

    The place is None where rows stay as they are, for too few of them repeat.
    """
    size, width = flat_NF.shape
    base = int(min(flat_NF.max(), _EXACT)) + 1 if _is_whole(flat_NF) else _EXACT
    num_keys = base**width if base < _EXACT else _EXACT
    if num_keys <= max(4 * size, 65_536):
        key_N = _read_digits(flat_NF, base).astype(np.intp)
        count_P = np.bincount(key_N, minlength=num_keys)
        seen_P = np.flatnonzero(count_P)
        place_P = np.zeros(num_keys, dtype=np.intp)
        place_P[seen_P] = np.arange(seen_P.size)
        digits_PF = seen_P[:, None] // base ** np.arange(width) % base
        return (
            digits_PF.astype(np.float64),
            count_P[seen_P].astype(np.float64),
            place_P.take(key_N),
        )
    if not _worth_counting(flat_NF):
        return flat_NF.astype(np.float64), np.ones(size), None
    _, first_P, place_N, count_P = np.unique(
        _row_keys(flat_NF, base),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    return flat_NF[first_P].astype(np.float64), count_P.astype(np.float64), place_N


def _is_whole(flat_NF: Counts) -> bool:
    """Say whether there are counts and all are whole numbers."""
    if flat_NF.dtype.kind != "f":
        return bool(flat_NF.size)
    blocks = [flat_NF[part] for part in _blocks(len(flat_NF))]
    return bool(flat_NF.size) and all((np.rint(b) == b).all() for b in blocks)


def _blocks(size: int) -> Iterator[slice]:
    return (slice(at, at + _BLOCK_ROWS) for at in range(0, size, _BLOCK_ROWS))


def _read_digits(flat_NF: Counts, base: int) -> FloatArray:
    """Read each row as the digits of a number, the first the lowest."""
    power_F = np.array([float(base) ** place for place in range(flat_NF.shape[1])])
    key_N = np.empty(len(flat_NF))
    for part in _blocks(len(flat_NF)):
        # Eight times as fast as BLAS on such thin rows, and without its threads.
        digits = flat_NF[part].astype(np.float64)
        np.einsum("nf,f->n", digits, power_F, out=key_N[part])
    return key_N


def _worth_counting(flat_NF: Counts) -> bool:
    """Guess from a sample whether there are fewer distinct rows than half of all.

    Of n rows of P equally frequent ones n^2 / 2P repeat another.
    """
    size = len(flat_NF)
    step = max(size // _SAMPLE_ROWS, 1)
    sample_NF = np.ascontiguousarray(flat_NF[::step])
    different = {row.tobytes() for row in sample_NF}
    repeats = len(sample_NF) - len(different)
    return repeats * size > len(sample_NF) ** 2 or (step == 1 and repeats > 0)


def _row_keys(flat_NF: Counts, base: int) -> FloatArray:
    """Number rows so that equal ones, and only those, have equal numbers."""
    size, width = flat_NF.shape
    if base >= _EXACT // max(size, 1):
        values, code_NF = np.unique(flat_NF, return_inverse=True)
        flat_NF, base = code_NF.reshape(size, width).astype(np.float64), len(values)
    key_N = np.zeros(size)
    place = 0
    while place < width:
        # As many columns as fit beside a number below N.
        columns = 1
        while place + columns < width and size * base ** (columns + 1) < _EXACT:
            columns += 1
        part_N = _read_digits(flat_NF[:, place : place + columns], base)
        together_N = key_N * float(base**columns) + part_N
        key_N = np.unique(together_N, return_inverse=True)[1].astype(np.float64)
        place += columns
    return key_N


def _read_counts(counts_NMK: ArrayLike) -> tuple[Counts, tuple[int, int, int]]:
    """Check the counts and lay each item's answers in one row."""
    counts = np.asarray(counts_NMK)
    if counts.ndim != 3 or not counts.shape[1] or counts.shape[2] < 2:
        raise InvalidVotes(
            f"counts have shape {counts.shape}; expected (N, M, K): items by at least "
            "one voter by at least two classes"
        )
    if counts.dtype.kind not in "buif":
        raise InvalidVotes(f"counts are {counts.dtype}; expected numbers >= 0")
    flat_NF = counts.reshape(len(counts), counts.shape[1] * counts.shape[2])
    # NaN fails every comparison.
    if flat_NF.size and not (flat_NF.min() >= 0 and flat_NF.max() < np.inf):
        n, f = np.argwhere(~((flat_NF >= 0) & (flat_NF < np.inf)))[0]
        m, k = divmod(int(f), counts.shape[2])
        raise InvalidVotes(
            f"item {n}, voter {m}, class {k} has the count {flat_NF[n, f]}; expected a "
            "finite number >= 0; leave a missing answer at 0"
        )
    with np.errstate(over="ignore"):
        total = float(flat_NF.sum(dtype=np.float64))
    if total > _EXACT:
        raise InvalidVotes(
            f"the counts sum to {total:g}; expected at most 2**53, beyond which sums "
            "lose answers; divide all counts by one number"
        )
    return flat_NF, counts.shape


def _check_limits(max_iter: int, tol: float) -> None:
    if max_iter < 1:
        raise InvalidConfig(f"max_iter is {max_iter}; expected at least 1")
    if np.isnan(tol):
        raise InvalidConfig("tol is NaN; expected a number, -inf to take all steps")


def _read_prior(value: ArrayLike, shape: tuple[int, ...], what: str) -> FloatArray:
    pseudo = np.asarray(value, dtype=np.float64)
    try:
        pseudo = np.broadcast_to(pseudo, shape)
    except ValueError as error:
        raise InvalidConfig(
            f"the prior's {what} have shape {pseudo.shape}; expected a number or "
            f"{shape}, or its last axes"
        ) from error
    if not ((pseudo >= 0) & (pseudo < np.inf)).all():
        raise InvalidConfig(
            f"the prior's {what} lie in [{pseudo.min()}, {pseudo.max()}]; expected "
            "finite pseudo-counts >= 0"
        )
    if pseudo.max(initial=0.0) > _EXACT:
        raise InvalidConfig(
            f"the prior's {what} reach {pseudo.max():g}; expected at most 2**53"
        )
    return pseudo
