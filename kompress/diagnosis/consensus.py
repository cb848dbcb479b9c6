"""Pool voters on lines by the rules that pool voters on words.

Voters on lines give scores of any scale. So a vote is made of a line's rank in its own
log: a few levels, the same for all voters. Lines count as independent of each other.
N = lines of some logs, M = voters, T = logs
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learned, Learner
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.votes import Aggregator
from kompress.types import (
    DROP,
    KEEP,
    PLAIN,
    UNKNOWN,
    CodeArray,
    FloatArray,
    encode_votes,
)

# Share of a log's lines that is thought to explain its failure: a line that so many
# others beat is voted ½. Rules that learn make of the levels what they are worth.
KEPT_SHARE = 1 / 16
MIN_SHARE = 1 / 512  # ranks above are one level


def vote_by_rank(score_L: FloatArray) -> CodeArray:
    """Turn one voter's scores of one log into votes.

    A line among the best share s of its log gets P(keep) 1 / (1 + 16 s), with s rounded
    up to a power of ½.

    Args:
        score_L: (L,) any scores; lines of one score share their mean rank.

    Returns:
        (L,) byte codes; a voter that tells no line from another abstains.
    """
    if not len(score_L) or score_L.min() == score_L.max():
        return encode_votes(np.full(len(score_L), np.nan))
    share_L = np.maximum(rankdata(-score_L) / len(score_L), MIN_SHARE)
    level_L = np.exp2(np.ceil(np.log2(share_L)))
    return encode_votes(KEPT_SHARE / (KEPT_SHARE + level_L))


def mean_rank(scores: Sequence[FloatArray]) -> FloatArray:
    """Pool voters by the mean of a line's ranks in its log.

    Args:
        scores: M arrays (L,), one a voter.

    Returns:
        (L,) from 0 (last for all) to 1, exclusive.
    """
    ranks = [rankdata(score_L) / (len(score_L) + 1) for score_L in scores]
    mean_L: FloatArray = np.mean(ranks, axis=0)
    return mean_L


def rank_product(scores: Sequence[FloatArray]) -> FloatArray:
    """Pool voters by the geometric mean of a line's ranks from the top of its log.

    Args:
        scores: M arrays (L,), one a voter.

    Returns:
        (L,) in (0, 1): 1 / (1 + 16 s), s the geometric mean of rank / L.

    Source: rank products, Breitling et al. 2004; as a P(keep): ours.
    """
    shares = [np.log(rankdata(-score_L) / len(score_L)) for score_L in scores]
    pooled_L: FloatArray = KEPT_SHARE / (KEPT_SHARE + np.exp(np.mean(shares, axis=0)))
    return pooled_L


def pool_votes_of_lines(
    rule: str,
    votes: Sequence[CodeArray],
    training: Sequence[CodeArray],
    truths: Sequence[FloatArray] | None,
) -> list[FloatArray]:
    """Pool votes on lines of some logs by a rule of the farm.

    Args:
        rule: a key of `AGGREGATORS`.
        votes: T arrays (L, M), the logs that are asked for.
        training: arrays (L, M) of other logs; a rule that learns is fitted to these.
        truths: for each of these (L,) the share of people who keep a line, NaN unknown;
            from ½ on it is kept. None: the rule is told nothing.

    Returns:
        T arrays (L,) of posterior means.
    """
    made = make_aggregator(rule, {})
    pooled: Aggregator | Learned = made
    one_M = np.ones(votes[0].shape[1])
    if isinstance(made, Learner):
        code_NM = np.concatenate(training)
        stratum_N = np.full(len(code_NM), PLAIN, np.uint8)
        truth_N = None if truths is None else _as_codes(np.concatenate(truths))
        patterns = count_patterns(code_NM, one_M, stratum_N, truth_N)
        pooled = made.fit(patterns)
    return [
        pooled.aggregate(code_LM, one_M, np.full(len(code_LM), PLAIN, np.uint8)).mean_N
        for code_LM in votes
    ]


def _as_codes(keep_N: FloatArray) -> CodeArray:
    known_N = np.where(keep_N >= 0.5, KEEP, DROP)
    return np.where(np.isnan(keep_N), UNKNOWN, known_N).astype(np.uint8)
