"""What votes gain, what soundness adds, what selection gains, what a student keeps.

    python -m benchmarks.bench_selection [--documents 450] [--seed 0] [--epochs 3]

Documents are generated, gold is planted facts; teachers, candidates and judges are
simulated as in `benchmarks.bench_references`, whose docstring says what that can show.
Rules and the contest's scale see calibration gold alone, which lies in train. All
figures are micro-F1 of keep on the documents with evaluation gold, which lie in other
document groups; differences are paired, with percentile intervals over documents,
1,000 resamples.

- votes: the best of the four teachers, chosen on calibration gold, and the rule
  `reliability` of all four.
- soundness: the same rule with the voter `soundness` beside them: as it comes, with its
  abstentions (`silent_p` null), and with two tests as a user might write them without
  having seen a document. Its own sensitivity and specificity are measured against
  planted gold, never against must-keep words. `coins` is the same under the rule
  `dawid_skene`, whose coins are pooled over strata.
- selection: the winning verified reference against the majority of the candidates,
  which stands in where nothing won.
- students: one small model a way of labelling, taught the train documents by it, scored
  on the others at P(keep) > 1/2; the same seeds, so differences pair by document. What
  a student keeps of a gain is its own difference over the labels'; nothing is said
  where the labels' interval holds 0.

Prints a table and one JSON object.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.bench_references import (
    CORRELATION,
    NUM_BOOTSTRAPS,
    _teach,
    judge_pairs,
    make_entries,
)
from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.statistics import confusion
from kompress.config import PairwiseConfig, RecipeConfig
from kompress.corpora.generators import generate
from kompress.metrics.bootstrap import (
    f1_statistic,
    paired_difference,
    percentile_interval,
    resample_weights,
)
from kompress.must_keep import classify_words
from kompress.pairwise.contest import Judgment, hold_contest
from kompress.pairwise.selection import majority_mask
from kompress.students import load
from kompress.training import TrainText, train
from kompress.types import (
    ABSTAIN,
    KEEP,
    PLAIN,
    UNKNOWN,
    BoolArray,
    CodeArray,
    Document,
    FloatArray,
    Vote,
)
from kompress.voters import make_voter
from kompress.words import word_list

# Two coins a voter and stratum, and the same coins in all strata.
RULES = {"votes": "reliability", "coins": "dawid_skene"}
TESTS = (
    {"name": "error_line", "pattern": r"(?i)^.*\b(?:error|fatal|exception)\b.*$"},
    {"name": "assignment", "pattern": r"\b[A-Za-z_]\w{2,}\s?[=:]\s?[\d\"']\S*"},
)
# Parameters of the voter `soundness` by way of labelling.
SOUND: dict[str, dict[str, Any]] = {
    "soundness": {},
    "soundness_abstains": {"silent_p": None},
    "soundness_tests": {"tests": TESTS},
}
TAUGHT = ("best_voter", "votes", "votes_soundness", "majority_reference", "selected")
SEEDS = (0, 1)
PAIRS = {
    "votes gained": ("votes", "best_voter"),
    "soundness added": ("votes_soundness", "votes"),
    "soundness, abstaining": ("votes_soundness_abstains", "votes"),
    "soundness with tests": ("votes_soundness_tests", "votes"),
    "coins: soundness added": ("coins_soundness", "coins"),
    "coins: abstaining": ("coins_soundness_abstains", "coins"),
    "coins: with tests": ("coins_soundness_tests", "coins"),
    "selection gained": ("selected", "majority_reference"),
    "selection over votes": ("selected", "votes"),
}

# P(keep) of each document's words, by document.
Labels = dict[int, FloatArray]


def main(num_documents: int = 450, seed: int = 0, epochs: int = 3) -> dict[str, Any]:
    """Label every document in every way, teach students, and compare."""
    documents = dict(enumerate(generate(num_documents, seed)))
    scored = [i for i, d in documents.items() if _use(d) == "evaluate"]
    labels, voters = label_by_votes(documents, seed)
    labels |= label_by_references(documents, seed)
    counts = {name: _count(documents, scored, found) for name, found in labels.items()}
    started = time.perf_counter()
    taught = {
        name: np.sum(
            [
                _count(documents, scored, learn(documents, labels[name], s, epochs))
                for s in SEEDS
            ],
            axis=0,
        )
        for name in TAUGHT
    }
    weights_BG = resample_weights(
        len(scored), num_bootstraps=NUM_BOOTSTRAPS, rng=np.random.default_rng([seed, 1])
    )
    return {
        "num_documents": num_documents,
        "num_scored": len(scored),
        "seed": seed,
        "student_seeds": SEEDS,
        "epochs": epochs,
        "students_s": round(time.perf_counter() - started, 1),
        "soundness": voters,
        "f1": {name: _f1(found, weights_BG) for name, found in counts.items()},
        "student_f1": {name: _f1(found, weights_BG) for name, found in taught.items()},
        "gains": {
            what: _gain(counts, taught, pair, weights_BG)
            for what, pair in PAIRS.items()
        },
    }


def label_by_votes(
    documents: Mapping[int, Document], seed: int
) -> tuple[dict[str, Labels], dict[str, Any]]:
    """Label by the best teacher and by the rule, without and with soundness."""
    truth_W = np.concatenate([_gold(d) for d in documents.values()])
    is_told_W = np.concatenate([
        np.full(_gold(d).size, _use(d) == "calibrate") for d in documents.values()
    ])  # fmt: skip
    stratum_W = np.concatenate([
        classify_words(word_list(d.text), "farm") for d in documents.values()
    ])  # fmt: skip
    gold_W = np.where(is_told_W, truth_W, UNKNOWN)
    # The first of the five masks is a second sample of the first teacher.
    masks_WM = np.concatenate([
        np.stack(_teach(d, seed, CORRELATION)[1:], axis=1) for d in documents.values()
    ])  # fmt: skip
    code_WM = np.where(masks_WM, ABSTAIN - 1, 0).astype(np.uint8)
    best = int(np.argmax([_own_f1(keep_W, gold_W) for keep_W in masks_WM.T]))
    found = {"best_voter": masks_WM[:, best].astype(np.float64)}
    panels, voters = {"": code_WM}, {}
    for name, params in SOUND.items():
        sound_W = _ask_soundness(documents, params)
        panels[f"_{name}"] = np.column_stack([code_WM, sound_W])
        voters[name] = _measure(sound_W, truth_W, stratum_W, ~is_told_W)
    for ending, panel_WM in panels.items():
        for name, rule in RULES.items():
            found[name + ending] = _pool(rule, panel_WM, stratum_W, gold_W)
    return {name: _by_document(documents, p_W) for name, p_W in found.items()}, voters


def label_by_references(
    documents: Mapping[int, Document], seed: int
) -> dict[str, Labels]:
    """Label by the majority of the candidates and by the verified winner."""
    documents = dict(documents)
    entries = make_entries(documents, seed, CORRELATION)
    config = PairwiseConfig()
    judgments: list[Judgment] = []
    for number, entry in entries.items():
        judgments += judge_pairs(number, entry, documents[number], config, seed)
    told = {i: _gold(d) for i, d in documents.items() if _use(d) == "calibrate"}
    contest = hold_contest(entries, judgments, config, gold=told)
    found: dict[str, Labels] = {"majority_reference": {}, "selected": {}}
    for number, entry in entries.items():
        keep_IN, _ = entry.masks()
        majority_N = majority_mask(keep_IN).astype(np.float64)
        winner = contest.judged[number].winner
        chosen_N = majority_N if winner is None else keep_IN[winner].astype(np.float64)
        found["majority_reference"][number] = majority_N
        found["selected"][number] = chosen_N
    return found


def learn(
    documents: Mapping[int, Document], labels: Labels, seed: int, epochs: int
) -> Labels:
    """Teach a student the train documents; give what it says of all."""
    texts = [
        TrainText(d.text, labels[i]) for i, d in documents.items() if d.split == "train"
    ]
    with tempfile.TemporaryDirectory() as folder:
        train(
            texts,
            RecipeConfig(num_threads=torch.get_num_threads()),
            tokenizer_json=None,
            init=None,
            epochs=epochs,
            seed=seed,
            folder=Path(folder),
            resume=None,
            progress=lambda *_: None,
        )
        scores = load(folder).score([d.text for d in documents.values()])
    return {
        number: np.where(score_N > 0.5, 1.0, 0.0)
        for number, score_N in zip(documents, scores, strict=True)
    }


def _use(document: Document) -> str:
    return document.gold.use if document.gold is not None else ""


def _gold(document: Document) -> CodeArray:
    assert document.gold is not None
    return document.gold.codes_N


def _pool(
    name: str, code_WM: CodeArray, stratum_W: CodeArray, gold_W: CodeArray
) -> FloatArray:
    """Fit the rule to all words, gold where it is for calibration, and pool them."""
    rule = make_aggregator(name, {})
    assert isinstance(rule, Learner)
    one_M = np.ones(code_WM.shape[1])
    learned = rule.fit(count_patterns(code_WM, one_M, stratum_W, gold_W))
    return learned.aggregate(code_WM, one_M, stratum_W).mean_N


def _ask_soundness(
    documents: Mapping[int, Document], params: Mapping[str, Any]
) -> CodeArray:
    voter = make_voter("soundness", "soundness", params, None)
    codes: list[CodeArray] = []
    for _, vote in voter.vote([d.text for d in documents.values()]):
        assert isinstance(vote, Vote)
        codes.append(vote.codes_N)
    return np.concatenate(codes)


def _measure(
    code_W: CodeArray, truth_W: CodeArray, stratum_W: CodeArray, asked_W: BoolArray
) -> dict[str, Any]:
    """Give the voter's own rates against planted gold, of all words and plain ones."""
    known_W = asked_W & (truth_W != ABSTAIN) & (code_W != ABSTAIN)
    found: dict[str, Any] = {}
    for name, part_W in (("all", known_W), ("plain", known_W & (stratum_W == PLAIN))):
        cells_S4 = confusion(code_W >= 127, truth_W >= 127, stratum_W, part_W)
        tp, fn, fp, tn = cells_S4.sum(axis=0).tolist()
        found[name] = {
            "sensitivity": round(tp / max(tp + fn, 1), 4),
            "specificity": round(tn / max(fp + tn, 1), 4),
            "n": tp + fn + fp + tn,
        }
    return found


