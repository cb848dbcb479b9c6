"""Learn on gold that was held out which word posteriors to believe, and how far.

P = patterns, M = voters, A = answers (see `mix`), F = folds
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kompress.aggregation.chain.texts import OrderedTexts
from kompress.aggregation.patterns import VotePatterns, count_patterns, merge_patterns
from kompress.types import ABSTAIN, KEEP, UNKNOWN, BoolArray, FloatArray

NUM_FOLDS = 4
# Fewer words tell nothing of anybody.
MIN_WORDS = 20
_STEPS = 8  # of a weight between 0 and 1
# Patterns of unknown truth that fits to folds hear: they only weigh answers.
_MAX_OPEN_PATTERNS = 2**11
# Nats by which gold must speak for each answer over the one before it.
_LOYALTY = 5.0


def folds(patterns: VotePatterns) -> Iterator[tuple[VotePatterns, VotePatterns]]:
    """Cut the gold into folds: by document group where texts are known, else by word.

    Args:
        patterns: joint votes, some of known truth.

    Yields:
        All but one fold, and that fold; nothing where gold is too little to be cut.

    Source: K-fold cross-validation, Stone 1974.
    """
    texts = patterns.texts
    known_P = patterns.truth_P != UNKNOWN
    plain = _thin(replace(patterns, texts=None))
    if texts is not None and texts.known_N.any():
        held = _by_group(texts, patterns.strength_M)
    else:
        held = _by_word(patterns.take(known_P))
    for part in held:
        if part.num_words:
            yield _without(plain, part), part


def choose_mix(
    score_AP: FloatArray, keep_P: BoolArray, count_P: NDArray[np.int64]
) -> FloatArray:
    """Choose how much each answer counts, by log-loss on gold that none has seen.

    Args:
        score_AP: (A, P) log-odds of keep by each; what is believed without gold first.
        keep_P: (P,) truth.
        count_P: (P,) words.

    Returns:
        (A,) weights, multiples of 1/8 that sum to 1.

    Source: stacking of predictive distributions, Yao et al. 2018; in log-odds: ours.
    """
    sign_P = np.where(keep_P, -1.0, 1.0)
    best = np.inf
    chosen: FloatArray = np.eye(len(score_AP))[0]
    claim_A = _LOYALTY * np.arange(len(score_AP))
    for weight_A in mix_grid(len(score_AP)):
        loss_P = np.logaddexp(0, sign_P * (weight_A @ score_AP))
        loss = float(count_P @ loss_P + claim_A @ weight_A)
        if loss < best:
            best, chosen = loss, weight_A
    return chosen


def mix_grid(size: int) -> Iterator[FloatArray]:
    """List the weights that are tried, always in the same order."""
    for parts in product(range(_STEPS + 1), repeat=size):
        if sum(parts) == _STEPS:
            yield np.array(parts) / _STEPS


def is_enough(patterns: VotePatterns) -> bool:
    """Whether gold holds words to keep and to drop, and some of them."""
    known_P = patterns.truth_P != UNKNOWN
    truths = np.unique(patterns.truth_P[known_P])
    words = int(patterns.count_P[known_P].sum())
    return truths.size > 1 and KEEP in truths and words >= MIN_WORDS


def _thin(patterns: VotePatterns) -> VotePatterns:
    """Keep the gold, and of the other patterns about so many."""
    known_P = patterns.truth_P != UNKNOWN
    every = -(-int((~known_P).sum()) // _MAX_OPEN_PATTERNS)
    if every <= 1:
        return patterns
    return patterns.take(known_P | (_signature(patterns) % every == 0))


def _signature(patterns: VotePatterns) -> NDArray[np.int64]:
    """(P,) a number of each pattern that the order of the voters does not change."""
    said_PM = np.where(patterns.code_PM == ABSTAIN, 0, patterns.code_PM + np.int64(1))
    both_P = patterns.stratum_P.astype(np.int64) + 31 * patterns.truth_P
    signature_P: NDArray[np.int64] = (said_PM * said_PM + said_PM).sum(axis=1) // 2
    return signature_P + both_P


def _by_group(texts: OrderedTexts, strength_M: FloatArray) -> list[VotePatterns]:
    known_N = texts.known_N
    groups, number_N = np.unique(texts.group_N[known_N], return_inverse=True)
    if groups.size < 2:
        return []
    return [
        count_patterns(
            texts.code_NM[known_N][here_N],
            strength_M,
            texts.stratum_N[known_N][here_N],
            texts.truth_N[known_N][here_N],
        )
        for fold in range(min(NUM_FOLDS, groups.size))
        for here_N in [number_N % NUM_FOLDS == fold]
    ]


def _by_word(gold: VotePatterns) -> list[VotePatterns]:
    """Deal the words of each pattern out in turn, from a fold of its own."""
    first_P = _signature(gold) % NUM_FOLDS
    found = []
    for fold in range(NUM_FOLDS):
        # Of c words from fold f on, those that fall into this one.
        late_P = (fold - first_P) % NUM_FOLDS
        own_P = (gold.count_P + NUM_FOLDS - 1 - late_P) // NUM_FOLDS
        found.append(replace(gold, count_P=own_P, texts=None).take(own_P > 0))
    return found


def _without(patterns: VotePatterns, held: VotePatterns) -> VotePatterns:
    rest = merge_patterns([patterns, replace(held, count_P=-held.count_P)])
    left = replace(rest, samples_M=patterns.samples_M)
    return left.take(left.count_P > 0)
