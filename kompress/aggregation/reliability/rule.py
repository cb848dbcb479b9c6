"""The default: votes weighed by how far each voter can be believed, per stratum.

How it is learned lies in `reliability_fit`; how it pools millions of words in
`evidence`.

N = words, M = voters, S = strata, T = truths (drop, keep)
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from kompress.aggregation.patterns import VotePatterns, count_patterns
from kompress.aggregation.reliability.copies import find_copies, groups_of, join_copies
from kompress.aggregation.reliability.families import find_families
from kompress.aggregation.reliability.fit import fit_families, read_families
from kompress.aggregation.reliability.likelihood import Believed, FamilyLikelihood, Pool
from kompress.aggregation.reliability.quantile_bins import QuantileBins
from kompress.aggregation.reliability.tables import Tables
from kompress.aggregation.votes import read_stratum
from kompress.types import JSON, STRATA, UNKNOWN, FloatArray, Posterior

# Rates of a voter on so many words are known to a thousandth; more would only take
# longer. Rare strata are taken whole.
MAX_FIT_WORDS = 2**18


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityFit:
    """What `Reliability` learned of M voters.

    Attributes:
        pool: the families, ready to pool.
        prevalence_S: (S,) P(keep) by stratum.
        words_S: (S,) words it was fitted to.
        gold_S: (S,) those of known truth; where 0, an error that all voters share
            shows nowhere.
    """

    pool: Pool
    prevalence_S: FloatArray
    words_S: NDArray[np.int64]
    gold_S: NDArray[np.int64]

    @property
    def sensitivity_SM(self) -> FloatArray:
        """(S, M) P(keep | to keep), posterior mean; NaN for who never voted."""
        return self._keep_STM[:, 1]

    @property
    def specificity_SM(self) -> FloatArray:
        """(S, M) P(drop | to drop), posterior mean; NaN for who never voted."""
        return 1 - self._keep_STM[:, 0]

    @property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Columns of voters that count as one family, copies included."""
        whole = [
            tuple(sorted(c for voter in family.voters for c in voter.columns))
            for family in self.pool.families
        ]
        return tuple(sorted(columns for columns in whole if len(columns) > 1))

    @property
    def undetectable(self) -> tuple[str, ...]:
        """Strata with votes and without gold."""
        blind_S = (self.words_S > 0) & (self.gold_S == 0)
        return tuple(name for name, blind in zip(STRATA, blind_S, strict=True) if blind)

    @property
    def _keep_STM(self) -> FloatArray:
        keep_STM = np.full((len(STRATA), 2, self.pool.num_voters), np.nan)
        for family in self.pool.families:
            for voter in family.voters:
                if not voter.bins.is_heard:
                    continue
                keep_STM[:, :, list(voter.columns)] = family.keep_ST(voter)[:, :, None]
        return keep_STM

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,  # noqa: ARG002  # one shape for all
    ) -> Posterior:
        """Pool raw votes of the same voters, word by word.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
            strength: (M,) or (N, M) samples behind each vote.
            stratum_N: (N,) codes into `STRATA`.
            boundary_N: not looked at: words are independent.

        Returns:
            The posterior; no vote at all gives Beta(1, 1). A weight is the Jeffreys
            divergence of a voter's votes in the stratum (what a vote tells on
            average), less what its family shares.

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

        Source: `Reliability`, steps 5 and 6; Jeffreys 1946 for the divergence.
        """
        return self.pool.aggregate(p_NM, strength, stratum_N)

    @property
    def data(self) -> JSON:
        """Everything that was learned."""
        return {
            "num_voters": self.pool.num_voters,
            "strength": self.pool.strength_M.tolist(),
            "prevalence": self.prevalence_S.tolist(),
            "words": self.words_S.tolist(),
            "gold": self.gold_S.tolist(),
            "undetectable": list(self.undetectable),
            "signals": [
                {
                    "voters": [
                        {
                            "columns": list(voter.columns),
                            "level": voter.bins.bin_C.tolist(),
                            "center": voter.bins.center_L.tolist(),
                            "share": voter.bins.share_L.tolist(),
                            "alpha": voter.tables.alpha_STL.tolist(),
                            "shared": [t.alpha_STL.tolist() for t in voter.shared],
                        }
                        for voter in family.voters
                    ],
                    "states": family.states and family.states.alpha_STL.tolist(),
                }
                for family in self.pool.families
            ],
        }

    @classmethod
    def of(cls, data: JSON) -> "ReliabilityFit":
        """Read `data`, bit for bit."""
        families = tuple(
            FamilyLikelihood(
                tuple(
                    Believed.of(
                        tuple(row["columns"]),
                        QuantileBins(
                            np.array(row["level"], dtype=np.intp),
                            np.array(row["center"]),
                            np.array(row["share"]),
                        ),
                        Tables.known(np.array(row["alpha"])),
                        tuple(Tables.known(np.array(a)) for a in row["shared"]),
                    )
                    for row in family["voters"]
                ),
                Tables.known(np.array(family["states"])) if family["states"] else None,
            )
            for family in data["signals"]
        )
        prevalence_S = np.array(data["prevalence"])
        return cls(
            Pool(
                int(data["num_voters"]),
                logit(prevalence_S),
                families,
                np.array(data["strength"]),
            ),
            prevalence_S,
            np.array(data["words"], dtype=np.int64),
            np.array(data["gold"], dtype=np.int64),
        )


