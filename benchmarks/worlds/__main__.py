"""Score every rule in every world: `python -m benchmarks.worlds [--write]`."""

import argparse
import sys
import time
from itertools import groupby

from benchmarks.worlds.registry import WORLDS
from benchmarks.worlds.summary import Summary, summarise
from benchmarks.worlds.tables import (
    DOC,
    failures,
    format_verdicts,
    format_world,
    format_wrong,
    write_doc,
)
from benchmarks.worlds.trials import run_trials
from kompress.aggregation import AGGREGATORS
from kompress.config import AggregationConfig


def main() -> int:
    """Print the tables, write them if asked; 1 if the default misses something."""
    args = _read_arguments()
    start = time.perf_counter()
    worlds = [name for name in WORLDS if args.worlds in name]
    rules = list(dict.fromkeys([*args.rules.split(","), args.default]))
    found: dict[str, dict[str, Summary]] = {}
    trials = run_trials(worlds, rules, args.seeds, args.processes)
    for name, group in groupby(trials, key=lambda trial: trial.world):
        found[name] = summarise(list(group))
        print(format_world(WORLDS[name], found[name], timed=True), "\n", flush=True)
    verdicts = format_verdicts(found, args.default)
    wrong = format_wrong(found, args.default)
    print(verdicts, wrong, sep="\n\n")
    missed = failures(found, args.default)
    for where, finding in missed:
        print(f"{where}: {finding.name} {finding.value:.5f}, limit {finding.limit:.5f}")
    print(f"{len(missed)} misses, {time.perf_counter() - start:.0f} s")
    if args.write:
        told = f"`{args.default}`, mean over {args.seeds} seeds.\n"
        tables = [
            format_world(WORLDS[name], found[name], timed=False) for name in found
        ]
        write_doc(
            "\n".join(["", told, verdicts, "", wrong, "", "\n\n".join(tables), ""])
        )
        print(f"wrote {DOC.name}")
    return int(bool(missed))


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worlds")
    parser.add_argument("--seeds", type=int, default=20, help="draws of each world")
    parser.add_argument("--rules", default=",".join(AGGREGATORS), help="a,b,c")
    parser.add_argument("--worlds", default="", help="only those whose name holds this")
    default = (
        "reliability" if "reliability" in AGGREGATORS else AggregationConfig().rule
    )
    parser.add_argument("--default", default=default, help="rule that must meet all")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="update docs/worlds.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