def _own_f1(keep_W: BoolArray, gold_W: CodeArray) -> float:
    known_W = gold_W != UNKNOWN
    keep_W, truth_W = keep_W[known_W], gold_W[known_W] == KEEP
    return float(2 * (keep_W & truth_W).sum() / (keep_W.sum() + truth_W.sum()))


def _by_document(documents: Mapping[int, Document], p_W: FloatArray) -> Labels:
    ends = np.cumsum([_gold(d).size for d in documents.values()])[:-1]
    return dict(zip(documents, np.split(p_W, ends), strict=True))


def _count(
    documents: Mapping[int, Document], scored: Sequence[int], labels: Labels
) -> FloatArray:
    """Count TP, FP and FN of each scored document: (G, 3)."""
    rows = []
    for number in scored:
        truth_N, keep_N = _gold(documents[number]), labels[number] >= 0.5
        to_keep_N, to_drop_N = (truth_N >= 127) & (truth_N != ABSTAIN), truth_N < 127
        rows.append([
            (keep_N & to_keep_N).sum(),
            (keep_N & to_drop_N).sum(),
            (~keep_N & to_keep_N).sum(),
        ])  # fmt: skip
    return np.array(rows, dtype=np.float64)


def _f1(counts_G3: FloatArray, weights_BG: FloatArray) -> list[float]:
    value = float(f1_statistic(counts_G3.sum(axis=0, keepdims=True))[0])
    return _round((value, *percentile_interval(counts_G3, weights_BG, f1_statistic)))


