"""Does the weighted loss resolve the voting paradox? Committees of students, by λ.

    python -m benchmarks.bench_committee [--lambdas 1,3,6,10] [--seeds 4] [--members 3]
        [--documents 120] [--epochs 3] [--threads 1]

Members of one committee learn from the same kind of generated documents, whose gold is
planted, each from other documents and another seed; so each misses other words. λ is
`must_keep_weight` of the recipe: the weight of must-keep words to keep in the loss. For
every λ and k the committee (a word goes if k members drop it, each at its own
threshold) stands beside its best member on held-out documents: balanced accuracy on
gold, gold recall and must-keep recall, always with the keep_rate; then must-keep recall
where the member keeps as many words of each text. Means over seeds with their standard
errors, and how often a committee collapsed: the whole 95 % interval below its best
member. Members are smaller than the demo's student, so that the bench ends in minutes.

Prints a table, the answer in words, and one JSON object.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kompress.config import EvaluationConfig, RecipeConfig, StudentConfig
from kompress.corpora.generators import generate
from kompress.evaluation.committee import CommitteeScore, score_committees
from kompress.evaluation.predictions import Predictions, make_predictions
from kompress.evaluation.suites import Suite, SuiteText
from kompress.students import load
from kompress.students.tokenizer import train_tokenizer
from kompress.training import TrainText, train
from kompress.types import ABSTAIN, Document

HELD_OUT = 160  # documents of a seed of their own
HELD_OUT_SEED = 10_000
MEMBER = StudentConfig(
    num_layers=2, hidden_size=64, num_heads=2, intermediate_size=128, span_channels=16,
    vocab_size=2_000, max_tokens=256,
)  # fmt: skip
CONFIG = EvaluationConfig(num_bootstraps=500)
FIGURES = ("keep_rate", "recall", "balanced_accuracy", "must_keep_recall")


@dataclass(frozen=True)
class Work:
    """What every committee is made of."""

    members: int
    documents: int
    epochs: int
    threads: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lambdas", default="1,3,6,10")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--documents", type=int, default=120)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    work = Work(
        arguments.members, arguments.documents, arguments.epochs, arguments.threads
    )
    lambdas = [float(value) for value in arguments.lambdas.split(",")]
    suite = make_suite(generate(HELD_OUT, HELD_OUT_SEED))
    started = time.perf_counter()
    found: dict[float, list[list[CommitteeScore]]] = {value: [] for value in lambdas}
    for seed in range(arguments.seeds):
        # Equal documents and seeds for every λ: only the weight differs.
        for value in lambdas:
            members = train_members(work, suite, must_keep_weight=value, seed=seed)
            found[value].append(score_committees(members))
    rows = [row for value in lambdas for row in summarise(value, found[value])]
    print_rows(rows)
    for line in answer(rows):
        print(line)
    figures = {"seconds": time.perf_counter() - started, **vars(arguments)}
    print(json.dumps({**figures, "rows": rows}))


def make_suite(documents: list[Document]) -> Suite:
    return Suite(
        "planted",
        tuple(
            SuiteText(
                document.text,
                document.kind,
                document.group_id,
                sha256(document.text.encode()).hexdigest(),
                document.gold,
            )
            for document in documents
        ),
    )


def train_members(
    work: Work, suite: Suite, *, must_keep_weight: float, seed: int
) -> dict[str, Predictions]:
    """Train each member on documents of its own and score it."""
    recipe = RecipeConfig(
        student=MEMBER,
        must_keep_weight=must_keep_weight,
        targets="hard",
        num_threads=work.threads,
    )
    drawn = generate(work.members * work.documents, seed)
    tokenizer = train_tokenizer([d.text for d in drawn], MEMBER.vocab_size)
    members = {}
    for member in range(work.members):
        start = member * work.documents
        with tempfile.TemporaryDirectory() as folder:
            train(
                [label(d) for d in drawn[start : start + work.documents]],
                recipe,
                tokenizer_json=tokenizer,
                init=None,
                epochs=work.epochs,
                seed=100 * seed + member,
                folder=Path(folder),
                resume=None,
                progress=lambda *_: None,
            )
            scores = load(folder).score([text.text for text in suite.texts])
        members[f"m{member}"] = make_predictions(scores, suite, CONFIG)
    return members


def label(document: Document) -> TrainText:
    """Take gold as the label; a word that gold says nothing about weighs nothing."""
    assert document.gold is not None
    codes_N = document.gold.codes_N
    known_N = codes_N != ABSTAIN
    keep_N = (known_N & (codes_N >= 127)).astype(np.float64)
    return TrainText(document.text, keep_N, known_N.astype(np.float64))


def summarise(
    value: float, runs: list[list[CommitteeScore]]
) -> Iterator[dict[str, Any]]:
    """Give a row for the mean member and for every k: means over seeds."""
    whole = [one for one in runs[0] if (one.truth, one.stratum) == ("gold", "all")]
    members = [one.subject for one in whole if one.k is None]
    yield {
        "lambda": value,
        "subject": "mean member",
        **averages([
            {
                name: float(np.mean([figures(run, m)[name] for m in members]))
                for name in FIGURES
            }
            for run in runs
        ]),
    }  # fmt: skip
    for name in [one.subject for one in whole if one.k is not None]:
        gold = [find(run, name, "gold") for run in runs]
        equal = [find(run, name, "must_keep") for run in runs]
        yield {
            "lambda": value,
            "subject": name,
            **averages([figures(run, name) for run in runs]),
            **averages([
                {"less_best": g.difference, "less_best_at_rate": e.difference}
                for g, e in zip(gold, equal, strict=True)
            ]),
            "collapsed": sum(one.collapsed for one in gold),
            "better": sum((one.ci_low or 0) > 0 for one in gold),
            "collapsed_at_rate": sum(one.collapsed for one in equal),
            "strata_collapsed": strata_collapsed(runs, name),
            "seeds": len(runs),
        }  # fmt: skip


def find(run: list[CommitteeScore], subject: str, truth: str) -> CommitteeScore:
    (one,) = [
        one
        for one in run
        if (one.subject, one.truth, one.stratum) == (subject, truth, "all")
    ]
    return one


def figures(run: list[CommitteeScore], subject: str) -> dict[str, float]:
    gold, must = find(run, subject, "gold"), find(run, subject, "must_keep")
    found = (gold.keep_rate, gold.recall, gold.balanced_accuracy, must.recall)
    return {
        name: float("nan") if value is None else value
        for name, value in zip(FIGURES, found, strict=True)
    }


def strata_collapsed(runs: list[list[CommitteeScore]], subject: str) -> float:
    """Give the share of strata, over seeds, where gold shows a collapse."""
    tested = [
        one.collapsed
        for run in runs
        for one in run
        if (one.subject, one.truth) == (subject, "gold")
        and one.stratum != "all"
        and one.ci_high is not None
    ]
    return float(np.mean(tested)) if tested else float("nan")


def averages(rows: list[Mapping[str, float | None]]) -> dict[str, float]:
    """Give each figure's mean and its standard error over seeds."""
    found = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows], dtype=np.float64)
        found[name] = float(values.mean())
        if len(values) > 1:
            found[f"{name}_se"] = float(values.std(ddof=1) / len(values) ** 0.5)
    return found


