"""Learn from joint votes how far each voter can be believed, stratum by stratum.

Two coins a voter and stratum (or as many sides as its votes have bins), fitted by
expectation maximisation over the unknown truth; gold enters as observed truth. Voters
whose errors fall together (`find_families`) are one family: given the truth their
votes are a mixture of products. On some words the family leans to one side, and its
members follow more or less; on the rest each votes for itself.

P = patterns, S = strata, T = truths (drop, keep), L = bins, Z = states of a family:
each for itself, leaning to keeping, leaning to dropping
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from kompress.aggregation.patterns import VotePatterns
from kompress.aggregation.reliability.quantile_bins import (
    SILENT,
    QuantileBins,
    cut_bins,
)
from kompress.aggregation.reliability.tables import Tables, vote_prior
from kompress.types import KEEP, STRATA, UNKNOWN, BoolArray, CodeArray, FloatArray

# Pooled over strata, prevalence is known at once; each stratum borrows so many words.
_PREVALENCE_WORDS = 10.0
# With less gold than this the first guess is the mean vote.
_MIN_GOLD = 20
_MAX_STEPS = 200
_GOLD_STEPS = 8
# Mean change of a word's probability between two steps at which a fit has settled.
_TOLERANCE = 1e-5
_LEARN_EVERY = 4
# A family votes as one on half of the words, more often rightly, until counts say.
_STATE_PRIOR = np.array([[0.5, 0.15, 0.35], [0.5, 0.35, 0.15]])
# Leaning, nearly all members take one side, whatever the truth; also until counts say.
_LEANING_PRIOR = ((0.05, 0.95), (0.95, 0.05))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Where votes stand in a table of strata and bins; its last bin is silence.

    Attributes:
        cell_P: (P,) stratum · (L + 1) + bin.
        num_bins: L.
    """

    cell_P: NDArray[np.intp]
    num_bins: int

    @classmethod
    def of(
        cls, stratum_P: CodeArray, bin_P: NDArray[np.intp], num_bins: int
    ) -> "Cells":
        """Place votes, `SILENT` ones in the last column."""
        column_P = np.where(bin_P == SILENT, num_bins, bin_P)
        return cls(stratum_P.astype(np.intp) * (num_bins + 1) + column_P, num_bins)

    @property
    def bin_P(self) -> NDArray[np.intp]:
        """(P,) the bin of each vote, L for silence."""
        return self.cell_P % (self.num_bins + 1)

    def take(self, wanted_P: BoolArray) -> "Cells":
        """Look at some patterns only."""
        return Cells(self.cell_P[wanted_P], self.num_bins)

    def look_up(self, value_SL: FloatArray) -> FloatArray:
        """(P,) values of the votes, 0 for silence."""
        found_P: FloatArray = np.pad(value_SL, ((0, 0), (0, 1))).ravel()[self.cell_P]
        return found_P

    def count(self, weight_TP: FloatArray) -> FloatArray:
        """(S, T, L) weights of the votes in each cell."""
        size = self.num_bins + 1
        rows = [
            np.bincount(self.cell_P, weights=weight_P, minlength=len(STRATA) * size)
            for weight_P in weight_TP
        ]
        count_TSL = np.stack(rows).reshape(2, len(STRATA), size).astype(np.float64)
        return count_TSL[:, :, :-1].transpose(1, 0, 2)


@dataclass(slots=True, eq=False)
class FamilyMember:
    """A voter, its votes and what is believed of it.

    Attributes:
        column: its place in the patterns.
        bins: how its votes are cut.
        votes: the bin of each vote.
        tables: P(bin | truth, stratum), where it votes for itself.
        sides: the side of each vote, 1 keeps and 0 drops.
        shared: P(side | truth, stratum) where its family leans to keeping, and where
            it leans to dropping; none for a single voter.
    """

    column: int
    bins: QuantileBins
    votes: Cells
    tables: Tables
    sides: Cells
    shared: tuple[Tables, ...]


@dataclass(slots=True, eq=False)
class VoterFamily:
    """One member, or a family with P(state | truth, stratum)."""

    members: list[FamilyMember]
    states: Tables | None


