"""What the rule `reliability` learned, laid out to pool words by looking bytes up.

N = words, M = voters, C = 256 byte codes, K = words of one block, S = strata,
T = truths (drop, keep), L = bins, Z = states of a family
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from kompress.aggregation.reliability.common_vote import common_scale, common_vote
from kompress.aggregation.reliability.quantile_bins import QuantileBins
from kompress.aggregation.reliability.tables import Tables
from kompress.aggregation.votes import BLOCK_WORDS, read_votes
from kompress.errors import InvalidVotes
from kompress.types import ABSTAIN, P_OF_CODE, STRATA, CodeArray, FloatArray, Posterior

# Draws of one voter on one word share half of their errors: five count as 1.7.
WITHIN_VOTER = 0.5
# σ(30) is far from 1 by a thousand roundings; a posterior stays inside (0, 1).
_MAX_SCORE = 30.0
_MIN_VARIANCE = 1e-9
_SURELY = 4.0  # two standard deviations, squared
_NUM_CELLS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Believed:
    """One voter as it was learned, and its tables by byte code.

    Attributes:
        columns: its column, then those of its copies.
        bins: how its votes are cut.
        tables: P(bin | truth, stratum), where it votes for itself.
        log_TSC: (T, S, C) log-likelihood of a vote, 0 for none.
        ratio_SC: (S, C) the difference of both truths, 0 for no vote.
        variance_SC: (S, C) what is unknown about that, 0 for no vote.
        shared: P(side | truth, stratum) where its family leans to keeping, and where
            it leans to dropping; none for a single voter.
        shared_ZTSC: (2, T, S, C) log-likelihood of a vote there, 0 for none.
    """

    columns: tuple[int, ...]
    bins: QuantileBins
    tables: Tables
    log_TSC: FloatArray
    ratio_SC: FloatArray
    variance_SC: FloatArray
    shared: tuple[Tables, ...]
    shared_ZTSC: FloatArray

    @classmethod
    def of(
        cls,
        columns: tuple[int, ...],
        bins: QuantileBins,
        tables: Tables,
        shared: tuple[Tables, ...] = (),
    ) -> "Believed":
        """Lay tables out by byte code; between bins the curve is a straight line."""
        ratio_SL = _monotone(tables)
        ratio_SC = np.stack(
            [np.interp(P_OF_CODE, bins.center_L, row_L) for row_L in ratio_SL]
        )
        within_C = bins.within_L[bins.bin_C]
        side_C = bins.keeps_L[bins.bin_C].astype(np.intp)
        return cls(
            columns,
            bins,
            tables,
            _silence(within_C + _by_truth(tables, bins, ratio_SC)),
            _silence(ratio_SC),
            _silence(tables.variance_SL[:, bins.bin_C]),
            shared,
            _silence(
                np.array([t.log_STL.transpose(1, 0, 2) for t in shared])[..., side_C]
                + within_C
                if shared
                else np.zeros((0, 2, len(STRATA), within_C.size))
            ),
        )

    @property
    def keep_ST(self) -> FloatArray:
        """(S, T) P(it keeps a word | truth), where it votes for itself."""
        log_STL = self.tables.log_STL
        keep_ST: FloatArray = np.exp(log_STL)[:, :, self.bins.keeps_L].sum(axis=2)
        return keep_ST

    @property
    def information_S(self) -> FloatArray:
        """(S,) Jeffreys' divergence of its votes on words to keep and to drop."""
        log_STL = self.tables.log_STL
        gap_SL = log_STL[:, 1] - log_STL[:, 0]
        information_S: FloatArray = (
            (np.exp(log_STL[:, 1]) - np.exp(log_STL[:, 0])) * gap_SL
        ).sum(axis=1)
        return information_S


