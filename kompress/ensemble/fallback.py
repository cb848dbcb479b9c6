"""Where a rule does worse than one voter alone, let that voter decide.

N = words, M = voters, G = document groups
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kompress.aggregation.patterns import KEEP, UNKNOWN
from kompress.aggregation.rules.plain import Beta
from kompress.aggregation.statistics import count_by_group
from kompress.aggregation.votes import read_stratum
from kompress.ensemble.comparison import compare_with_best
from kompress.errors import InvalidVotes
from kompress.types import JSON, STRATA, FloatArray, Posterior, decode_votes


@dataclass(frozen=True, slots=True)
class Fallback:
    """A stratum that one voter decides alone, and why.

    Attributes:
        voter: its name.
        aggregate: balanced accuracy of the rule on calibration gold.
        best: that of the voter, and of the rule where the voter abstains.
        low: lower end of the rule's minus the voter's, see `Comparison`.
        high: its upper end; below 0.
        words: words of gold.
    """

    voter: str
    aggregate: float
    best: float
    low: float
    high: float
    words: int

    def as_json(self) -> JSON:
        """Lay it out for `rounds.decisions`."""
        return asdict(self)


def choose_fallbacks(
    names: Sequence[str],
    keep_N: ArrayLike,
    p_NM: ArrayLike,
    truth_N: ArrayLike,
    stratum_N: ArrayLike,
    group_N: ArrayLike,
    rng: np.random.Generator,
) -> dict[str, Fallback]:
    """Find the strata in which the rule does worse than its best voter would.

    What is compared is what would change: the rule everywhere, with the rule where
    the voter abstains and the voter elsewhere. A stratum falls back where the 95 %
    interval of the difference, over document groups, lies below 0 (`Comparison`).

    By simulation (50 words of gold, half to keep, in 8 groups; 8 voters; 1,000 draws):
    of a majority of independent voters, each right at .8, 0 % of strata fall back; of
    one of near copies 0 % (by the point estimate alone 44 %); of a rule right at .8
    that only equals its voters, independent of them, 6 % (by the point estimate 88 %),
    which costs nothing. Collapses are caught: 100 % where the best is right at .95 and
    the others drop everything, 99 % where they toss coins (81 and 78 % if 15 % of the
    words are to keep; in 13 % these lie in three groups or fewer). Between a rule at .8
    or .7 and a voter at .9 it takes more gold to be sure: 19 and 60 %, of 200 words in
    20 groups 76 % at .8.

    Args:
        names: M voters.
        keep_N: (N,) bool, what the rule decides by the threshold of a label.
        p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`: calibration gold.
        stratum_N: (N,) codes into `STRATA`.
        group_N: (N,) the document group of each word, integers or strings.
        rng: of the round; every stratum gets a stream of its own.

    Returns:
        Fallbacks by name of stratum, in the order of `STRATA`; none for a stratum of
        which too little is known (`is_enough`).

    Raises:
        InvalidVotes: the arrays do not fit together.

    Source: issue 5, "never worse than its best member"; ours.
    """
    keeps_N, truths_N = np.asarray(keep_N), np.asarray(truth_N)
    votes_NM = _as_p(p_NM)
    size = len(votes_NM)
    strata_N = read_stratum(stratum_N, size)
    groups_N = np.asarray(group_N)
    shapes = {keeps_N.shape, truths_N.shape, groups_N.shape, (size,)}
    if len(shapes) != 1 or votes_NM.shape[1] != len(names):
        raise InvalidVotes(
            f"votes have shape {votes_NM.shape} of {len(names)} voters, decisions "
            f"{keeps_N.shape}, truths {truths_N.shape}, groups {groups_N.shape}; "
            "expected (N, M) and (N,)"
        )
    voted_NM = ~np.isnan(votes_NM)
    patched_NM = np.where(voted_NM, votes_NM >= 0.5, keeps_N[:, None])
    known_N = (truths_N != UNKNOWN) & voted_NM.any(axis=1)
    found = {}
    streams = rng.spawn(len(STRATA))
    for code, (stratum, stream) in enumerate(zip(STRATA, streams, strict=True)):
        own_N = known_N & (strata_N == code)
        right_N = truths_N[own_N] == KEEP
        names_G, place_N = np.unique(groups_N[own_N], return_inverse=True)
        compared = compare_with_best(
            count_by_group(keeps_N[own_N], right_N, place_N, names_G.size),
            np.stack(
                [count_by_group(keep_N, right_N, place_N, names_G.size)
                 for keep_N in patched_NM[own_N].T]
            ),
            stream,
        )  # fmt: skip
        if compared is not None and compared.is_below:
            found[stratum] = Fallback(
                voter=names[compared.best],
                aggregate=compared.value,
                best=compared.best_value,
                low=compared.low,
                high=compared.high,
                words=int(own_N.sum()),
            )
    return found


def fallback_columns(
    decided: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[int, int]:
    """Turn what a round decided into what `apply_fallbacks` takes.

    Args:
        decided: by name of stratum, as `Fallback.as_json` lays it out.
        names: the panel's voters; a fallback on a voter that is not there is left out.

    Returns:
        The voter's column by the stratum's code.

    Source: ours.
    """
    return {
        STRATA.index(stratum): list(names).index(found["voter"])
        for stratum, found in sorted(decided.items())
        if found["voter"] in names
    }


def apply_fallbacks(
    posterior: Posterior,
    p_NM: ArrayLike,
    strength: ArrayLike,
    stratum_N: ArrayLike,
    columns: Mapping[int, int],
) -> Posterior:
    """Let one voter decide the words of some strata.

    A word gets the posterior Beta(1 + n·p, 1 + n·(1 - p)) of that voter's vote alone;
    where it abstained, the word keeps what it had.

    Args:
        posterior: of the rule, over the same words.
        p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes;
            calibrated where the voters are.
        strength: (M,) or (N, M) samples behind each vote.
        stratum_N: (N,) codes into `STRATA`.
        columns: the voter's column by the stratum's code.

    Returns:
        The posterior; in a stratum where the voter voted on any word, it has all the
        weight.

    Raises:
        InvalidVotes: the votes are malformed.

    Source: facts/mathematics.md, "a vote and its posterior"; ours.
    """
    if not columns:
        return posterior
    votes_NM = _as_p(p_NM)
    strata_N = read_stratum(stratum_N, len(votes_NM))
    strength_NM = np.broadcast_to(
        np.asarray(strength, dtype=np.float64), votes_NM.shape
    )
    alpha_N, beta_N = posterior.alpha_N.copy(), posterior.beta_N.copy()
    weight_SM = posterior.weight_SM.copy()
    for code, column in sorted(columns.items()):
        voted_N = ~np.isnan(votes_NM[:, column]) & (strength_NM[:, column] > 0)
        rows = np.flatnonzero((strata_N == code) & voted_N)
        if not rows.size:
            continue
        alone = Beta().aggregate(
            votes_NM[rows, column : column + 1],
            strength_NM[rows, column : column + 1],
            strata_N[rows],
        )
        alpha_N[rows], beta_N[rows] = alone.alpha_N, alone.beta_N
        weight_SM[code] = 0.0
        weight_SM[code, column] = 1.0
    return Posterior(alpha_N, beta_N, weight_SM)


def _as_p(p_NM: ArrayLike) -> FloatArray:
    votes_NM = np.asarray(p_NM)
    if votes_NM.ndim != 2:
        raise InvalidVotes(
            f"votes have shape {votes_NM.shape}; expected (N, M), words by voters"
        )
    if votes_NM.dtype == np.uint8:
        return decode_votes(votes_NM)
    return votes_NM.astype(np.float64)
