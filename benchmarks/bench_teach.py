"""What a teacher's protocols cost: real vLLM on a CPU, and transformers.

    python -m benchmarks teach

`make test-vllm` makes the environment of vLLM.

Asks the micro-teacher about held-out generated documents: `word_votes` against five
sampled `rewrite`s, words per engine-second with the balanced accuracy of each beside
them; a saturated shard against one request at a time. Interleaved, medians of rounds.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VLLM = ROOT / ".farm" / "vllm-venv" / "bin" / "python"
NUM_DOCUMENTS = 120
ROUNDS = 3


def main() -> dict[str, Any]:
    figures: dict[str, Any] = {}
    engines = {"transformers": Path(sys.executable)}
    if VLLM.exists():
        engines = {"vllm": VLLM, **engines}
    else:
        print(f"found no {VLLM.relative_to(ROOT)}; `make test-vllm` makes it")
    for engine, python in engines.items():
        command = [str(python), "-m", "benchmarks.teach_engine", engine]
        process = subprocess.run(  # noqa: S603  # our own argv
            [*command, str(NUM_DOCUMENTS), str(ROUNDS)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        for name, value in json.loads(process.stdout.splitlines()[-1]).items():
            shown = statistics.median(value) if isinstance(value, list) else value
            figures[f"teach {engine}: {name}"] = shown
    for name, value in figures.items():
        print(f"{name:70} {value:10.3f}")
    return figures


if __name__ == "__main__":
    main()
