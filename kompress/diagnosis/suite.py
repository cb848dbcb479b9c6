"""The suite `diagnosis`: every voter, baseline and consensus on the same marked logs.

Scores of a log come from what was fitted to the logs of other folds alone.
T = logs, L = lines of one log
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from kompress.diagnosis.consensus import (
    mean_rank,
    pool_votes_of_lines,
    rank_product,
    vote_by_rank,
)
from kompress.diagnosis.measure import (
    DiagnosisCase,
    MeanOverLogs,
    Selection,
    measure_case,
    summarise,
)
from kompress.lines.linear import MarkedLog
from kompress.lines.selection import select_by_score, select_lines
from kompress.lines.voters import LINE_VOTERS, LineVoter
from kompress.types import CodeArray, FloatArray

# Plain ways of cutting: their score alone chooses, nothing is kept first.
BASELINES = ("random_lines", "head", "tail", "head_tail", "error_regex")
# Voters that never saw anybody's marks, and all.
UNTAUGHT = ("error_lines", "rarity", "contrast", "tail")
TAUGHT = ("position", "linear")
RULES = ("majority", "uniform", "reliability")


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that scores lines.

    Attributes:
        name: what the table calls it.
        scores: T arrays (L,).
        select: how it fills a budget.
    """

    name: str
    scores: list[FloatArray]
    select: Selection


def mark_logs(cases: Sequence[DiagnosisCase]) -> list[MarkedLog]:
    """Give logs to fit a voter to; all logs of a source together weigh the same."""
    num_of = Counter(case.gold.source for case in cases)
    return [
        MarkedLog(case.log, case.keep_L, weight=1 / num_of[case.gold.source])
        for case in cases
    ]


def score_in_folds(
    cases: Sequence[DiagnosisCase],
    fold_T: NDArray[np.int64],
    voter: LineVoter,
    *,
    share: float = 1.0,
) -> list[FloatArray]:
    """Score each log by a voter fitted to the other folds.

    Args:
        cases: T logs.
        fold_T: (T,) folds.
        voter: an entry of `LINE_VOTERS`.
        share: how many of the other folds' repositories are learned from, the same
            ones first; at least one.

    Returns:
        T arrays (L,).
    """
    scores: list[FloatArray] = [np.zeros(0)] * len(cases)
    for fold in np.unique(fold_T):
        others = [case for case, own in zip(cases, fold_T, strict=True) if own != fold]
        score = voter(mark_logs(_take_share(others, share)))
        for place in np.flatnonzero(fold_T == fold).tolist():
            scores[place] = score(cases[place].log)
    return scores


def _take_share(cases: Sequence[DiagnosisCase], share: float) -> list[DiagnosisCase]:
    """Give the logs of a share of the repositories, of every source alike."""
    taken: set[tuple[str, str]] = set()
    for source in {case.gold.source for case in cases}:
        found = {c.gold.repository for c in cases if c.gold.source == source}
        names = sorted(found, key=lambda name: sha256(name.encode()).digest())
        num = max(1, round(share * len(names)))
        taken |= {(source, name) for name in names[:num]}
    return [c for c in cases if (c.gold.source, c.gold.repository) in taken]


def contest(
    cases: Sequence[DiagnosisCase], fold_T: NDArray[np.int64]
) -> list[Contestant]:
    """Let all voters and all rules score all logs.

    Args:
        cases: T logs.
        fold_T: (T,) folds, at least two.

    Returns:
        Voters in the order of `LINE_VOTERS`, then each consensus: of the voters that
        learn from no marks, and, with ` + gold`, of all with the rules told the marks
        of the other folds.
    """
    scores = {
        name: score_in_folds(cases, fold_T, voter)
        for name, voter in LINE_VOTERS.items()
    }
    found = [
        Contestant(name, each, select_by_score if name in BASELINES else select_lines)
        for name, each in scores.items()
    ]
    keeps = [case.keep_L for case in cases]
    for ending, panel, truths in (
        ("", UNTAUGHT, None),
        (" + gold", UNTAUGHT + TAUGHT, keeps),
    ):
        told = {name: scores[name] for name in panel}
        found += [
            Contestant(f"{name}{ending}", each, select_lines)
            for name, each in _consensus(told, fold_T, truths).items()
        ]
    return found


def _consensus(
    scores: Mapping[str, list[FloatArray]],
    fold_T: NDArray[np.int64],
    truths: list[FloatArray] | None,
) -> dict[str, list[FloatArray]]:
    """Pool a panel by each rule, those that learn fitted to the other folds."""
    panel = list(zip(*scores.values(), strict=True))
    votes: list[CodeArray] = [
        np.stack([vote_by_rank(score_L) for score_L in each], axis=1) for each in panel
    ]
    found: dict[str, list[FloatArray]] = {
        "mean of ranks": list(map(mean_rank, panel)),
        "product of ranks": list(map(rank_product, panel)),
    }
    for rule in RULES:
        pooled: list[FloatArray] = [np.zeros(0)] * len(votes)
        for fold in np.unique(fold_T):
            asked = np.flatnonzero(fold_T == fold)
            others = np.flatnonzero(fold_T != fold)
            means = pool_votes_of_lines(
                rule,
                [votes[place] for place in asked],
                [votes[place] for place in others],
                None if truths is None else [truths[place] for place in others],
            )
            for place, mean_L in zip(asked, means, strict=True):
                pooled[place] = mean_L
        found[rule] = pooled
    return found


def measure_contestant(
    cases: Sequence[DiagnosisCase], contestant: Contestant, *, rng: np.random.Generator
) -> dict[str, MeanOverLogs]:
    """Give the means of a contestant's figures over logs, with intervals.

    Args:
        cases: T logs.
        contestant: scores all T.
        rng: source of the resamples.
    """
    rows = [
        measure_case(case, score_L, contestant.select)
        for case, score_L in zip(cases, contestant.scores, strict=True)
    ]
    return summarise(rows, [case.gold.repository for case in cases], rng=rng)
