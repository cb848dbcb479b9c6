"""Run a student with one engine; bench_score drives it as it drives headroom.

python -m benchmarks.score_ours texts.json FOLDER ENGINE [one-by-one]
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from kompress.export.client_rules import shorten
from kompress.students import load


def main() -> None:
    texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    student = load(sys.argv[2], engine=sys.argv[3])
    one_by_one = "one-by-one" in sys.argv[4:]
    student.score(texts[:3])  # kernels are planned at first use, as in preload()
    say({"backend": student.engine.name})
    kept: list[list[int]] = []
    for line in sys.stdin:
        if line.strip() == "masks":
            say({"kept": kept})
            continue
        started, busy = time.perf_counter(), time.process_time()
        groups = [[text] for text in texts] if one_by_one else [texts]
        scores = [score_N for group in groups for score_N in student.score(group)]
        short = [
            shorten(text, score_N, student.tokenizer)
            for text, score_N in zip(texts, scores, strict=True)
        ]
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - busy
        kept = [np.flatnonzero(one.keep_N).tolist() for one in short]
        say({"seconds": seconds, "cpu_s": cpu_s})


def say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
