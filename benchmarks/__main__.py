"""Print every figure: `python -m benchmarks [NAME …]`; each bench runs by itself.

One bench alone takes arguments: `python -m benchmarks real_votes votes.npz`.
"""

import subprocess
import sys
from pathlib import Path

NAMES = (
    "intake",
    "store",
    "backlog",
    "engine",
    "student",
    "train",
    "score",
    "teach",
    "pairwise",
    "references",
    "brevity",
    "aggregate",
    "selection",
    "committee",
    "budget",
)
# These need a file or a folder that is not in the project.
OF_A_FILE = ("real_votes", "diagnosis")


def main() -> int:
    """Run the benches that were named, or all of them, one after the other."""
    known = (*NAMES, *OF_A_FILE)
    names, arguments = sys.argv[1:] or list(NAMES), []
    if names[0] in known and not set(names[1:]) <= set(known):
        names, arguments = names[:1], names[1:]
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"found {', '.join(unknown)}; expected some of {', '.join(known)}")
        return 2
    root = Path(__file__).parents[1]
    status = 0
    for name in names:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.bench_{name}", *arguments]
        status |= subprocess.run(command, cwd=root, check=False).returncode  # noqa: S603  # our own argv
    return status


if __name__ == "__main__":
    sys.exit(main())