def read_families(
    patterns: VotePatterns, columns_F: Sequence[tuple[int, ...]]
) -> list[VoterFamily]:
    """Cut every voter's votes into bins and start from what is thought beforehand."""
    weight_P = patterns.count_P.astype(np.float64)
    families = []
    for columns in columns_F:
        members = []
        for column in columns:
            code_P = patterns.code_PM[:, column]
            bins = cut_bins(code_P, weight_P)
            bin_P = bins.read(code_P)
            side_P = np.where(bin_P == SILENT, SILENT, bins.keeps_L[bin_P])
            leaning = _LEANING_PRIOR if len(columns) > 1 else ()
            members.append(
                FamilyMember(
                    column,
                    bins,
                    Cells.of(patterns.stratum_P, bin_P, bins.size),
                    Tables(vote_prior(bins.share_L, bins.keeps_L)),
                    Cells.of(patterns.stratum_P, side_P, 2),
                    tuple(Tables(np.array([p_L, p_L])) for p_L in leaning),
                )
            )
        states = Tables(_STATE_PRIOR) if len(columns) > 1 else None
        families.append(VoterFamily(members, states))
    return families


def fit_families(patterns: VotePatterns, families: list[VoterFamily]) -> FloatArray:
    """Fit the families' tables in place.

    Args:
        patterns: joint votes.
        families: as `read_families` made them of the same patterns.

    Returns:
        (S,) P(keep) of each stratum before any vote.

    Source: Dawid & Skene 1979, equations 2.3-2.5, with Dirichlet posteriors for the
        rates; bins, strata that borrow and families: ours.
    """
    if not families or not len(patterns.count_P):
        return np.full(len(STRATA), 0.5)
    known_P = patterns.truth_P != UNKNOWN
    num_gold = int(patterns.count_P[known_P].sum())
    guess_P = _mean_vote(families)
    if num_gold >= _MIN_GOLD:
        # From gold alone first: where all voters are wrong, their mean is as well.
        fit = _Fit(patterns.take(known_P), _take(families, known_P))
        fit.run(guess_P[known_P], _GOLD_STEPS, -1.0)
        guess_P = expit(
            logit(fit.prevalence_S)[patterns.stratum_P]
            + _Fit(patterns, families).evidence()
        )
    fit = _Fit(patterns, families)
    fit.run(guess_P, _MAX_STEPS, _TOLERANCE)
    return fit.prevalence_S


class _Fit:
    """One run of expectation maximisation over some patterns."""

    def __init__(self, patterns: VotePatterns, families: list[VoterFamily]) -> None:
        self.families = families
        self.prevalence_S = np.full(len(STRATA), 0.5)
        self._stratum_P = patterns.stratum_P.astype(np.intp)
        self._count_P = patterns.count_P.astype(np.float64)
        self._known_P = patterns.truth_P != UNKNOWN
        self._truth_P = (patterns.truth_P == KEEP).astype(np.float64)
        self._state_ZTP = [_first_states(s) for s in families]

    def run(self, guess_P: FloatArray, max_steps: int, tolerance: float) -> None:
        """Go back and forth between truth and reliabilities."""
        keep_P = np.where(self._known_P, self._truth_P, guess_P)
        for step in range(max_steps):
            self._learn(keep_P, learn_concentration=step % _LEARN_EVERY == 0)
            score_P = logit(self.prevalence_S)[self._stratum_P] + self.evidence()
            new_P = np.where(self._known_P, self._truth_P, expit(score_P))
            change = np.abs(new_P - keep_P) @ self._count_P / self._count_P.sum()
            keep_P = new_P
            if change < tolerance:
                break

    def evidence(self) -> FloatArray:
        """(P,) log-likelihood ratio of each pattern; notes the families' states."""
        total_P = np.zeros(self._stratum_P.size)
        for n, family in enumerate(self.families):
            if family.states is None:
                (one,) = family.members
                log_STL = one.tables.log_STL
                total_P += one.votes.look_up(log_STL[:, 1] - log_STL[:, 0])
                continue
            log_ZTP = _family(family, family.states, self._stratum_P)
            log_TP = np.logaddexp.reduce(log_ZTP, axis=0)
            self._state_ZTP[n] = np.exp(log_ZTP - log_TP)
            total_P += log_TP[1] - log_TP[0]
        return total_P

    def _learn(self, keep_P: FloatArray, *, learn_concentration: bool) -> None:
        """Turn expected counts into prevalences and tables."""
        weight_TP = np.stack([self._count_P * (1 - keep_P), self._count_P * keep_P])
        keep_S = self._by_stratum(weight_TP[1])
        size_S = keep_S + self._by_stratum(weight_TP[0])
        overall = (keep_S.sum() + 1) / (size_S.sum() + 2)
        self.prevalence_S = (keep_S + _PREVALENCE_WORDS * overall) / (
            size_S + _PREVALENCE_WORDS
        )
        for family, state_ZTP in zip(self.families, self._state_ZTP, strict=True):
            weight_ZTP = state_ZTP * weight_TP
            if family.states:
                count_STZ = np.array(
                    [[self._by_stratum(w) for w in w_TP] for w_TP in weight_ZTP]
                ).transpose(2, 1, 0)
                family.states.update(count_STZ, learn_concentration=learn_concentration)
            for m in family.members:
                count_STL = m.votes.count(weight_ZTP[0])
                m.tables.update(count_STL, learn_concentration=learn_concentration)
                for z, tables in enumerate(m.shared, start=1):
                    count_STL = m.sides.count(weight_ZTP[z])
                    tables.update(count_STL, learn_concentration=learn_concentration)

    def _by_stratum(self, weight_P: FloatArray) -> FloatArray:
        sum_S = np.bincount(self._stratum_P, weights=weight_P, minlength=len(STRATA))
        return sum_S.astype(np.float64)


