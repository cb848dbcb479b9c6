"""Ask whether "right or wrong, each for itself" explains how votes fall together.

Where no gold tells, this is all that speaks for what was fitted: voters who share a
reason for their errors agree in another way than voters who are right.

P = patterns, S = strata, T = truths, L and K = bins of two voters
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from kompress.aggregation.patterns import VotePatterns
from kompress.aggregation.reliability.copies import join_copies
from kompress.aggregation.reliability.likelihood import Believed, Pool
from kompress.types import ABSTAIN, STRATA, FloatArray

# Nats a word and pair that the fit leaves unexplained, chance taken off. Independent
# voters leave .00006 at most, a common cause or hard words .00018 and more, real voters
# .03 (docs/log.md 2026-12-01).
MAX_MISFIT = 0.0001
# What the votes of a pair must tell of each other: of less, nothing can be learned.
MIN_DEPENDENCE = 0.005
# Two agree or they do not: it takes a third to see who is wrong.
MIN_VOICES = 3
# All pairs of 64 voters; of more voters' pairs every so many is looked at.
MAX_PAIRS = 2_016
# Voters better than chance for each that is worse; else the fit may be upside down.
MIN_RIGHT = 2.0


@dataclass(frozen=True, slots=True)
class GoodnessOfFit:
    """How far a fit without gold can be believed.

    Attributes:
        dependence: nats a word and pair by which two votes tell of each other.
        misfit: of these, what the fit does not explain.
        noise: standard error of `misfit`.
        num_pairs: pairs that were compared.
        num_right: voices better than chance by the fit, copies being one.
        num_wrong: voices worse than chance by it.
    """

    dependence: float
    misfit: float
    noise: float
    num_pairs: int
    num_right: int
    num_wrong: int

    @property
    def doubt(self) -> str | None:
        """Why the fit cannot be believed without gold, in words; None if it can."""
        found = (
            (
                self.num_right + self.num_wrong < MIN_VOICES,
                "fewer than three voters that can be told apart",
            ),
            (not self.num_pairs, "gold shows that all voters err together"),
            (
                self.dependence < MIN_DEPENDENCE,
                "the votes tell next to nothing of each other",
            ),
            (
                self.num_right <= MIN_RIGHT * self.num_wrong,
                "too many voters contradict the others",
            ),
            (
                self.noise > 2 * MAX_MISFIT,
                "too few words to see whether voters err together",
            ),
            (
                self.misfit > MAX_MISFIT + 2 * self.noise,
                "voters fall together in a way that truth does not explain",
            ),
        )
        return next((reason for holds, reason in found if holds), None)


def check_fit(
    patterns: VotePatterns, pool: Pool, prevalence_S: FloatArray, copies: dict[int, int]
) -> GoodnessOfFit:
    """Compare the joint votes of each pair of voices with what a fit expects.

    Args:
        patterns: the joint votes.
        pool: what was fitted to them.
        prevalence_S: (S,) P(keep) of the fit.
        copies: of `find_copies`.

    Returns:
        Likelihood-ratio statistics G² / 2 a word, less their degrees of freedom, mean
        over pairs, at most `MAX_PAIRS`; of voters that are one family by gold no pair
        counts.

    Source: G-test, Wilks 1938; for latent classes: Goodman 1974; bounds: ours.
    """
    joined = join_copies(patterns, copies)
    voices = [
        (number, voter)
        for number, family in enumerate(pool.families)
        for voter in family.voters
        if voter.bins.is_heard
    ]
    weight_S = np.bincount(
        patterns.stratum_P, weights=patterns.count_P, minlength=len(STRATA)
    )
    gap_V = [
        float(weight_S @ (voter.keep_ST[:, 1] - voter.keep_ST[:, 0]))
        for _, voter in voices
    ]
    pairs = [(a, b) for (one, a), (other, b) in combinations(voices, 2) if one != other]
    told = [
        found
        for a, b in pairs[:: -(-len(pairs) // MAX_PAIRS) or 1]
        if (found := _compare_pair(joined, a, b, prevalence_S)) is not None
    ]
    sums = np.sum(told, axis=0) if told else np.zeros(4)
    words = max(sums[3], 1.0)
    return GoodnessOfFit(
        dependence=float(sums[0] / words / 2),
        misfit=float(sums[1] / words / 2),
        noise=float(np.sqrt(2 * sums[2]) / words / 2) if told else 1.0,
        num_pairs=len(told),
        num_right=sum(gap > 0 for gap in gap_V),
        num_wrong=sum(gap <= 0 for gap in gap_V),
    )


def _compare_pair(
    joined: VotePatterns, a: Believed, b: Believed, prevalence_S: FloatArray
) -> tuple[float, float, float, float] | None:
    """Give G² against independence and against the fit, freedom, and words."""
    code_A, code_B = (joined.code_PM[:, v.columns[0]] for v in (a, b))
    both_P = (code_A != ABSTAIN) & (code_B != ABSTAIN)
    if not both_P.any():
        return None
    shape = (len(STRATA), a.bins.size, b.bins.size)
    place_P = np.ravel_multi_index(
        (
            joined.stratum_P[both_P].astype(np.intp),
            a.bins.bin_C[code_A[both_P]],
            b.bins.bin_C[code_B[both_P]],
        ),
        shape,
    )
    seen_SLK = np.bincount(
        place_P, weights=joined.count_P[both_P], minlength=int(np.prod(shape))
    ).reshape(shape)
    size_S = seen_SLK.sum(axis=(1, 2))
    share_ST = np.stack([1 - prevalence_S, prevalence_S], axis=1)
    a_STL, b_STK = np.exp(a.tables.log_STL), np.exp(b.tables.log_STL)
    fit_LK = np.einsum("s,st,stl,stk->lk", size_S, share_ST, a_STL, b_STK)
    alone_LK = np.einsum(
        "sl,sk,s->lk",
        seen_SLK.sum(axis=2),
        seen_SLK.sum(axis=1),
        1 / np.maximum(size_S, 1),
    )
    seen_LK = seen_SLK.sum(axis=0)
    freedom = (shape[1] - 1) * (shape[2] - 1)
    return (
        _g2(seen_LK, alone_LK) - freedom,
        max(_g2(seen_LK, fit_LK) - freedom, 0.0),
        float(freedom),
        float(size_S.sum()),
    )


def _g2(seen_LK: FloatArray, expected_LK: FloatArray) -> float:
    some_LK = seen_LK > 0
    seen, expected = seen_LK[some_LK], np.maximum(expected_LK[some_LK], 1e-9)
    return float(2 * (seen * np.log(seen / expected)).sum())
