"""What the pairwise fits cost and find: milliseconds, times choix, planted qualities.

100 items, 390 pairs of four Hamiltonian cycles. Fits are timed whole: reading and
checking the counts, scores, standard errors.
"""

import time
from collections.abc import Callable

import choix
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from kompress.pairwise import (
    fit_bradley_terry,
    fit_davidson,
    fit_judges,
    fit_thurstone,
)
from kompress.pairwise.evidence import Judgments
from kompress.pairwise.graph import hamiltonian_pairs
from kompress.types import FloatArray

NUM_ITEMS = 100
NUM_PAIRS = 390
NUM_SEEDS = 20
# Judges of different skill, each leaning to what stands first; mean skill 1.
SKILLS = np.array([1.6, 1.0, 0.4])
BIASES = np.array([0.2, 0.5, 1.0])
TIE = 0.5  # Davidson's ν


def main() -> dict[str, float]:
    """Run all three parts; returns the figures by name."""
    figures = measure_fits() | measure_choix() | measure_recovery()
    for name, value in figures.items():
        print(f"{name:60} {value:14.6g}")
    return figures


def measure_fits() -> dict[str, float]:
    """Milliseconds of each fit, at 8 comparisons a pair; least of 100."""
    wins_NN, _ = play(8)
    rng = np.random.default_rng(1)
    ties_NN = rng.integers(0, 3, wins_NN.shape) * (wins_NN + wins_NN.T > 0)
    ties_NN = ties_NN + ties_NN.T
    _, first_E, second_E, judge_E, p_3E = judge(0, sd=1.5)
    return {
        "Bradley-Terry, ms": 1e3 * least_s(lambda: fit_bradley_terry(wins_NN)),
        "Thurstone, ms": 1e3 * least_s(lambda: fit_thurstone(wins_NN)),
        "Davidson, ms": 1e3 * least_s(lambda: fit_davidson(wins_NN, ties_NN)),
        f"judges ({len(first_E)} judgments), ms": 1e3
        * least_s(
            lambda: fit_judges(
                Judgments(first_E, second_E, *p_3E), judge_E, num_items=NUM_ITEMS
            )
        ),
    }


def measure_choix() -> dict[str, float]:
    """Times choix's ilsr_pairwise at its default tolerance, and the difference.

    choix walks through the comparisons, ours through the pairs: the more comparisons a
    pair, the greater the factor.
    """
    figures = {}
    for per_pair in (3, 6, 12, 24):
        wins_NN, games = play(per_pair)
        ours = fit_bradley_terry(wins_NN, prior=0).score_N
        theirs = choix.ilsr_pairwise(NUM_ITEMS, games)
        slow_s = least_s(lambda g=games: choix.ilsr_pairwise(NUM_ITEMS, g), 40)
        fast_s = least_s(lambda w=wins_NN: fit_bradley_terry(w, prior=0))
        name = f"against choix, {per_pair} comparisons a pair"
        figures |= {
            f"{name}: choix, ms": 1e3 * slow_s,
            f"{name}: ours, ms": 1e3 * fast_s,
            f"{name}: times": slow_s / fast_s,
            f"{name}: largest difference": float(
                np.abs(ours - theirs + theirs.mean()).max()
            ),
        }
    return figures


def measure_recovery() -> dict[str, float]:
    """Spearman of planted and found qualities, by spread and orders asked."""
    figures = {}
    for both in (True, False):
        for sd in (1.0, 1.5, 2.0, 3.0):
            found = np.array(
                [recover(seed, sd, both=both) for seed in range(NUM_SEEDS)]
            )
            orders = "both orders" if both else "one order"
            name = f"3 judges, {orders}, spread {sd}"
            error = float(found.std(ddof=1) / np.sqrt(NUM_SEEDS))
            figures[f"{name}: Spearman"] = float(found.mean())
            figures[f"{name}: 95 % interval, +-"] = 1.96 * error
    return figures


def recover(seed: int, sd: float, *, both: bool) -> float:
    quality_N, first_E, second_E, judge_E, p_3E = judge(seed, sd=sd, both=both)
    ranking = fit_judges(
        Judgments(first_E, second_E, *p_3E), judge_E, num_items=NUM_ITEMS
    )
    assert ranking.converged
    return float(spearmanr(quality_N, ranking.score_N).statistic)


def play(per_pair: int) -> tuple[FloatArray, list[tuple[int, int]]]:
    """Plant qualities of sd 1/2, so that everybody wins and loses; count and list."""
    rng = np.random.default_rng(0)
    quality_N = rng.normal(0, 0.5, NUM_ITEMS)
    wins_NN, games = np.zeros((NUM_ITEMS, NUM_ITEMS)), []
    for i, j in hamiltonian_pairs(NUM_ITEMS, 4, rng)[:NUM_PAIRS]:
        won = rng.binomial(per_pair, 1 / (1 + np.exp(quality_N[j] - quality_N[i])))
        wins_NN[i, j], wins_NN[j, i] = won, per_pair - won
        games += [(i, j)] * won + [(j, i)] * (per_pair - won)
    return wins_NN, games


def judge(
    seed: int, *, sd: float, both: bool = True
) -> tuple[FloatArray, *tuple[NDArray[np.int64], ...], FloatArray]:
    """Let every judge compare every pair, in both orders or in one by chance."""
    rng = np.random.default_rng(seed)
    quality_N = rng.normal(0, sd, NUM_ITEMS)
    pair_E2 = np.array(hamiltonian_pairs(NUM_ITEMS, 4, rng))
    asked_E2 = np.repeat(pair_E2, len(SKILLS), axis=0)
    judge_E = np.tile(np.arange(len(SKILLS)), len(pair_E2))
    if both:
        asked_E2 = np.concatenate([asked_E2, asked_E2[:, ::-1]])
        judge_E = np.tile(judge_E, 2)
    else:
        asked_E2 = rng.permuted(asked_E2, axis=1)
    first_E, second_E = asked_E2.T
    gap_E = quality_N[first_E] - quality_N[second_E]
    eta_E = SKILLS[judge_E] * gap_E + BIASES[judge_E]
    weight_3E = np.stack(
        [np.exp(eta_E / 2), np.exp(-eta_E / 2), np.full(len(eta_E), TIE)]
    )
    below_3E = np.cumsum(weight_3E / weight_3E.sum(axis=0), axis=0)
    answer_E = (rng.random(len(eta_E)) > below_3E[:2]).sum(axis=0)
    return quality_N, first_E, second_E, judge_E, np.eye(3)[answer_E].T


def least_s(call: Callable[[], object], times: int = 100) -> float:
    """Seconds of one call on a core of its own: the least, as `timeit` advises."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