@dataclass(frozen=True, slots=True, eq=False)
class FamilyLikelihood:
    """What a voter says given the truth, or a family and the states it votes in.

    Attributes:
        voters: its members.
        states: P(state | truth, stratum) of a family: each for itself, leaning to
            keeping, leaning to dropping; None for a single voter.
    """

    voters: tuple[Believed, ...]
    states: Tables | None

    @property
    def tempering_S(self) -> FloatArray:
        """(S,) what a member counts of a voter on its own: 1 / (1 + (n - 1)ρ).

        ρ is what two members' votes share given the truth: the variance of P(keep)
        between the family's states, of that of a vote.
        """
        if self.states is None:
            return np.ones(len(STRATA))
        state_STZ = np.exp(self.states.log_STL)
        keep_STZ = np.mean([self._keep_STZ(v) for v in self.voters], axis=0)
        mean_ST = (state_STZ * keep_STZ).sum(axis=2)
        between_ST = (state_STZ * (keep_STZ - mean_ST[:, :, None]) ** 2).sum(axis=2)
        rho_S = (between_ST / (mean_ST * (1 - mean_ST))).mean(axis=1)
        tempering_S: FloatArray = 1 / (1 + (len(self.voters) - 1) * rho_S)
        return tempering_S

    def keep_ST(self, voter: Believed) -> FloatArray:
        """(S, T) P(a member keeps a word | truth), over all states."""
        if self.states is None:
            return voter.keep_ST
        keep_ST: FloatArray = (np.exp(self.states.log_STL) * self._keep_STZ(voter)).sum(
            axis=2
        )
        return keep_ST

    def _keep_STZ(self, voter: Believed) -> FloatArray:
        shared = [np.exp(tables.log_STL)[:, :, 1] for tables in voter.shared]
        return np.stack([voter.keep_ST, *shared], axis=2)

    def read(
        self,
        code_MK: CodeArray,
        scale_MK: FloatArray | None,
        stratum_K: NDArray[np.intp],
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Read some words' votes.

        Args:
            code_MK: (M, K) byte codes of all voters.
            scale_MK: (M, K) what each vote counts beside a usual one; None for 1.
            stratum_K: (K,) codes into `STRATA`.

        Returns:
            (K,) log-likelihood ratio, 0 where nobody voted; (K,) its variance; and
            (K,) the largest scale of those who voted, 0 where nobody did.
        """
        rows = [common_vote(code_MK, voter.columns) for voter in self.voters]
        scales = [
            None if scale_MK is None else common_scale(code_MK, scale_MK, v.columns)
            for v in self.voters
        ]
        heard_K = np.zeros(stratum_K.size)
        for code_K, scale_K in zip(rows, scales, strict=True):
            voted_K = code_K != ABSTAIN
            own_K = voted_K if scale_K is None else voted_K * scale_K
            np.maximum(heard_K, own_K, out=heard_K)
        cell_K = stratum_K * _NUM_CELLS
        if self.states is None:
            place_K = cell_K + rows[0]
            ratio_K = self.voters[0].ratio_SC.ravel()[place_K]
            variance_K = self.voters[0].variance_SC.ravel()[place_K]
            if scales[0] is not None:
                ratio_K, variance_K = ratio_K * scales[0], variance_K * scales[0] ** 2
            return ratio_K, variance_K, heard_K
        ratio_K, variance_K = self._read_family(rows, scales, stratum_K, cell_K)
        # Silent, a family's states still have a prior; it tells nothing of the word.
        some_K = heard_K > 0
        return np.where(some_K, ratio_K, 0), np.where(some_K, variance_K, 0), heard_K

    def _read_family(
        self,
        rows: Sequence[CodeArray],
        scales: Sequence[FloatArray | None],
        stratum_K: NDArray[np.intp],
        cell_K: NDArray[np.intp],
    ) -> tuple[FloatArray, FloatArray]:
        assert self.states is not None, "a single voter has no states"  # noqa: S101
        log_ZTK = self.states.log_STL[stratum_K].transpose(2, 1, 0).copy()
        variance_K = np.zeros(stratum_K.size)
        for voter, code_K, scale_K in zip(self.voters, rows, scales, strict=True):
            one_K = 1.0 if scale_K is None else scale_K
            place_K = cell_K + code_K
            log_ZTK[0] += voter.log_TSC.reshape(2, -1)[:, place_K] * one_K
            log_ZTK[1:] += voter.shared_ZTSC.reshape(2, 2, -1)[:, :, place_K] * one_K
            variance_K += voter.variance_SC.ravel()[place_K] * np.square(one_K)
        log_TK = np.logaddexp.reduce(log_ZTK, axis=0)
        # How much of the evidence rests on the members' own tables, and on the states'.
        share_ZK = np.exp(log_ZTK - log_TK).mean(axis=1)
        state_ZK = self.states.variance_SL[stratum_K].T
        return (
            log_TK[1] - log_TK[0],
            share_ZK[0] * variance_K + (share_ZK[1:] * state_ZK[1:]).sum(axis=0),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """All families of a panel: the arithmetic of `ReliabilityFit.aggregate`.

    Attributes:
        num_voters: M.
        score_S: (S,) log-odds of keep before any vote.
        families: the families, no column in two of them.
        strength_M: (M,) samples behind a usual vote of each voter.
    """

    num_voters: int
    score_S: FloatArray
    families: tuple[FamilyLikelihood, ...]
    strength_M: FloatArray

    def aggregate(
        self, p_NM: ArrayLike, strength: ArrayLike, stratum_N: ArrayLike
    ) -> Posterior:
        """Pool the votes; see `ReliabilityFit`."""
        code_NM, strengths, stratum = read_votes(p_NM, strength, stratum_N)
        num_words, num_voters = code_NM.shape
        if num_voters != self.num_voters:
            raise InvalidVotes(
                f"votes are of {num_voters} voters; this fit knows {self.num_voters}; "
                "pass a column for each, NaN where a voter is silent"
            )
        alpha_N, beta_N = np.empty(num_words), np.empty(num_words)
        votes_SM = np.zeros((len(STRATA), num_voters), dtype=np.int64)
        for start in range(0, num_words, BLOCK_WORDS):
            part = slice(start, min(start + BLOCK_WORDS, num_words))
            code_MK = np.ascontiguousarray(code_NM[part].T)
            own = strengths if strengths.ndim == 1 else strengths[part]
            scale_MK = self._scale(own, code_NM[part].shape)
            alpha_N[part], beta_N[part] = self._pool(code_MK, scale_MK, stratum[part])
            votes_SM += _count_votes(code_MK, stratum[part])
        weight_SM = votes_SM * self.weight_SM
        total_S1 = weight_SM.sum(axis=1, keepdims=True)
        return Posterior(
            alpha_N, beta_N, weight_SM / np.where(total_S1 > 0, total_S1, 1.0)
        )

    @property
    def weight_SM(self) -> FloatArray:
        """(S, M) what a vote weighs: its information, tempered, shared by copies."""
        weight_SM = np.zeros((len(STRATA), self.num_voters))
        for family in self.families:
            for voter in family.voters:
                own_S = voter.information_S * family.tempering_S / len(voter.columns)
                for column in voter.columns:
                    # A voter that knows nothing still voted: its share is tiny, not 0.
                    weight_SM[:, column] = np.maximum(own_S, _MIN_VARIANCE)
        return weight_SM

    def _scale(self, strength: FloatArray, shape: tuple[int, ...]) -> FloatArray | None:
        """(M, K) what votes count beside usual ones; None where all are usual."""
        if (strength == self.strength_M).all():
            return None
        return np.broadcast_to(_worth(strength) / _worth(self.strength_M), shape).T

    def _pool(
        self,
        code_MK: CodeArray,
        scale_MK: FloatArray | None,
        stratum_K: NDArray[np.intp],
    ) -> tuple[FloatArray, FloatArray]:
        """Pool one block; (K,) alpha and (K,) beta."""
        size = stratum_K.size
        sum_K, usual_K, square_K = np.zeros(size), np.zeros(size), np.zeros(size)
        unknown_K, number_K, scale_K = np.zeros(size), np.zeros(size), np.zeros(size)
        # A vote of few samples tells less of the word, not more of its voter: what is
        # unknown stays what it is for a usual vote.
        full_MK = None
        if scale_MK is not None and ((scale_MK < 1) & (code_MK != ABSTAIN)).any():
            full_MK = np.maximum(scale_MK, 1.0)
        for family in self.families:
            ratio_K, variance_K, heard_K = family.read(code_MK, scale_MK, stratum_K)
            sum_K += ratio_K
            if full_MK is not None:
                ratio_K, variance_K, _ = family.read(code_MK, full_MK, stratum_K)
            usual_K += ratio_K
            square_K += ratio_K * ratio_K
            unknown_K += variance_K
            number_K += heard_K > 0
            scale_K += heard_K
        among_K = square_K - usual_K * usual_K / (number_K + 1)
        spread_K = unknown_K + among_K / np.maximum(number_K, 1)
        spread_K = np.maximum(spread_K, _MIN_VARIANCE)
        score_K = np.clip(self.score_S[stratum_K] + sum_K, -_MAX_SCORE, _MAX_SCORE)
        odds_K = np.exp(score_K)
        return _fade((1 + odds_K) / spread_K, (1 + 1 / odds_K) / spread_K, scale_K)


def _fade(
    alpha_K: FloatArray, beta_K: FloatArray, scale_K: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Draw words of less than one usual vote towards Beta(1, 1), in proportion.

    Mean and α + β are mixed apart: were α and β, a sharper vote, of which less is
    known, could have less say.
    """
    k = np.flatnonzero(scale_K < 1)
    total, scale = alpha_K[k] + beta_K[k], scale_K[k]
    keep = (1 - scale) / 2 + scale * alpha_K[k] / total
    drop = (1 - scale) / 2 + scale * beta_K[k] / total
    total = 2 * (1 - scale) + scale * total
    alpha_K[k], beta_K[k] = keep * total, drop * total
    return alpha_K, beta_K


def _count_votes(code_MK: CodeArray, stratum_K: NDArray[np.intp]) -> NDArray[np.int64]:
    """(S, M) votes; abstentions are few, and counted instead of them."""
    words_S = np.bincount(stratum_K, minlength=len(STRATA))
    votes_SM = np.tile(words_S[:, None], (1, len(code_MK)))
    for m, code_K in enumerate(code_MK):
        votes_SM[:, m] -= np.bincount(
            stratum_K[code_K == ABSTAIN], minlength=len(STRATA)
        )
    return votes_SM


def _worth(num_samples: FloatArray) -> FloatArray:
    """Count samples of one voter on one word as independent ones; 0 stays 0."""
    worth: FloatArray = num_samples / (
        1 + np.maximum(num_samples - 1, 0) * WITHIN_VOTER
    )
    return worth


def _silence(values: FloatArray) -> FloatArray:
    """Add the cell of an abstention, which says nothing."""
    return np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)


