"""What pooling costs: seconds and memory of every rule; Dawid-Skene against crowd-kit.

    python -m benchmarks.bench_aggregate [--words 10000000] [--rules beta,majority]

Rules: 10 M words by 8 voters of byte votes in 9 strata, without gold: a rule that
learns is fitted to the very words, as `AGGREGATORS[name]().aggregate(…)` does. Votes
are drawn by two coins a voter and stratum, soft by voter, a tenth is missing; seeded.
Every run is a process of its own; processor seconds, of all threads, are what
neighbours on the machine disturb least. Memory is the process' peak resident set: in
all, and above what it held with the votes in place.

Dawid-Skene: 500 k votes (100 k items, 5 voters, 2 classes), 20 iterations each, in
alternate rounds in one process; `fit` is given the counts, crowd-kit its data frame.
Counting those votes from the same frame's columns is timed as well. A second table has
rows that are all different, with and without looking for equal ones.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from kompress.aggregation import AGGREGATORS, dawid_skene
from kompress.aggregation.dawid_skene import em
from kompress.types import ABSTAIN, CodeArray, FloatArray

NUM_WORDS, NUM_VOTERS, NUM_STRATA = 10_000_000, 8, 9
REPEATS = 3
MAX_SECONDS, MAX_BYTES = 3.0, 2e9  # of the default rule
NUM_ITEMS, ACCURACY = 100_000, (0.9, 0.85, 0.8, 0.75, 0.7)
NUM_ITERATIONS, ROUNDS = 20, 7
MIN_RATIO, MAX_DIFFERENCE = 500.0, 1e-9
_BLOCK = 250_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=NUM_WORDS)
    parser.add_argument("--rules", default=",".join(AGGREGATORS))
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure_rule(arguments.one, arguments.words)))
        return
    rules = {
        name: run_apart(name, arguments.words) for name in arguments.rules.split(",")
    }
    print_rules(rules)
    versus = race()
    print_race(versus)
    print(json.dumps({"rules": rules, "dawid_skene": versus}))


def run_apart(rule: str, num_words: int) -> dict[str, float]:
    """Measure a rule in fresh processes: seconds of each, memory of the largest."""
    command = [sys.executable, "-m", "benchmarks.bench_aggregate"]
    command += ["--one", rule, "--words", str(num_words)]
    runs = []
    for _ in range(REPEATS):
        done = subprocess.run(  # noqa: S603  # our own argv
            command,
            cwd=Path(__file__).parents[1],
            check=True,
            capture_output=True,
            text=True,
        )
        runs.append(json.loads(done.stdout))
    seconds = [run["seconds"] for run in runs]
    return {
        "least_s": min(seconds),
        "median_s": float(np.median(seconds)),
        "cpu_s": min(run["cpu_seconds"] for run in runs),
        "above_bytes": max(run["above_bytes"] for run in runs),
        "peak_bytes": max(run["peak_bytes"] for run in runs),
        "right": runs[0]["right"],
    }


def measure_rule(rule: str, num_words: int) -> dict[str, float]:
    """Pool once, in this process."""
    code_NM, stratum_N, truth_N = draw_votes(num_words)
    strength_M = np.ones(NUM_VOTERS)
    aggregator = AGGREGATORS[rule]()
    # Imports and first calls are paid before the clock runs.
    aggregator.aggregate(code_NM[:1_000], strength_M, stratum_N[:1_000])
    before = psutil.Process().memory_info().rss
    started, cpu_started = time.perf_counter(), time.process_time()
    posterior = aggregator.aggregate(code_NM, strength_M, stratum_N)
    cpu_seconds = time.process_time() - cpu_started
    seconds = time.perf_counter() - started
    # Linux counts in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    right = float(((posterior.mean_N >= 0.5) == truth_N).mean())
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "above_bytes": peak - before,
        "peak_bytes": peak,
        "right": right,
    }


def draw_votes(
    num_words: int, seed: int = 0
) -> tuple[CodeArray, CodeArray, NDArray[np.bool_]]:
    """Draw byte votes of two coins a voter and stratum, block by block."""
    rng = np.random.default_rng(seed)
    right_2SM = rng.uniform(0.6, 0.95, (2, NUM_STRATA, NUM_VOTERS))
    share_S = rng.uniform(0.2, 0.8, NUM_STRATA)
    code_NM = np.empty((num_words, NUM_VOTERS), dtype=np.uint8)
    stratum_N = np.empty(num_words, dtype=np.uint8)
    truth_N = np.empty(num_words, dtype=np.bool_)
    for at in range(0, num_words, _BLOCK):
        part = slice(at, min(at + _BLOCK, num_words))
        size = part.stop - at
        stratum_N[part] = stratum_C = rng.integers(0, NUM_STRATA, size, dtype=np.uint8)
        truth_N[part] = truth_C = (
            rng.random(size, dtype=np.float32) < share_S[stratum_C]
        )
        for m in range(NUM_VOTERS):
            right_C = right_2SM[truth_C.astype(np.intp), stratum_C, m]
            keeps_C = (rng.random(size, dtype=np.float32) < right_C) == truth_C
            # Of 16m + 8 codes on either side: the last voters are the sharpest.
            off_C = rng.integers(0, 16 * m + 8, size, dtype=np.uint8)
            code_C = np.where(keeps_C, 127 + off_C, 126 - off_C)
            code_C[rng.random(size, dtype=np.float32) < 0.1] = ABSTAIN
            code_NM[part, m] = code_C
    return code_NM, stratum_N, truth_N


def print_rules(rules: dict[str, dict[str, float]]) -> None:
    head = f"{'rule':18}{'least s':>9}{'median s':>10}{'cpu s':>8}{'above, MB':>11}"
    print(head + f"{'peak, MB':>10}{'right':>8}")
    for name, found in rules.items():
        print(
            f"{name:18}{found['least_s']:9.2f}{found['median_s']:10.2f}"
            f"{found['cpu_s']:8.2f}"
            f"{found['above_bytes'] / 1e6:11.0f}{found['peak_bytes'] / 1e6:10.0f}"
            f"{found['right']:8.4f}"
        )
    print(f"bar of the default: {MAX_SECONDS} s, {MAX_BYTES / 1e6:.0f} MB")


def race() -> dict[str, Any]:
    """Run crowd-kit and `fit` in turn on the same votes."""
    warnings.filterwarnings("ignore")
    import pandas as pd  # noqa: PLC0415  # a dev dependency, and slow to import
    from crowdkit.aggregation import DawidSkene  # noqa: PLC0415

    said_NM = draw_answers()
    item = np.repeat(np.arange(NUM_ITEMS), len(ACCURACY))
    voter = np.tile(np.arange(len(ACCURACY)), NUM_ITEMS)
    label = said_NM.ravel().astype(np.int64)
    data = pd.DataFrame({"task": item, "worker": voter, "label": label})
    theirs_s, ours_s, counted_s = [], [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        theirs = DawidSkene(n_iter=NUM_ITERATIONS, tol=-np.inf).fit(data)
        theirs_s.append(time.perf_counter() - started)
        started = time.perf_counter()
        counts_NMK = count_answers(item, voter, label)
        between = time.perf_counter()
        ours = dawid_skene.fit(counts_NMK, max_iter=NUM_ITERATIONS, tol=-np.inf)
        ended = time.perf_counter()
        ours_s.append(ended - between)
        counted_s.append(ended - started)
    assert len(theirs.loss_history_) == ours.num_iter == NUM_ITERATIONS
    theirs_NK = theirs.probas_.sort_index().sort_index(axis=1).to_numpy()
    return {
        "crowdkit_s": float(np.median(theirs_s)),
        "ours_s": float(np.median(ours_s)),
        "ratio": _ratios(theirs_s, ours_s),
        "ratio_with_counting": _ratios(theirs_s, counted_s),
        "largest_difference": float(np.abs(theirs_NK - ours.posterior_NK).max()),
        "all_different": race_without_patterns(),
    }


def draw_answers(seed: int = 0) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    truth_N1 = rng.random((NUM_ITEMS, 1)) < 0.4
    right_NM = rng.random((NUM_ITEMS, len(ACCURACY))) < np.array(ACCURACY)
    return np.asarray(truth_N1 == right_NM)


def count_answers(
    item: NDArray[np.int64], voter: NDArray[np.int64], label: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Count who said what of which item."""
    shape = (NUM_ITEMS, len(ACCURACY), 2)
    cell = (item * shape[1] + voter) * shape[2] + label
    counts: NDArray[np.int64] = np.bincount(cell, minlength=int(np.prod(shape)))
    return counts.reshape(shape)


