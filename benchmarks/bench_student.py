"""Measure the demo's student on the sample corpus: tokenising, training, scoring.

    python benchmarks/bench_student.py [--threads 2] [--epochs 1]

Prints one JSON object. Targets on 2 idle cores: 17-19 k tokens/s training and 58 k
scoring.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from kompress.config import RecipeConfig
from kompress.corpora.readers import load_sample
from kompress.must_keep import classify_words
from kompress.students import load
from kompress.students.chunks import cut_chunks
from kompress.students.tokenizer import WordTokenizer, train_tokenizer
from kompress.training import TrainText, train
from kompress.words import word_list

REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = RecipeConfig(num_threads=arguments.threads)
    texts = [document.text for document in load_sample()]
    held_out, shown = texts[::6], [t for i, t in enumerate(texts) if i % 6]
    figures: dict[str, float] = {"threads": arguments.threads}

    started = time.perf_counter()
    tokenizer_json = train_tokenizer(shown, recipe.student.vocab_size)
    figures["train_tokenizer_s"] = time.perf_counter() - started
    started = time.perf_counter()
    chunks = cut_chunks(
        [word_list(text) for text in texts], WordTokenizer(tokenizer_json), 512
    )
    figures["tokenise_tokens_per_s"] = len(chunks.ids_T) / (
        time.perf_counter() - started
    )
    figures["tokens_per_word"] = len(chunks.ids_T) / sum(chunks.num_words)

    labelled = [TrainText(text, target(text)) for text in shown]
    step_s: list[float] = []
    tokens: list[float] = []
    losses: list[float] = []
    clock = time.perf_counter()

    def note(_done: int, _total: int, report: dict[str, float]) -> None:
        nonlocal clock
        step_s.append(time.perf_counter() - clock)
        tokens.append(report["num_tokens"])
        losses.append(report["loss"])
        clock = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        result = train(
            labelled,
            recipe,
            tokenizer_json=tokenizer_json,
            init=None,
            epochs=arguments.epochs,
            seed=0,
            folder=Path(folder),
            resume=None,
            progress=note,
        )
        student = load(folder)
    rates = np.diff(tokens) / np.array(step_s[1:])
    figures["train_tokens_per_s"] = float(np.diff(tokens).sum() / sum(step_s[1:]))
    figures["train_tokens_per_s_best_tenth"] = float(np.quantile(rates, 0.9))
    figures["train_tokens"] = result.num_tokens

    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        student.score(texts)
        seconds.append(time.perf_counter() - started)
    figures["score_tokens_per_s"] = len(chunks.ids_T) / min(seconds)
    figures["score_tokens_per_s_median"] = len(chunks.ids_T) / float(np.median(seconds))

    keep = np.concatenate(student.score(held_out)) > 0.5
    truth = np.concatenate([target(text) for text in held_out]) > 0.5
    figures["held_out_f1"] = float(
        2 * (keep & truth).sum() / (keep.sum() + truth.sum())
    )
    figures["held_out_keep_rate"] = float(keep.mean())
    curve = [float(np.mean(part)) for part in np.array_split(losses, 8)]
    print(json.dumps({**figures, "loss_curve": curve}, indent=1))


def target(text: str) -> np.ndarray:
    """Use the farm rule set as an easy truth: the bench needs something learnable."""
    return (classify_words(word_list(text), "farm") != 0).astype(np.float64)


if __name__ == "__main__":
    main()
