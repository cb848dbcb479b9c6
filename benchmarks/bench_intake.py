"""How fast intake splits texts and names their must-keep words, in MB/s.

Two inputs: the sample corpus repeated (few distinct words, as real logs have), and the
same with letters and digits drawn anew in a part of the words (every fifth word
distinct, harder than real text).
"""

import json
import random
import string
import sys
import time
from importlib.resources import files

from kompress.must_keep import classify_texts

SIZE_BYTES = 32 << 20
MUTATED_SHARE = 0.3  # gives 20 % distinct words
REPEATS = 3


def main(json_out: bool = False) -> dict[str, float]:
    """Measure both inputs; the best of three runs each.

    Returns:
        MB/s and MB per processor second of each input, and the harder one's share of
        distinct words.

    Source: ours.
    """
    rng = random.Random(0)  # noqa: S311 - a benchmark, not a secret
    lines = (files("kompress.corpora") / "data/tool_outputs.jsonl").read_text("utf-8")
    corpus = [json.loads(line)["text"] for line in lines.splitlines()]
    repeated = _repeat(corpus, rng)
    varied = [_vary(text, rng) for text in repeated[: len(repeated) // 2]]
    words = [word for text in varied for word in text.split()]
    figures = {
        **_measure("intake_corpus", repeated),
        **_measure("intake_varied", varied),
        "intake_varied_distinct_share": len(set(words)) / len(words),
    }
    if json_out:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value:8.2f}")
    return figures


def _repeat(corpus: list[str], rng: random.Random) -> list[str]:
    """Draw texts until there are `SIZE_BYTES` of them."""
    texts, size = [], 0
    while size < SIZE_BYTES:
        texts.append(rng.choice(corpus))
        size += len(texts[-1])
    return texts


def _vary(text: str, rng: random.Random) -> str:
    """Draw the lower-case letters and digits of some words anew."""
    lower, digits = string.ascii_lowercase, string.digits
    words = text.split(" ")
    for place, word in enumerate(words):
        if rng.random() < MUTATED_SHARE:
            words[place] = "".join(
                rng.choice(digits)
                if char in digits
                else (rng.choice(lower) if char in lower else char)
                for char in word
            )
    return " ".join(words)


def _measure(name: str, texts: list[str]) -> dict[str, float]:
    """Give the best speed of several runs, in MB of UTF-8.

    By the clock, and by processor time: the second does not depend on what else the
    machine does, and twice it is what two idle cores can reach.
    """
    size = sum(len(text.encode()) for text in texts)
    best_s = best_cpu_s = float("inf")
    for _ in range(REPEATS):
        start, start_cpu = time.perf_counter(), time.process_time()
        classify_texts(texts)
        best_cpu_s = min(best_cpu_s, time.process_time() - start_cpu)
        best_s = min(best_s, time.perf_counter() - start)
    return {
        f"{name}_mb_s": size / best_s / 1e6,
        f"{name}_mb_per_cpu_s": size / best_cpu_s / 1e6,
    }


if __name__ == "__main__":
    main(json_out="--json" in sys.argv[1:])
