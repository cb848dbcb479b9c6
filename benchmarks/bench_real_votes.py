"""What is a consensus worth on stored votes of a real round, with little gold?

    python -m benchmarks.bench_real_votes VOTES.npz [--draws 20]

VOTES.npz holds arrays of one round: `codes_NM` (uint8, 255 abstains), `stratum_N`,
`gold_N` (255 unknown, above 127 keep), `newline_N` (1: the word begins a line),
`doc_N`, and `use_D` by document: `calibrate` or `evaluate`. Gold of some calibration
documents is told, drawn anew for each draw; words with gold of `evaluate` are scored.

Figures: F1 of keep and log-loss, mean over draws, of the rule along texts and of the
same words alone, beside rules that learn nothing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from kompress.aggregation import make_aggregator
from kompress.aggregation.patterns import count_patterns
from kompress.types import DROP, KEEP, NEW_TEXT, UNKNOWN, BoolArray, FloatArray

NUM_DOCUMENTS = (0, 1, 5, 20, 60, 150)


def main() -> int:
    """Print the learning curve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("votes", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=20)
    args = parser.parse_args()
    if args.votes is None:
        print("no votes were given: pass the path of an .npz (see the module)")
        return 0
    with np.load(args.votes, allow_pickle=False) as found:
        votes = {name: found[name] for name in found.files}
    code_NM, document_N = votes["codes_NM"], votes["doc_N"].astype(np.intp)
    stratum_N, known_N = votes["stratum_N"], votes["gold_N"] != UNKNOWN
    first_N = np.append(True, document_N[1:] != document_N[:-1])
    boundary_N = np.where(first_N, NEW_TEXT, votes["newline_N"]).astype(np.uint8)
    keep_N = votes["gold_N"] > 127
    scored_N = known_N & (votes["use_D"][document_N] == "evaluate")
    one_M = np.ones(code_NM.shape[1])
    pool = np.flatnonzero(votes["use_D"] == "calibrate")

    for name in ("majority", "uniform"):
        mean_N = make_aggregator(name, {}).aggregate(code_NM, one_M, stratum_N).mean_N
        print(f"{name:12} {_show([score(mean_N, keep_N, scored_N)])}")
    print(f"{'documents':12} {'along texts':>16} {'words alone':>16}")
    for size in (*(n for n in NUM_DOCUMENTS if n < pool.size), pool.size):
        along, alone = [], []
        for draw in range(args.draws if 0 < size < pool.size else 1):
            rng = np.random.default_rng([size, draw])
            told_N = known_N & np.isin(
                document_N, rng.choice(pool, size, replace=False)
            )
            truth_N = np.where(told_N, np.where(keep_N, KEEP, DROP), UNKNOWN)
            rule = make_aggregator("reliability", {})
            patterns = count_patterns(code_NM, one_M, stratum_N, truth_N, boundary_N)
            learned = rule.fit(patterns)  # type: ignore[attr-defined]  # it is a learner
            for told, scores in ((boundary_N, along), (None, alone)):
                found_N = learned.aggregate(code_NM, one_M, stratum_N, told).mean_N
                scores.append(score(found_N, keep_N, scored_N))
        print(f"{size:<12} {_show(along):>16} {_show(alone):>16}", flush=True)
    return 0


def score(
    mean_N: FloatArray, keep_N: BoolArray, scored_N: BoolArray
) -> tuple[float, float]:
    """Give F1 of keep and the log-loss of some words.

    Args:
        mean_N: (N,) P(keep).
        keep_N: (N,) truth.
        scored_N: (N,) the words that count.

    Source: ours.
    """
    mean_N, keep_N = mean_N[scored_N], keep_N[scored_N]
    kept_N = mean_N >= 0.5
    f1 = 2 * float((kept_N & keep_N).sum()) / max(int(kept_N.sum() + keep_N.sum()), 1)
    return f1, -float(np.log(np.where(keep_N, mean_N, 1 - mean_N)).mean())


def _show(scores: list[tuple[float, float]]) -> str:
    f1, loss = np.mean(scores, axis=0)
    return f"{f1:.3f} / {loss:.3f}"


if __name__ == "__main__":
    sys.exit(main())
