"""How many independent voters a panel is worth, and what its consensus gets wrong.

Agreement alone cannot tell: voters agree because they are right, or because they copy
each other. Whose errors fall together is seen on words of known truth, and only there.

N = words, M = voters, P = patterns of joint votes, B = bootstraps
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kompress.aggregation.learned import Learner
from kompress.aggregation.pairs import (
    ErrorPairs,
    count_error_pairs,
    sides_of,
)
from kompress.aggregation.patterns import VotePatterns, count_patterns
from kompress.aggregation.reliability.copies import find_copies
from kompress.aggregation.votes import as_codes
from kompress.decisions import Diversity
from kompress.ensemble.agreement import krippendorff_alpha
from kompress.ensemble.error_split import split_error
from kompress.ensemble.independence import measure_independence
from kompress.ensemble.leave_one_out import (
    GoldVotes,
    measure_leave_one_out,
)
from kompress.errors import InvalidVotes
from kompress.types import ABSTAIN, STRATA, UNKNOWN

NUM_BOOTSTRAPS = 1_000


def measure_diversity(
    names: Sequence[str],
    p_NM: ArrayLike,
    truth_N: ArrayLike,
    stratum_N: ArrayLike,
    group_N: ArrayLike,
    rng: np.random.Generator,
    *,
    everything: VotePatterns | None = None,
    learner: Learner | None = None,
    strength: ArrayLike = 1.0,
    num_bootstraps: int = NUM_BOOTSTRAPS,
) -> Diversity:
    """Measure how a panel's voters differ, as far as that can be known.

    Args:
        names: M names, in the columns' order.
        p_NM: (N, M) P(keep) with NaN for an abstention, or uint8 byte codes.
        truth_N: (N,) `KEEP`, `DROP` or `UNKNOWN`, of calibration gold.
        stratum_N: (N,) codes into `STRATA`.
        group_N: (N,) document groups, numbers or names.
        rng: where resampled groups come from.
        everything: joint votes of all words that agreement is measured on, these
            among them; None for these alone.
        learner: the rule whose refits tell what each voter adds; None leaves it out.
        strength: (M,) or (N, M) samples behind each vote, for the learner.
        num_bootstraps: how often groups are resampled.

    Raises:
        InvalidVotes: a shape, a probability, a stratum or a truth is wrong.
    """
    code_NM = as_codes(p_NM)
    truth_N, num_voters = np.asarray(truth_N), code_NM.shape[1]
    ones_M = np.ones(num_voters)
    patterns = everything or count_patterns(code_NM, ones_M, stratum_N, truth_N)
    _check_names(names, num_voters, patterns)
    num_gold = int(((truth_N != UNKNOWN) & (code_NM != ABSTAIN).any(axis=1)).sum())
    keep_NM, voted_NM = sides_of(code_NM)
    pairs = count_error_pairs(keep_NM, voted_NM, truth_N, stratum_N, group_N)
    panel = _agreement(names, patterns)
    panel |= _independence(names, pairs, _identical(patterns), rng, num_bootstraps)
    if learner is not None and num_gold:
        words = GoldVotes.read(names, code_NM, strength, truth_N, stratum_N, group_N)
        panel["leave_one_out"] = measure_leave_one_out(learner, words, rng)
    return Diversity(
        truth="gold" if num_gold else "none",
        num_gold_words=num_gold,
        split=split_error(keep_NM, voted_NM, truth_N, stratum_N),
        **panel,
    )


def _check_names(names: Sequence[str], num_voters: int, patterns: VotePatterns) -> None:
    if {len(names)} != {num_voters, patterns.num_voters}:
        raise InvalidVotes(
            f"there are {len(names)} names for {num_voters} voters and patterns of "
            f"{patterns.num_voters}; expected one each"
        )


def _agreement(names: Sequence[str], patterns: VotePatterns) -> dict[str, Any]:
    """Measure what needs no gold: how far voters agree, over all words."""
    side_PM, cast_PM = sides_of(patterns.code_PM)
    return {
        "voters": tuple(names),
        "num_words": patterns.num_words,
        "alpha": krippendorff_alpha(
            np.where(cast_PM, side_PM, np.nan), "nominal", patterns.count_P
        ),
        "alpha_soft": krippendorff_alpha(
            patterns.code_PM, "interval", patterns.count_P
        ),
        "strata": _strata(patterns),
    }


def _independence(
    names: Sequence[str],
    pairs: ErrorPairs,
    identical: Sequence[tuple[int, int, int]],
    rng: np.random.Generator,
    num_bootstraps: int,
) -> dict[str, Any]:
    """Measure how many independent voters the panel is worth, and who copies whom."""
    known = measure_independence(
        pairs, [(a, b) for a, b, _ in identical], rng, num_bootstraps
    )
    return {
        "n_eff": known.n_eff,
        "n_eff_low": known.low,
        "n_eff_high": known.high,
        "mean_correlation": known.mean,
        "num_unidentified": known.num_unidentified,
        "copies": tuple((names[a], names[b], rho) for a, b, rho in known.copies),
        "identical": tuple((names[a], names[b], n) for a, b, n in identical),
    }


def _identical(patterns: VotePatterns) -> list[tuple[int, int, int]]:
    """List the pairs that count as one voter, with the words that both voted on."""
    found = []
    first, code_PM = find_copies(patterns), patterns.code_PM
    for a, b in combinations(range(patterns.num_voters), 2):
        if first[a] != first[b]:
            continue
        both_P = (code_PM[:, a] != ABSTAIN) & (code_PM[:, b] != ABSTAIN)
        # Two that are copies of a third one may share no word.
        if num_words := int(patterns.count_P[both_P].sum()):
            found.append((a, b, num_words))
    return found


def _strata(patterns: VotePatterns) -> tuple[tuple[str, int, int], ...]:
    """Count words, and words of known truth, by stratum with votes."""
    known_P = patterns.truth_P != UNKNOWN
    size = len(STRATA)
    words_S = np.bincount(patterns.stratum_P, patterns.count_P, size)
    gold_S = np.bincount(patterns.stratum_P, patterns.count_P * known_P, size)
    return tuple(
        (name, int(words), int(num_gold))
        for name, words, num_gold in zip(STRATA, words_S, gold_S, strict=True)
        if words
    )
