"""Do references that comparisons choose beat simpler choices, against gold?

    python -m benchmarks.bench_references [--documents 600] [--seed 0]

What is simulated, and what that can show:

- Documents: `kompress.corpora.generators`, gold from planted facts. Figures are over
  those with evaluation gold; calibration gold sets the quality's scale alone.
- Candidates: the masks of four simulated teachers and of the three local voters. A
  teacher sees each gold word right with its own skill, which varies from document to
  document, and a share of its errors is shared by all teachers, as those of language
  models are. One teacher writes twice: two samples.
- Judges: three, simulated too. None sees F1, but two see something of the planted facts
  that gold is made of, as a reader would: the mean over facts of the squared share of
  a fact's words that the reference has, less a price for its length, blurred by a
  misperception of each (judge, reference) that asking again does not average out. The
  third likes what is longer. Each has its discrimination, a position bias, and ties.
- So it shows that pairs, fit and verifier find the reference that such judges prefer,
  and that facts and brevity lead to word labels; not that a language model judges so.

Rivals: a random candidate, the majority vote of all candidates, and, harder, that of
what the teachers wrote alone. Differences in micro-F1 of keep come with paired
percentile intervals over documents, 1,000 resamples. Prints one JSON object.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kompress.config import PairwiseConfig
from kompress.corpora.generators import generate
from kompress.metrics.bootstrap import (
    f1_statistic,
    paired_difference,
    percentile_interval,
    resample_weights,
)
from kompress.pairwise.contest import (
    CandidateSet,
    Contest,
    Judgment,
    compare_choices,
    hold_contest,
)
from kompress.pairwise.pairs import plan_pairs
from kompress.pairwise.selection import count_choices, majority_mask
from kompress.types import (
    ABSTAIN,
    BoolArray,
    Candidate,
    Document,
    FloatArray,
    Vote,
    decode_votes,
)
from kompress.voters import VOTERS, make_voter
from kompress.words import join_kept

NUM_BOOTSTRAPS = 1_000
LOCAL_VOTERS = ("salience", "self_information", "syntax")
# P(right) of a word that is to be kept and of one that is to be dropped.
TEACHERS = ((0.92, 0.90), (0.88, 0.82), (0.85, 0.75), (0.75, 0.70))
# Of a teacher's skill, in logits, from document to document.
SKILL_SD = 0.8
# Share of the words on which all teachers draw the same luck.
CORRELATION = 0.4
TIE = 0.5


@dataclass(frozen=True)
class SimulatedJudge:
    """A judge: utility = facts x whole facts - price x keep_rate + misperception."""

    facts: float
    price: float
    misperception: float
    discrimination: float
    bias: float


JUDGES = (
    SimulatedJudge(2.0, 1.5, 0.25, discrimination=3.0, bias=0.3),
    SimulatedJudge(1.0, 1.0, 0.40, discrimination=2.0, bias=-0.6),
    SimulatedJudge(0.0, -1.0, 0.20, discrimination=1.5, bias=1.0),
)


def main(
    num_documents: int = 600,
    seed: int = 0,
    *,
    min_must_keep: float = PairwiseConfig().min_must_keep,
    correlation: float = CORRELATION,
) -> dict[str, Any]:
    """Run the contest and hold every way of choosing against evaluation gold.

    Args:
        num_documents: generated; about a third of them has evaluation gold.
        seed: of documents, teachers and judges.
        min_must_keep: the verifier's bound.
        correlation: of the teachers' errors.

    Returns:
        Figures as plain JSON data: F1 with intervals over the documents with a winner
        (`won`) and over all (`all`, where the majority stands in for a missing
        winner), differences, shares of documents with a winner by kind.
    """
    documents = dict(enumerate(generate(num_documents, seed)))
    entries = make_entries(documents, seed, correlation)
    config = PairwiseConfig(min_must_keep=min_must_keep)
    judgments = [
        judgment
        for text_id, entry in entries.items()
        for judgment in judge_pairs(text_id, entry, documents[text_id], config, seed)
    ]
    gold = {
        use: {
            text_id: document.gold.codes_N
            for text_id, document in documents.items()
            if document.gold is not None and document.gold.use == use
        }
        for use in ("calibrate", "evaluate")
    }
    started = time.perf_counter()
    contest = hold_contest(entries, judgments, config, gold=gold["calibrate"])
    seconds = time.perf_counter() - started
    choices = compare_choices(entries, contest, gold["evaluate"])
    for text_id, found in choices.items():
        # A harder rival: without the local voters, which nobody has to listen to.
        masks_IN = np.stack(_teach(documents[text_id], seed, correlation))
        found["teachers_majority"] = count_choices(
            majority_mask(masks_IN)[None],
            np.zeros(1),
            np.ones(1, dtype=np.bool_),
            gold["evaluate"][text_id],
        )["voted"]
    return {
        "num_documents": num_documents,
        "num_with_evaluation_gold": len(choices),
        "num_candidates": sum(len(entry.candidates) for entry in entries.values()),
        "num_judgments": len(judgments),
        "min_must_keep": min_must_keep,
        "correlation": correlation,
        "contest_seconds": round(seconds, 3),
        "judges": _judges(contest),
        "quality": contest.quality.describe(),
        "won_share": _won_share(documents, contest, choices),
        **_figures(contest, choices, seed),
    }


def make_entries(
    documents: Mapping[int, Document], seed: int, correlation: float
) -> dict[int, CandidateSet]:
    """Let everybody nominate; equal masks once, empty and full ones never."""
    train = [d.text for d in documents.values() if d.split == "train"]
    local: dict[int, list[BoolArray]] = {text_id: [] for text_id in documents}
    for name in LOCAL_VOTERS:
        fit = VOTERS[name].fit
        voter = make_voter(name, name, {}, None if fit is None else fit({}, train))
        for text_id, vote in voter.vote([d.text for d in documents.values()]):
            assert isinstance(vote, Vote)
            local[text_id].append(np.nan_to_num(decode_votes(vote.codes_N)) >= 0.5)
    entries = {}
    for text_id, document in documents.items():
        taught = _teach(document, seed, correlation)
        masks = [*taught, majority_mask(np.stack(taught)), *local[text_id]]
        able = [keep_N for keep_N in masks if keep_N.any() and not keep_N.all()]
        different = {keep_N.tobytes(): keep_N for keep_N in able}
        entries[text_id] = CandidateSet(
            document.text,
            tuple(
                Candidate(str(place), join_kept(document.text, keep_N), keep_N)
                for place, keep_N in enumerate(different.values())
            ),
        )
    return entries


def judge_pairs(
    text_id: int,
    entry: CandidateSet,
    document: Document,
    config: PairwiseConfig,
    seed: int,
) -> list[Judgment]:
    """Let every judge say what it thinks of each planned pair, in both orders."""
    if len(entry.candidates) < 2:
        return []
    rng = np.random.default_rng(
        int.from_bytes(hashlib.sha256(document.text.encode()).digest()[:8], "big")
    )
    pairs = plan_pairs(len(entry.candidates), (), cycles=config.cycles, rng=rng)
    found = []
    for number, judge in enumerate(JUDGES):
        own = np.random.default_rng([seed, text_id, number])
        utility_I = _utility(judge, entry, document, own)
        for i, j in pairs:
            for first, second in ((i, j), (j, i)):
                eta = judge.discrimination * (utility_I[first] - utility_I[second])
                p = _davidson(eta + judge.bias)
                found.append(Judgment(text_id, first, second, number, 0, *p))
    return found


def _teach(document: Document, seed: int, correlation: float) -> list[BoolArray]:
    """Draw the teachers' masks; the first teacher draws two."""
    assert document.gold is not None
    codes_N = document.gold.codes_N
    digest = hashlib.sha256(f"{seed}:{document.text}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    shared_N = rng.random(codes_N.size) < correlation
    luck_N = rng.random(codes_N.size)
    # Where gold knows nothing, such as of brackets, teachers toss a coin for all.
    truth_N = np.where(
        codes_N == ABSTAIN, rng.random(codes_N.size) < 0.5, codes_N > 127
    )
    masks = []
    for sensitivity, specificity in (TEACHERS[0], *TEACHERS):
        shift = SKILL_SD * rng.normal()
        right = [_shifted(p, shift) for p in (sensitivity, specificity)]
        draw_N = np.where(shared_N, luck_N, rng.random(codes_N.size))
        is_right_N = draw_N < np.where(truth_N, *right)
        masks.append(np.asarray(truth_N == is_right_N, dtype=np.bool_))
    return masks


def _shifted(p: float, shift: float) -> float:
    return float(1 / (1 + np.exp(-(np.log(p / (1 - p)) + shift))))


def _utility(
    judge: SimulatedJudge,
    entry: CandidateSet,
    document: Document,
    rng: np.random.Generator,
) -> FloatArray:
    """Give (I,) what a judge sees in each reference."""
    assert document.gold is not None
    facts = [list(fact.words) for fact in document.gold.facts]
    found = []
    for candidate in entry.candidates:
        assert candidate.keep_N is not None
        # A reader understands a fact by the share of it that is there, the whole best.
        whole = np.mean([candidate.keep_N[words].mean() ** 2 for words in facts])
        value = judge.facts * whole - judge.price * candidate.keep_N.mean()
        found.append(float(value) + judge.misperception * rng.normal())
    return np.array(found)


def _davidson(eta: float) -> tuple[float, float, float]:
    first, second = np.exp(eta / 2), np.exp(-eta / 2)
    total = first + second + TIE
    return float(first / total), float(second / total), float(TIE / total)


def _judges(contest: Contest) -> list[dict[str, float]]:
    panel = contest.panel
    assert panel is not None
    return [
        {"discrimination": round(float(d), 3), "position_bias": round(float(b), 3)}
        for d, b in zip(panel.discrimination_J, panel.bias_J, strict=True)
    ]


def _won_share(
    documents: Mapping[int, Document],
    contest: Contest,
    choices: Mapping[int, Mapping[str, FloatArray]],
) -> dict[str, float]:
    """Give the share of documents with a sound winner, by kind."""
    kinds: dict[str, list[bool]] = {"all": []}
    for text_id in choices:
        has_winner = contest.judged[text_id].winner is not None
        kinds["all"].append(has_winner)
        kinds.setdefault(documents[text_id].kind, []).append(has_winner)
    return {kind: round(float(np.mean(won)), 3) for kind, won in sorted(kinds.items())}


def _figures(
    contest: Contest, choices: Mapping[int, Mapping[str, FloatArray]], seed: int
) -> dict[str, Any]:
    """Lay out F1 by way of choosing, and how far the verified choice is above."""
    won = [dict(c) for t, c in choices.items() if contest.judged[t].winner is not None]
    every = [{"verified": c["majority"], **c} for c in choices.values()]
    found: dict[str, Any] = {}
    for name, rows in (("won", won), ("all", every)):
        if len(rows) < 2:
            continue
        weights_BG = resample_weights(
            len(rows),
            num_bootstraps=NUM_BOOTSTRAPS,
            rng=np.random.default_rng([seed, 1]),
        )
        names = [n for n in rows[0] if all(n in row for row in rows)]
        counts = {n: _stack(rows, n) for n in names}
        found[name] = {
            "num_documents": len(rows),
            "f1": {n: _with_interval(counts[n], weights_BG) for n in names},
            "verified_minus": {
                n: _round(
                    paired_difference(
                        counts["verified"], counts[n], weights_BG, f1_statistic
                    )[:3]
                )
                for n in ("random", "majority", "teachers_majority", "voted")
            },
        }
    return found


def _stack(rows: Sequence[Mapping[str, FloatArray]], name: str) -> FloatArray:
    return np.stack([row[name][:3] for row in rows])


def _with_interval(counts_GK: FloatArray, weights_BG: FloatArray) -> list[float]:
    value = float(f1_statistic(counts_GK.sum(axis=0, keepdims=True))[0])
    return _round((value, *percentile_interval(counts_GK, weights_BG, f1_statistic)))


def _round(values: Sequence[float | None]) -> list[float]:
    return [round(float("nan") if v is None else v, 4) for v in values]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    default = PairwiseConfig().min_must_keep
    runs = [
        main(arguments.documents, arguments.seed, min_must_keep=bound, correlation=rho)
        # The default; teachers whose errors are their own, the majority's best case; a
        # bound on must-keep words that gold itself does not meet.
        for bound, rho in ((default, CORRELATION), (default, 0.0), (0.8, CORRELATION))
    ]
    print(json.dumps(runs, indent=2))