def _monotone(tables: Tables) -> FloatArray:
    """(S, L) log-likelihood ratios that go one way with P(keep), by stratum.

    Bumps are noise of bins with few words. The way is up, unless down fits the words
    surely better: a voter is held for better than chance until they say otherwise.
    """
    log_STL = tables.log_STL
    ratio_SL = log_STL[:, 1] - log_STL[:, 0]
    weight_SL = tables.alpha_STL.sum(axis=1)
    for s, (ratio_L, weight_L) in enumerate(zip(ratio_SL, weight_SL, strict=True)):
        up_L, down_L = (
            isotonic_regression(ratio_L, weights=weight_L, increasing=way).x
            for way in (True, False)
        )
        # A ratio behind n words has a variance of about 1 / n.
        misfit_2 = [weight_L @ (ratio_L - fit_L) ** 2 for fit_L in (up_L, down_L)]
        ratio_SL[s] = up_L if misfit_2[0] <= misfit_2[1] + _SURELY else down_L
    return ratio_SL


def _by_truth(tables: Tables, bins: QuantileBins, ratio_SC: FloatArray) -> FloatArray:
    """(T, S, C) log-likelihoods of votes beside their share of their side.

    Both truths together take each bin as often as the voter does: a sharper vote is
    likelier of one truth exactly as far as it is less likely of the other. So it cannot
    make a family's own votes likelier beside its leanings under both, and no sharper
    vote of all members lowers their evidence.
    """
    side_STL = np.exp(tables.log_STL)
    common_SL = np.where(
        bins.keeps_L,
        side_STL[:, :, bins.keeps_L].sum(axis=2).mean(axis=1)[:, None],
        side_STL[:, :, ~bins.keeps_L].sum(axis=2).mean(axis=1)[:, None],
    )
    log_SC = np.log(common_SL)[:, bins.bin_C]
    drop_SC = np.log(2.0) - np.logaddexp(0.0, ratio_SC)
    return np.stack([log_SC + drop_SC, log_SC + drop_SC + ratio_SC])