def _family(
    family: VoterFamily, states: Tables, stratum_P: NDArray[np.intp]
) -> FloatArray:
    """(Z, T, P) log-likelihood of a family's votes in each of its states."""
    log_ZTP = states.log_STL[stratum_P].transpose(2, 1, 0).copy()
    for member in family.members:
        # How far a vote lies on its side tells of the voter, not of the truth.
        within_P = np.append(member.bins.within_L, 0.0)[member.votes.bin_P]
        own_STL = member.tables.log_STL
        shared = [tables.log_STL for tables in member.shared]
        for t in (0, 1):
            log_ZTP[0, t] += member.votes.look_up(own_STL[:, t])
            for z, log_STL in enumerate(shared, start=1):
                log_ZTP[z, t] += member.sides.look_up(log_STL[:, t]) + within_P
    return log_ZTP


def _first_states(family: VoterFamily) -> FloatArray:
    """(Z, T, P) a first guess: words on which all agree are shared in half of cases.

    (1, 1, 1) ones for a single voter, which always votes for itself.
    """
    if family.states is None:
        return np.ones((1, 1, 1))
    side_MP = np.stack([member.sides.bin_P for member in family.members])
    keep_P = (side_MP != 0).all(axis=0) & (side_MP == 1).any(axis=0)
    drop_P = (side_MP != 1).all(axis=0) & (side_MP == 0).any(axis=0)
    shared_ZP = 0.5 * np.stack([keep_P, drop_P])
    own_P = 1 - shared_ZP.sum(axis=0)
    return np.repeat(np.vstack([own_P, shared_ZP])[:, None], 2, axis=1)


def _mean_vote(families: Sequence[VoterFamily]) -> FloatArray:
    """(P,) mean P(keep) of all who voted, family or not."""
    members = [member for family in families for member in family.members]
    total_P = np.zeros(members[0].votes.cell_P.size)
    votes_P = np.zeros_like(total_P)
    for member in members:
        bin_P = member.votes.bin_P
        total_P += np.append(member.bins.center_L, 0.0)[bin_P]
        votes_P += bin_P < member.bins.size
    mean_P: FloatArray = total_P / np.maximum(votes_P, 1)
    return mean_P


def _take(families: Sequence[VoterFamily], wanted_P: BoolArray) -> list[VoterFamily]:
    """Look at some patterns only; the tables stay the same objects."""
    return [
        VoterFamily(
            [
                replace(m, votes=m.votes.take(wanted_P), sides=m.sides.take(wanted_P))
                for m in family.members
            ],
            family.states,
        )
        for family in families
    ]