def race_without_patterns() -> dict[str, float]:
    """Time a fit whose rows are all different, looking for equal ones and not."""
    rng = np.random.default_rng(1)
    counts_NMK = rng.random((NUM_ITEMS, len(ACCURACY), 2))
    looks = em._distinct_rows  # noqa: SLF001  # the part under test

    def as_they_are(flat_NF: FloatArray) -> tuple[FloatArray, FloatArray, None]:
        return flat_NF.astype(np.float64), np.ones(len(flat_NF)), None

    seconds: dict[str, list[float]] = {"looking": [], "not": []}
    for _ in range(ROUNDS):
        for name, find in (("looking", looks), ("not", as_they_are)):
            em._distinct_rows = find  # noqa: SLF001
            started = time.perf_counter()
            dawid_skene.fit(counts_NMK, max_iter=NUM_ITERATIONS, tol=-np.inf)
            seconds[name].append(time.perf_counter() - started)
    em._distinct_rows = looks  # noqa: SLF001
    return {name: float(np.median(found)) for name, found in seconds.items()}


def _ratios(theirs_s: list[float], ours_s: list[float]) -> dict[str, float]:
    ratios = [slow / fast for slow, fast in zip(theirs_s, ours_s, strict=True)]
    return {"median": float(np.median(ratios)), "least": min(ratios)}


def print_race(found: dict[str, Any]) -> None:
    print(
        f"Dawid-Skene, {NUM_ITEMS * len(ACCURACY):,} votes, {NUM_ITERATIONS} iterations"
        f": crowd-kit {found['crowdkit_s']:.2f} s, ours {1e3 * found['ours_s']:.2f} ms"
    )
    for name in ("ratio", "ratio_with_counting"):
        both = found[name]
        print(f"{name:24}median {both['median']:8.0f}   least {both['least']:8.0f}")
    print(f"largest difference of a posterior: {found['largest_difference']:.1e}")
    print(f"bars: ratio {MIN_RATIO:.0f}, difference {MAX_DIFFERENCE:.0e}")
    apart = found["all_different"]
    print(
        f"all rows different: {1e3 * apart['looking']:.1f} ms looking for equal ones, "
        f"{1e3 * apart['not']:.1f} ms without"
    )


if __name__ == "__main__":
    main()
