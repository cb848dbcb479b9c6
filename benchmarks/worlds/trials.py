"""Put every rule through every world, a draw at a time, on two processes."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.worlds.draws import Draw
from benchmarks.worlds.registry import WORLDS
from benchmarks.worlds.scores import (
    IntArray,
    Score,
    count_voters,
    score_bayes,
    score_posterior,
)
from kompress.aggregation import AGGREGATORS, make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import count_patterns
from kompress.types import DROP, KEEP, STRATA, UNKNOWN

BAYES = "Bayes-optimal"
NO_GOLD = ", no gold"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """All rules on one draw.

    Attributes:
        world: its name.
        seed: of the draw.
        scores: by the rule's label; a rule that learns has a second, with `NO_GOLD`.
        voter_MS4: (M, S, 4) counts of every voter alone.
    """

    world: str
    seed: int
    scores: dict[str, Score]
    voter_MS4: IntArray


def run_trials(
    worlds: Sequence[str], rules: Sequence[str], num_seeds: int, num_processes: int
) -> Iterator[Trial]:
    """Run all draws; trials come in the order worlds by seeds.

    Args:
        worlds: keys of `WORLDS`.
        rules: keys of `AGGREGATORS`.
        num_seeds: draws of each world, seeds 0 and up.
        num_processes: 1 runs in this one.

    Source: ours.
    """
    tasks = [(world, seed, rules) for world in worlds for seed in range(num_seeds)]
    if num_processes == 1:
        yield from map(run_trial, tasks)
        return
    # A fresh process reads this before it loads numpy: one thread each.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    context = multiprocessing.get_context("spawn")
    with context.Pool(num_processes) as pool:
        yield from pool.imap(run_trial, tasks, chunksize=1)


def run_trial(task: tuple[str, int, Sequence[str]]) -> Trial:
    """Draw one corpus and score every rule on its words without gold.

    Args:
        task: world, seed and rules.

    Source: ours.
    """
    name, seed, rules = task
    draw = WORLDS[name].make(seed)
    scores = {BAYES: score_bayes(draw)}
    for label, rule_name, params in _label_rules(rules, draw.code_NM.shape[1]):
        rule = make_aggregator(rule_name, params)
        if isinstance(rule, Learner):
            scores[label] = learn(rule, draw)
            # Scored on the same words: only what the rule is told differs.
            blind = replace(draw, gold_N=np.zeros_like(draw.gold_N))
            scores[label + NO_GOLD] = learn(rule, draw, told=blind)
            continue
        start = time.perf_counter()
        posterior = rule.aggregate(draw.code_NM, draw.strength_M, draw.stratum_N)
        seconds = time.perf_counter() - start
        alpha_N, beta_N = posterior.alpha_N, posterior.beta_N
        scores[label] = score_posterior(draw, alpha_N, beta_N, seconds)
    return Trial(name, seed, scores, count_voters(draw))


def learn(rule: Learner, draw: Draw, *, told: Draw | None = None) -> Score:
    """Fit a rule to each round by itself, pool with what it learned, score the draw.

    Args:
        rule: the rule.
        draw: words to score.
        told: the same words with the gold that the rule is told; None is `draw`.

    Source: ours.
    """
    told = told or draw
    truth_N = np.where(told.gold_N, np.where(told.truth_N, KEEP, DROP), UNKNOWN)
    alpha_N, beta_N = np.empty(truth_N.size), np.empty(truth_N.size)
    warned: set[str] | None = set()
    start = time.perf_counter()
    for number in np.unique(told.round_N):
        here_N = told.round_N == number
        votes = told.code_NM[here_N], told.strength_M, told.stratum_N[here_N]
        learned = rule.fit(count_patterns(*votes, truth_N[here_N]))
        posterior = learned.aggregate(*votes)
        alpha_N[here_N], beta_N[here_N] = posterior.alpha_N, posterior.beta_N
        said = learned.data.get("undetectable")
        warned = None if said is None or warned is None else warned | set(said)
    seconds = time.perf_counter() - start
    names = None if warned is None else tuple(sorted(warned, key=STRATA.index))
    return score_posterior(draw, alpha_N, beta_N, seconds, names)


def _label_rules(
    rules: Sequence[str], num_voters: int
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in rules:
        if name not in AGGREGATORS:
            raise SystemExit(
                f"found rule {name!r}; expected some of {', '.join(AGGREGATORS)}"
            )
        if name != "k_of_n":
            yield name, name, {}
            continue
        for k in range(1, num_voters + 1):
            yield f"k_of_n({k})", name, {"k": k}