def _gain(
    counts: Mapping[str, FloatArray],
    taught: Mapping[str, FloatArray],
    pair: tuple[str, str],
    weights_BG: FloatArray,
) -> dict[str, Any]:
    """Compare two ways of labelling, and the students taught by them."""
    a, b = pair
    own = _round(paired_difference(counts[a], counts[b], weights_BG, f1_statistic)[:3])
    found: dict[str, Any] = {"of": f"{a} - {b}", "labels": own}
    if a in taught and b in taught:
        found["students"] = _round(
            paired_difference(taught[a], taught[b], weights_BG, f1_statistic)[:3]
        )
        if own[1] * own[2] > 0:
            found["kept_share"] = round(found["students"][0] / own[0], 3)
    return found


def _round(values: Sequence[float | None]) -> list[float]:
    return [round(float("nan") if v is None else float(v), 4) for v in values]


def _print(found: dict[str, Any]) -> None:
    print(f"{'labelled by':28}{'F1':>8}  {'95 %':18}{'student':>8}  95 %")
    for name, own in found["f1"].items():
        line = "{:28}{:8.4f}  [{:.4f}, {:.4f}]  ".format(name, *own)
        if name in found["student_f1"]:
            line += "{:8.4f}  [{:.4f}, {:.4f}]".format(*found["student_f1"][name])
        print(line)
    for what, gain in found["gains"].items():
        line = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*gain["labels"])
        if "students" in gain:
            line += "   students {:+.4f} [{:+.4f}, {:+.4f}]".format(*gain["students"])
        if "kept_share" in gain:
            line += f"   kept {gain['kept_share']:.0%}"
        print(f"{what:24}{line}")
    for name, rates in found["soundness"].items():
        print(f"{name}: {rates}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=450)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    figures = main(arguments.documents, arguments.seed, arguments.epochs)
    _print(figures)
    print(json.dumps(figures))