@dataclass(frozen=True, slots=True)
class Reliability:
    """Per voter and stratum P(vote | truth), pooled as log-odds.

    1. A vote's P(keep) is cut into at most 16 bins; yes and no are two.
    2. For every voter, stratum and truth the distribution over bins has a Dirichlet
       posterior (for two bins: sensitivity and specificity with Beta posteriors)
       whose prior is the voter's whole; how much a stratum borrows is learned.
    3. They are fitted with prevalences by expectation maximisation over the unknown
       truth; calibration gold enters as observed truth, starts the fit, and alone can
       say that all voters are wrong in a stratum.
    4. Voters that were never seen to differ count as one (`copies`): their common
       vote is fitted, whichever of them is silent. Where gold shows that
       voters' errors fall together, they are one family: a mixture of voting as one
       and each for itself, so that five who agree may say less than four of five.
       Without gold nothing is said about that, and `data` lists the strata without it.
    5. A word's log-odds η are its stratum's prevalence plus each family's
       log-likelihood ratio: the posterior predictive, so that a reliability nobody
       knows weighs little. A voter's curve over P(keep) is made monotone. A vote of
       n samples counts g(n) / g(mean n) of it, g(n) = n / (1 + (n - 1)/2).
    6. The posterior is Beta((1 + e^η)/V, (1 + e^-η)/V): mean σ(η), and to first order
       V the variance of η. V = Σ v_g + (Σ e_g² - (Σ e_g)²/(G + 1))/G: what is unknown
       about the G families' reliabilities, plus the variance of one more family's
       evidence, estimated from theirs and one that says nothing, so that unanimity of
       few is no certainty. In V a vote of few samples is a usual one, and votes that
       are together less than one usual vote fade into Beta(1, 1), what no vote gives.

    With equal strengths and reliabilities every vote has the same say.

    Source: Dawid & Skene 1979 (two coins, EM); hierarchical rates after Paun et al.
        2018, section 3; families: common-cause mixture, Lunn & Davies 1998; steps 4 to
        6 in this form: ours. Design §9: reliability comes from calibration gold and
        the random slice only; labels of students never enter.
    """

    properties: ClassVar[frozenset[str]] = frozenset(
        {"voter_order", "abstention", "inside", "unanimous", "copies"}
    )

    def fit(self, patterns: VotePatterns) -> ReliabilityFit:
        """Learn from joint votes.

        Args:
            patterns: raw votes; gold among them is observed truth.

        Returns:
            What was learned; bit for bit the same for the same patterns.
        """
        copies = find_copies(patterns)
        same = groups_of(copies)
        joined = join_copies(patterns, copies)
        families = read_families(joined, find_families(joined, tuple(same)))
        prevalence_S = fit_families(joined, families)
        weight_P, known_P = patterns.count_P, patterns.truth_P != UNKNOWN
        return ReliabilityFit(
            pool=Pool(
                patterns.num_voters,
                logit(prevalence_S),
                tuple(
                    FamilyLikelihood(
                        tuple(
                            Believed.of(same[m.column], m.bins, m.tables, m.shared)
                            for m in family.members
                        ),
                        family.states,
                    )
                    for family in families
                ),
                patterns.strength_M,
            ),
            prevalence_S=prevalence_S,
            words_S=_by_stratum(patterns, weight_P),
            gold_S=_by_stratum(patterns, weight_P * known_P),
        )

    def load(self, data: JSON) -> ReliabilityFit:
        """Bring back what `ReliabilityFit.data` laid out."""
        return ReliabilityFit.of(data)

    def aggregate(
        self,
        p_NM: ArrayLike,
        strength: ArrayLike,
        stratum_N: ArrayLike,
        boundary_N: ArrayLike | None = None,  # noqa: ARG002  # one shape for all
    ) -> Posterior:
        """Fit to these words, without gold, and pool them.

        Args:
            p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes; read
                as byte codes in any case.
            strength: (M,) or (N, M) samples behind each vote.
            stratum_N: (N,) codes into `STRATA`.
            boundary_N: not looked at: words are independent.

        Returns:
            The posterior; no vote at all gives Beta(1, 1).

        Raises:
            InvalidVotes: a shape, a probability, a strength or a stratum is wrong.

        Source: see the class.
        """
        votes_NM, strengths = np.asarray(p_NM), np.asarray(strength)
        stratum = read_stratum(stratum_N, len(votes_NM))
        some = spread_words(stratum)
        own = strengths if strengths.ndim == 1 else strengths[some]
        learned = self.fit(count_patterns(votes_NM[some], own, stratum[some]))
        return learned.aggregate(votes_NM, strengths, stratum)


def _by_stratum(
    patterns: VotePatterns, weight_P: NDArray[np.int64]
) -> NDArray[np.int64]:
    counts = np.bincount(patterns.stratum_P, weights=weight_P, minlength=len(STRATA))
    return counts.astype(np.int64)


def spread_words(stratum_N: NDArray[np.intp]) -> NDArray[np.intp] | slice:
    """Take at most `MAX_FIT_WORDS` words, evenly from each stratum, rare ones whole."""
    if stratum_N.size <= MAX_FIT_WORDS:
        return slice(None)
    size_S = np.bincount(stratum_N, minlength=len(STRATA))
    # The largest equal share: strata that need less leave the rest to the others.
    share, left = 0, MAX_FIT_WORDS
    for number, size in enumerate(np.sort(size_S)):
        share = left // (len(STRATA) - number)
        left -= min(int(size), share)
    # Radix sort keeps words of a stratum in their order.
    order = np.argsort(stratum_N.astype(np.uint8), kind="stable")
    ends = np.cumsum(size_S)
    parts = [
        order[end - size : end][:: max(1, -(-int(size) // share))]
        for end, size in zip(ends, size_S, strict=True)
        if size
    ]
    return np.sort(np.concatenate(parts))
