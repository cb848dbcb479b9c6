"""Print every figure: `python -m benchmarks [NAME …]`; each bench runs by itself."""

import subprocess
import sys
from pathlib import Path

NAMES = (
    "intake",
    "store",
    "engine",
    "student",
    "train",
    "score",
    "teach",
    "pairwise",
    "references",
    "brevity",
    "aggregate",
    "real_votes",
    "selection",
    "committee",
    "budget",
)


def main() -> int:
    """Run the benches that were named, or all of them, one after the other."""
    names = sys.argv[1:] or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"found {', '.join(unknown)}; expected some of {', '.join(NAMES)}")
        return 2
    root = Path(__file__).parents[1]
    status = 0
    for name in names:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.bench_{name}"]
        status |= subprocess.run(command, cwd=root, check=False).returncode  # noqa: S603  # our own argv
    return status


if __name__ == "__main__":
    sys.exit(main())
