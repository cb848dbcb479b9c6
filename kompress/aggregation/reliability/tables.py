"""What a voter says given the truth, stratum by stratum, where little is known too.

Each row is a distribution over bins with a Dirichlet posterior. A stratum with few
words borrows from the voter's whole; how much is learned from how alike its strata are.

S = strata, T = truths (drop, keep), L = bins, K = tried concentrations
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, polygamma

from kompress.types import STRATA, FloatArray

# Words that a stratum borrows from the whole: tried on a grid, with a wide prior
# around 30 on a logarithmic scale.
CONCENTRATIONS: NDArray[np.float64] = np.array([1, 3, 10, 30, 100, 300, 1000, 3000.0])
_PRIOR_CONCENTRATION = 30.0
_PRIOR_LOG_SD = 2.0
# The whole starts as better than chance, with the say of four words a truth: enough to
# tell keep from drop where nobody knows the truth, nothing beside a hundred words.
PRIOR_WORDS = 4.0
_PRIOR_ODDS = 7 / 3
_SMOOTH = 0.05  # of a bin that is rarely used, or was never: next to nothing
_FLOOR = 1e-6


@dataclass(slots=True)
class Tables:
    """The distributions of one family.

    Attributes:
        prior_TL: (T, L) what is thought of it before any vote; rows sum to 1.
        alpha_STL: (S, T, L) Dirichlet parameters, > 0.
        concentration_T: (T,) words that each stratum borrows.
    """

    prior_TL: FloatArray
    alpha_STL: FloatArray = field(init=False)
    concentration_T: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.concentration_T = np.full(2, CONCENTRATIONS[2])
        alpha_TL = self.concentration_T[:, None] * self.prior_TL
        self.alpha_STL = np.tile(alpha_TL, (len(STRATA), 1, 1))

    @classmethod
    def known(cls, alpha_STL: FloatArray) -> "Tables":
        """Bring back tables that were learned; they learn no more."""
        tables = cls(np.zeros(alpha_STL.shape[1:]))
        tables.alpha_STL = alpha_STL
        return tables

    @property
    def log_STL(self) -> FloatArray:
        """(S, T, L) logarithm of the posterior mean: what the next vote will be."""
        total_ST1 = self.alpha_STL.sum(axis=2, keepdims=True)
        log_STL: FloatArray = np.log(self.alpha_STL / total_ST1)
        return log_STL

    @property
    def variance_SL(self) -> FloatArray:
        """(S, L) variance of the log-likelihood ratio, by Dirichlet's trigammas."""
        total_ST1 = self.alpha_STL.sum(axis=2, keepdims=True)
        each_STL = polygamma(1, self.alpha_STL) - polygamma(1, total_ST1)
        variance_SL: FloatArray = each_STL.sum(axis=1)
        return variance_SL

    def update(self, count_STL: FloatArray, *, learn_concentration: bool) -> None:
        """Take in expected counts.

        Args:
            count_STL: (S, T, L) words, not necessarily whole.
            learn_concentration: also ask again how alike the strata are.
        """
        whole_TL = count_STL.sum(axis=0) + PRIOR_WORDS * self.prior_TL
        whole_TL = np.maximum(whole_TL / whole_TL.sum(axis=1, keepdims=True), _FLOOR)
        whole_TL /= whole_TL.sum(axis=1, keepdims=True)
        if learn_concentration:
            for t in (0, 1):
                self.concentration_T[t] = _concentration(count_STL[:, t], whole_TL[t])
        self.alpha_STL = count_STL + (self.concentration_T[:, None] * whole_TL)[None]


def vote_prior(share_L: FloatArray, keeps_L: NDArray[np.bool_]) -> FloatArray:
    """Expect a voter to be better than chance, and its votes to be spread as they are.

    Its odds of keeping are 7/3 times its own on words to keep, 3/7 times on words to
    drop: one that keeps half of all words is right in seven of ten, one that keeps
    nearly all is expected to keep nearly all that is to be dropped as well.

    Args:
        share_L: (L,) share of its votes in each bin.
        keeps_L: (L,) whether the bin keeps; some do and some do not.

    Returns:
        (T, L); rows sum to 1.

    Source: ours.
    """
    share_L = share_L + _SMOOTH / share_L.size
    share_L = share_L / share_L.sum()
    keep = share_L[keeps_L].sum()
    odds_T1 = keep / (1 - keep) * np.array([[1 / _PRIOR_ODDS], [_PRIOR_ODDS]])
    keep_T1 = odds_T1 / (1 + odds_T1)
    side_TL = np.where(keeps_L, keep_T1 / keep, (1 - keep_T1) / (1 - keep))
    prior_TL: FloatArray = side_TL * share_L
    return prior_TL


def _concentration(count_SL: FloatArray, whole_L: FloatArray) -> float:
    """Find the concentration under which the strata's counts are likeliest."""
    total_S = count_SL.sum(axis=1)
    seen_S = total_S > 0
    if seen_S.sum() < 2:
        return float(CONCENTRATIONS[2])
    alpha_K1L = CONCENTRATIONS[:, None, None] * whole_L
    each_K = (gammaln(count_SL[seen_S] + alpha_K1L) - gammaln(alpha_K1L)).sum((1, 2))
    k_K1 = CONCENTRATIONS[:, None]
    total_K = (gammaln(total_S[seen_S] + k_K1) - gammaln(k_K1)).sum(axis=1)
    away_K = np.log(CONCENTRATIONS / _PRIOR_CONCENTRATION) / _PRIOR_LOG_SD
    return float(CONCENTRATIONS[np.argmax(each_K - total_K - away_K**2 / 2)])