def print_rows(rows: list[dict[str, Any]]) -> None:
    columns = (*FIGURES, "less_best", "less_best_at_rate")
    heads = ("keep_rate", "gold rec", "bal acc", "mk rec", "- best", "- best@k")
    print(f"{'λ':>4} {'subject':<12}" + "".join(f"{head:>15}" for head in heads)
          + "  collapsed  better  strata")  # fmt: skip
    for row in rows:
        cells = "".join(f"{cell(row, name):>15}" for name in columns)
        end = ""
        if "seeds" in row:
            end = (
                f"  {row['collapsed']}+{row['collapsed_at_rate']} of {row['seeds']}"
                f"{row['better']:>8}{row['strata_collapsed']:>8.0%}"
            )
        print(f"{row['lambda']:>4g} {row['subject']:<12}{cells}{end}")
    print("collapsed: by balanced accuracy + by must-keep recall at equal keep_rate")


def cell(row: Mapping[str, Any], name: str) -> str:
    if name not in row:
        return ""
    error = row.get(f"{name}_se")
    return f"{row[name]:.3f}" + ("" if error is None else f" ±{error:.3f}")


def answer(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say for each λ what the strictest committee does, and which k collapse."""
    for value in dict.fromkeys(row["lambda"] for row in rows):
        mean, *committees = [row for row in rows if row["lambda"] == value]
        first = committees[0]
        yield (
            f"λ = {value:g}: {first['subject']} keeps {first['keep_rate']:.3f} of the "
            f"words (members {mean['keep_rate']:.3f}), must-keep recall "
            f"{first['must_keep_recall']:.3f} ({mean['must_keep_recall']:.3f}), "
            f"balanced accuracy {first['balanced_accuracy']:.3f} "
            f"({mean['balanced_accuracy']:.3f}), {first['less_best']:+.3f} beside its "
            "best member"
        )
        for what, key in (
            ("balanced accuracy", "collapsed"),
            ("must-keep recall at equal keep_rate", "collapsed_at_rate"),
        ):
            fallen = [r["subject"] for r in committees if 2 * r[key] > r["seeds"]]
            yield f"  collapsed in most seeds by {what}: {', '.join(fallen) or 'no k'}"
    yield from verdict(rows)


def verdict(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Compare the least λ with the greatest, over all k and seeds."""
    low, high = min(r["lambda"] for r in rows), max(r["lambda"] for r in rows)
    committees = [row for row in rows if "seeds" in row]
    lost = {
        value: {
            r["subject"]: r["collapsed"] for r in committees if r["lambda"] == value
        }
        for value in (low, high)
    }
    gaps = {r["lambda"]: r["less_best"] for r in committees if r["subject"][:2] == "1 "}
    word = "does not resolve"
    if not sum(lost[high].values()):
        word = "resolves" if sum(lost[low].values()) else "has nothing to resolve of"
    yield (
        f"the weighted loss {word} the paradox here: beside its best member k = 1 is "
        f"{gaps[low]:+.3f} at λ = {low:g} and {gaps[high]:+.3f} at λ = {high:g}; seeds "
        f"that collapsed by k: {said(lost[low])} at λ = {low:g}, {said(lost[high])} at "
        f"λ = {high:g}"
    )


def said(lost: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in lost.items())


if __name__ == "__main__":
    main()
