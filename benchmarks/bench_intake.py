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
        MB/s by input, and the share of distinct words of the harder one.

    Source: ours.
    """
    rng = random.Random(0)  # noqa: S311 - a benchmark, not a secret
    lines = (files("kompress.corpora") / "data/tool_outputs.jsonl").read_text("utf-8")
    corpus = [json.loads(line)["text"] for line in lines.splitlines()]
    repeated = _repeat(corpus, rng)
    varied = [_vary(text, rng) for text in repeated[: len(repeated) // 2]]
    words = [word for text in varied for word in text.split()]
    figures = {
        "intake_corpus_mb_s": _measure(repeated),
        "intake_varied_mb_s": _measure(varied),
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


def _measure(texts: list[str]) -> float:
    """Give the best speed of several runs, in MB of UTF-8 per second."""
    size = sum(len(text.encode()) for text in texts)
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        classify_texts(texts)
        best = min(best, time.perf_counter() - start)
    return size / best / 1e6


if __name__ == "__main__":
    main(json_out="--json" in sys.argv[1:])
