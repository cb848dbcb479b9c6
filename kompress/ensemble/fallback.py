"""Where a rule does worse than one voter alone, let that voter decide.

By simulation (50 words of gold, half to keep, in 8 groups; 8 voters; 1,000 draws):

- of a majority of independent voters, each right at .8, 0 % of strata fall back; of one
  of near copies 0 % (by the point estimate alone 44 %); of a rule right at .8 that only
  equals its voters, independent of them, 6 % (by the point estimate 88 %), which costs
  nothing;
- collapses are caught: 100 % where the best is right at .95 and the others drop
  everything, 99 % where they toss coins (81 and 78 % if 15 % of the words are to keep;
  in 13 % these lie in three groups or fewer);
- between a rule at .8 or .7 and a voter at .9 it takes more gold to be sure: 19 and
  60 %, of 200 words in 20 groups 76 % at .8.

N = words, M = voters, G = document groups
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompress.aggregation.rules.plain import Beta
from kompress.aggregation.statistics import count_by_group
from kompress.aggregation.votes import read_stratum
from kompress.decisions import Fallback
from kompress.ensemble.best_voter import compare_with_best
from kompress.errors import InvalidVotes
from kompress.types import (
    KEEP,
    STRATA,
    UNKNOWN,
    BoolArray,
    FloatArray,
    Posterior,
    decode_votes,
)


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
    interval of the difference lies below 0; how often: the module's docstring.

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
    """
    keeps_N, truths_N = np.asarray(keep_N), np.asarray(truth_N)
    votes_NM = _as_p(p_NM)
    strata_N = read_stratum(stratum_N, len(votes_NM))
    groups_N = np.asarray(group_N)
    _check_shapes(names, votes_NM, keeps_N, truths_N, groups_N)
    voted_NM = ~np.isnan(votes_NM)
    patched_NM = np.where(voted_NM, votes_NM >= 0.5, keeps_N[:, None])
    known_N = (truths_N != UNKNOWN) & voted_NM.any(axis=1)
    arrays = (keeps_N, patched_NM, truths_N == KEEP, groups_N)
    judged = {
        stratum: _judge_stratum(names, arrays, known_N & (strata_N == code), stream)
        for code, (stratum, stream) in enumerate(
            zip(STRATA, rng.spawn(len(STRATA)), strict=True)
        )
    }
    return {stratum: found for stratum, found in judged.items() if found}


def fallback_columns(
    decided: Mapping[str, Fallback] | None, names: Sequence[str]
) -> dict[int, int]:
    """Turn what a round decided into what `apply_fallbacks` takes.

    Args:
        decided: by name of stratum; None where nothing was.
        names: the panel's voters; a fallback on a voter that is not there is left out.

    Returns:
        The voter's column by the stratum's code.

    Source: ours.
    """
    return {
        STRATA.index(stratum): list(names).index(found.voter)
        for stratum, found in sorted((decided or {}).items())
        if found.voter in names
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

    Source: docs/references.md, "A vote and its posterior"; ours.
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
        own = (rows, slice(column, column + 1))
        alone = Beta().aggregate(votes_NM[own], strength_NM[own], strata_N[rows])
        alpha_N[rows], beta_N[rows] = alone.alpha_N, alone.beta_N
        weight_SM[code] = np.arange(votes_NM.shape[1]) == column
    return Posterior(alpha_N, beta_N, weight_SM)


def _check_shapes(
    names: Sequence[str], votes_NM: FloatArray, *arrays_N: NDArray[Any]
) -> None:
    shapes = {array_N.shape for array_N in arrays_N} | {(len(votes_NM),)}
    if len(shapes) != 1 or votes_NM.shape[1] != len(names):
        keeps, truths, groups = (array_N.shape for array_N in arrays_N)
        raise InvalidVotes(
            f"votes have shape {votes_NM.shape} of {len(names)} voters, decisions "
            f"{keeps}, truths {truths}, groups {groups}; expected (N, M) and (N,)"
        )


def _judge_stratum(
    names: Sequence[str],
    arrays: tuple[NDArray[Any], ...],
    own_N: BoolArray,
    rng: np.random.Generator,
) -> Fallback | None:
    """Put the rule beside its best voter on one stratum's words of gold."""
    keep_N, patched_NM, right_N, group_N = (array[own_N] for array in arrays)
    names_G, place_N = np.unique(group_N, return_inverse=True)
    counts_MG4 = np.stack([
        count_by_group(vote_N, right_N, place_N, names_G.size)
        for vote_N in patched_NM.T
    ])  # fmt: skip
    rule_G4 = count_by_group(keep_N, right_N, place_N, names_G.size)
    compared = compare_with_best(rule_G4, counts_MG4, rng)
    if compared is None or not compared.is_below:
        return None
    return Fallback(
        voter=names[compared.best],
        aggregate=compared.value,
        best=compared.best_value,
        low=compared.low,
        high=compared.high,
        words=keep_N.size,
    )


def _as_p(p_NM: ArrayLike) -> FloatArray:
    votes_NM = np.asarray(p_NM)
    if votes_NM.ndim != 2:
        raise InvalidVotes(
            f"votes have shape {votes_NM.shape}; expected (N, M), words by voters"
        )
    if votes_NM.dtype == np.uint8:
        return decode_votes(votes_NM)
    return votes_NM.astype(np.float64)
