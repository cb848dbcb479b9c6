"""Count how two voters' votes fall together, and what their errors share.

Within one stratum and one truth an error is a vote for the other side, so the votes'
covariance there is the errors'. Counts are integers: shards, resampled documents and
SQL (the view `voter_correlation`) come to the same figures.

N = words, M = voters, Q = pairs of voters, G = document groups, B = bootstraps,
C = cells of one stratum and one truth, O = 4 outcomes of a pair: both drop, the other
keeps alone, the voter keeps alone, both keep
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.votes import read_stratum
from kompress.errors import InvalidVotes
from kompress.metrics.bootstrap import resample_in_parts
from kompress.types import (
    ABSTAIN,
    DROP,
    KEEP,
    KEEPS_FROM,
    BoolArray,
    FloatArray,
)

IntArray = NDArray[np.int64]
TRUTHS = ("drop", "keep", "unknown")


@dataclass(frozen=True, slots=True, eq=False)
class ErrorPairs:
    """Counts of all pairs on words of known truth, by document group.

    Attributes:
        num_voters: M.
        outcomes: for each pair of `combinations(range(M), 2)` (G, C, O) counts.
        keep_C: (C,) whether a cell's words are to keep.
    """

    num_voters: int
    outcomes: tuple[IntArray, ...]
    keep_C: BoolArray

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.outcomes[0]) if self.outcomes else 0

    def correlation(self) -> FloatArray:
        """Pool each pair over all groups; see `error_correlation`."""
        whole = [counts_GCO.sum(axis=0)[None] for counts_GCO in self.outcomes]
        whole_1MM = self._matrix([_pooled_phi(counts) for counts in whole], 1)
        pooled_MM: FloatArray = whole_1MM[0]
        return pooled_MM

    def groups_of_shared_errors(self) -> IntArray:
        """Count the groups in which both of a pair are wrong on the same word.

        Returns:
            (M, M) groups, symmetric; 0 on the diagonal.
        """
        count_MM = np.zeros((self.num_voters, self.num_voters), dtype=np.int64)
        pairs = combinations(range(self.num_voters), 2)
        for (a, b), counts_GCO in zip(pairs, self.outcomes, strict=True):
            shared_GC = np.where(self.keep_C, counts_GCO[:, :, 0], counts_GCO[:, :, 3])
            num_groups = int((shared_GC.sum(axis=1) > 0).sum())
            count_MM[a, b] = count_MM[b, a] = num_groups
        return count_MM

    def resampled(self, rng: np.random.Generator, num_bootstraps: int) -> FloatArray:
        """Draw the groups with replacement, the same for all pairs.

        Returns:
            (B, M, M) correlations, NaN where a draw does not identify one.
        """
        size = max(1, self.num_groups)
        parts = []
        for weight_BG in resample_in_parts(
            size, num_bootstraps=num_bootstraps, rng=rng
        ):
            num_draws = len(weight_BG)
            phis = [
                _pooled_phi((weight_BG @ c.reshape(size, -1)).reshape(num_draws, -1, 4))
                for c in self.outcomes
            ]
            parts.append(self._matrix(phis, num_draws))
        return np.concatenate(parts)

    def _matrix(self, phi_QB: Sequence[FloatArray], size: int) -> FloatArray:
        """Lay pairs out as symmetric matrices with ones on the diagonal."""
        matrix_BMM = np.tile(np.eye(self.num_voters), (size, 1, 1))
        pairs = combinations(range(self.num_voters), 2)
        for (a, b), phi_B in zip(pairs, phi_QB, strict=True):
            matrix_BMM[:, a, b] = matrix_BMM[:, b, a] = phi_B
        return matrix_BMM


def count_error_pairs(
    keep_NM: ArrayLike,
    voted_NM: ArrayLike,
    truth_N: ArrayLike,
    stratum_N: ArrayLike,
    group_N: ArrayLike | None = None,
) -> ErrorPairs:
    """Count pairs of votes on words of known truth.

    Args:
        keep_NM: (N, M) bool, what each voter would keep.
        voted_NM: (N, M) bool, where it voted.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`; unknown words are left out.
        stratum_N: (N,) codes into `STRATA`.
        group_N: (N,) document groups, numbers or names; None puts all into one.

    Raises:
        InvalidVotes: a shape or a stratum is wrong.

    Source: ours.
    """
    keep_NM, voted_NM = np.asarray(keep_NM, bool), np.asarray(voted_NM, bool)
    truth_N = np.asarray(truth_N)
    group_N = np.zeros(len(truth_N), int) if group_N is None else np.asarray(group_N)
    _check_shapes(keep_NM, voted_NM, truth_N, group_N)
    size, num_voters = keep_NM.shape
    known_N = np.isin(truth_N, (DROP, KEEP))
    stratum_N = read_stratum(stratum_N, size)[known_N]
    groups, group_N = np.unique(group_N[known_N], return_inverse=True)
    cells, cell_N = np.unique(
        stratum_N * 2 + (truth_N[known_N] == KEEP), return_inverse=True
    )
    row_N = group_N * len(cells) + cell_N
    shape = (len(groups), len(cells), 4)
    keep_NM, voted_NM = keep_NM[known_N], voted_NM[known_N]
    return ErrorPairs(
        num_voters,
        tuple(
            count_pair(keep_NM, voted_NM, pair, row_N, shape[0] * shape[1]).reshape(
                shape
            )
            for pair in combinations(range(num_voters), 2)
        ),
        keep_C=cells % 2 == 1,
    )


def _check_shapes(
    keep_NM: BoolArray,
    voted_NM: BoolArray,
    truth_N: NDArray[Any],
    group_N: NDArray[Any],
) -> None:
    if keep_NM.ndim != 2 or voted_NM.shape != keep_NM.shape:
        raise InvalidVotes(
            f"sides have shape {keep_NM.shape}, votes {voted_NM.shape}; expected the "
            "same (N, M), words by voters"
        )
    size = len(keep_NM)
    if truth_N.shape != (size,) or group_N.shape != (size,):
        raise InvalidVotes(
            f"truth has shape {truth_N.shape}, groups {group_N.shape}; expected "
            f"({size},) for both, one a word"
        )


def error_correlation(
    keep_NM: ArrayLike, voted_NM: ArrayLike, truth_N: ArrayLike, stratum_N: ArrayLike
) -> FloatArray:
    """Correlate voters' errors: phi within each stratum and truth, pooled.

    Within a cell only chance makes right voters agree, so what is left is what their
    errors share; a stratum that is hard for all of them is no correlation.

    Args:
        keep_NM: (N, M) bool, what each voter would keep.
        voted_NM: (N, M) bool, where it voted; a pair is compared where both did.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`; unknown words are left out.
        stratum_N: (N,) codes into `STRATA`.

    Returns:
        (M, M) Σ covariances / √(Σ variances · Σ variances) over the cells, in [-1, 1],
        1 on the diagonal; NaN where one of the two never or always errs.

    Raises:
        InvalidVotes: a shape or a stratum is wrong.

    Source: Pearson's phi; pooling moments within cells as in analysis of covariance
        (within-group correlation): Searle 1987; on errors of known truth: ours.
    """
    return count_error_pairs(keep_NM, voted_NM, truth_N, stratum_N).correlation()


def sides_of(code_NM: NDArray[np.uint8]) -> tuple[BoolArray, BoolArray]:
    """Read byte codes as sides.

    Args:
        code_NM: (N, M) byte codes, 255 where a voter abstained.

    Returns:
        (N, M) what each voter would keep, and (N, M) where it voted.

    Source: ours; design §4 for the codes.
    """
    voted_NM = code_NM != ABSTAIN
    return voted_NM & (code_NM >= KEEPS_FROM), voted_NM


def count_pair(
    keep_NM: BoolArray,
    voted_NM: BoolArray,
    pair: tuple[int, int],
    row_N: NDArray[np.intp],
    num_rows: int,
    count_N: IntArray | None = None,
) -> IntArray:
    """Count one pair's outcomes by row.

    Args:
        keep_NM: (N, M) what each voter would keep.
        voted_NM: (N, M) where it voted.
        pair: columns.
        row_N: (N,) the row of each word.
        num_rows: how many rows there are.
        count_N: (N,) words that each stands for; None for 1.

    Returns:
        (rows, O) words.

    Source: ours.
    """
    a, b = pair
    both_N = voted_NM[:, a] & voted_NM[:, b]
    index_N = (row_N * 4 + keep_NM[:, a] * 2 + keep_NM[:, b])[both_N]
    weights = None if count_N is None else count_N[both_N]
    # Weighted counts are floats of whole numbers, exact below 2^53.
    counts = np.bincount(index_N, weights=weights, minlength=num_rows * 4)
    return counts.astype(np.int64).reshape(num_rows, 4)


def _pooled_phi(counts_BCO: NDArray[np.generic]) -> FloatArray:
    """Σ covariances / √(Σ variances · Σ variances) over cells; NaN where that is 0."""
    _, other_BC, voter_BC, both_BC = np.moveaxis(counts_BCO.astype(np.float64), 2, 0)
    words_BC = counts_BCO.sum(axis=2)
    safe_BC = np.where(words_BC > 0, words_BC, 1.0)
    a_BC, b_BC = voter_BC + both_BC, other_BC + both_BC
    covariance_B = (both_BC - a_BC * b_BC / safe_BC).sum(axis=1)
    variance_a_B = (a_BC - a_BC * a_BC / safe_BC).sum(axis=1)
    variance_b_B = (b_BC - b_BC * b_BC / safe_BC).sum(axis=1)
    # A sum of rounded zeros is not zero; the least true variance is 1/2, one vote of
    # two words.
    known_B = (variance_a_B > 0.25) & (variance_b_B > 0.25)
    product_B = np.where(known_B, variance_a_B * variance_b_B, 1.0)
    phi_B = np.clip(covariance_B / np.sqrt(product_B), -1.0, 1.0)
    return np.where(known_B, phi_B, np.nan)
