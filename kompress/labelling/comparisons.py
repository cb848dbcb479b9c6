"""What judges are asked about a text's references, and which one their answers choose.

One contest over the shard: judges' discrimination and position bias are the shard's.
Calibration gold sets the scale of the quality; evaluation gold is looked at for the
report alone, never to choose.

J = judges, I = references of one text, N = words of one text
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kompress.config import PAIRWISE, PairwiseConfig
from kompress.labelling.references import CompetingReferences
from kompress.pairwise.calibration import CALIBRATION_VERSION
from kompress.pairwise.contest import (
    CandidateSet,
    Contest,
    JudgeEstimates,
    Judgment,
    compare_choices,
    hold_contest,
)
from kompress.pairwise.pairs import (
    Pair,
    find_misordered,
    plan_pairs,
    student_preference,
)
from kompress.pairwise.verifier import CHECKS, VERIFIER_VERSION
from kompress.types import (
    CandidateVerdict,
    CodeArray,
    ComparisonRow,
    Fingerprint,
    FloatArray,
    Vote,
    encode_votes,
)
from kompress.words import WORD_VERSION

# The kind of voter that a round's winning references are stored as.
KIND = "pairwise"
# Changes whenever the same judgments would choose another winner.
VERSION = "2"


@dataclass(frozen=True, slots=True)
class ReferenceComparisons:
    """Some texts' references, what was said of them, and what is known of the texts.

    Attributes:
        config: how winners are found.
        texts: contents by text id.
        competing: references by text id.
        said: judgments by text id.
        judges: places of the judges in the config, by voter id.
        calibrate: calibration gold by text id, (N,) codes.
        evaluate: evaluation gold likewise.
    """

    config: PairwiseConfig
    texts: Mapping[int, str]
    competing: Mapping[int, CompetingReferences]
    said: Mapping[int, Sequence[ComparisonRow]]
    judges: Mapping[int, int]
    calibrate: Mapping[int, CodeArray]
    evaluate: Mapping[int, CodeArray]


@dataclass(frozen=True, slots=True)
class ReferenceChoice:
    """Which references won.

    Attributes:
        votes: (text id, replicate, vote) of each winner.
        verdicts: on all references.
        report: counts, judges, and choices held against gold.
    """

    votes: list[tuple[int, int, Vote]]
    verdicts: list[CandidateVerdict]
    report: dict[str, Any]


def plan_comparisons(
    text: str,
    competing: CompetingReferences,
    known: Sequence[ComparisonRow],
    config: PairwiseConfig,
) -> list[Pair]:
    """Name the ordered pairs of a text's references that are still to be judged.

    Args:
        text: the text; its hash seeds the graph.
        competing: the references that compete for it.
        known: what the judge said of them before.
        config: how many cycles.

    Returns:
        (place of the first, place of the second), both orders of a pair together.
    """
    place_of = competing.place_of
    asked = {
        (place_of[row.candidate_a_id], place_of[row.candidate_b_id])
        for row in known
        if row.candidate_a_id in place_of and row.candidate_b_id in place_of
    }
    # Two that were compared as different texts may keep the same words.
    asked = {pair for pair in asked if pair[0] != pair[1]}
    if len(competing.rows) < 2:
        return []
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    pairs = plan_pairs(
        len(competing.rows),
        {(min(pair), max(pair)) for pair in asked},
        cycles=config.cycles,
        rng=np.random.default_rng(int.from_bytes(digest[:8], "big")),
        misordered=_misordered(competing) if asked else (),
    )
    both = [order for i, j in pairs for order in ((i, j), (j, i))]
    return [order for order in both if order not in asked]


def choose_references(
    given: ReferenceComparisons, tick: Callable[[], None] = lambda: None
) -> ReferenceChoice:
    """Fit qualities, calibrate and verify them, and choose a reference of each text.

    Args:
        given: the texts and what was said of their references.
        tick: called after each fit and each text.
    """
    sets = {
        text_id: CandidateSet(
            given.texts[text_id], tuple(row.candidate for row in competing.rows)
        )
        for text_id, competing in given.competing.items()
        if competing.rows
    }
    judgments = [
        judgment
        for text_id, competing in given.competing.items()
        for judgment in _place(
            text_id, competing, given.said.get(text_id, ()), given.judges
        )
    ]
    contest = hold_contest(
        sets, judgments, given.config, gold=given.calibrate, tick=tick
    )
    return ReferenceChoice(
        votes=_votes(given.competing, contest),
        verdicts=_verdicts(given.competing, contest),
        report=_report(given, sets, judgments, contest),
    )


def winner_fingerprint(
    round_id: int, config: PairwiseConfig, judges: Sequence[str]
) -> Fingerprint:
    """Name everything that decides winners; the round, for comparisons are added.

    Args:
        round_id: the round.
        config: how winners are found.
        judges: the judges' fingerprints, in the config's order.
    """
    parts = {
        "kind": KIND,
        "version": VERSION,
        "round": round_id,
        "config": config.model_dump(mode="json"),
        "judges": list(judges),
        "calibration": CALIBRATION_VERSION,
        "verifier": VERIFIER_VERSION,
        "checks": sorted(CHECKS),
        "words": WORD_VERSION,
    }
    return Fingerprint(PAIRWISE, parts)


def _misordered(competing: CompetingReferences) -> list[Pair]:
    """Find what the last student would order otherwise than the newest fit."""
    keeps = [row.candidate.keep_N for row in competing.rows]
    student_N = None if competing.student is None else keeps[competing.student]
    if student_N is None:
        return []
    quality_I = np.array(
        [
            np.nan if row.quality is None or keep_N is None else row.quality
            for row, keep_N in zip(competing.rows, keeps, strict=True)
        ]
    )
    keep_IN = np.stack([student_N if k is None else k for k in keeps])
    preference_I = student_preference(keep_IN, student_N)
    return find_misordered(quality_I, preference_I, limit=len(keeps))


def _place(
    text_id: int,
    competing: CompetingReferences,
    said: Sequence[ComparisonRow],
    places: Mapping[int, int],
) -> list[Judgment]:
    """Move judgments from candidates' ids to places, which no database decides."""
    found = []
    for row in said:
        first = competing.place_of.get(row.candidate_a_id)
        second = competing.place_of.get(row.candidate_b_id)
        if first is None or second is None or first == second:
            continue
        judge = places[row.voter_id]
        p = (row.p_a, row.p_b, row.p_tie)
        found.append(Judgment(text_id, first, second, judge, row.replicate, *p))
    return found


def _votes(
    competing: Mapping[int, CompetingReferences], contest: Contest
) -> list[tuple[int, int, Vote]]:
    """Let each winner vote: 1 on what it keeps, 0 on the rest."""
    rows = []
    for text_id, result in contest.judged.items():
        if result.winner is None:
            continue
        keep_N = competing[text_id].rows[result.winner].candidate.keep_N
        if keep_N is not None:
            vote = Vote(encode_votes(keep_N.astype(np.float64)))
            rows.append((text_id, 0, vote))
    return rows


def _verdicts(
    competing: Mapping[int, CompetingReferences], contest: Contest
) -> list[CandidateVerdict]:
    """Lay out what is stored of each candidate, equal ones alike."""
    found = []
    for text_id, result in contest.judged.items():
        for candidate_id, place in competing[text_id].place_of.items():
            known = not np.isnan(result.quality_I[place])
            found.append(
                CandidateVerdict(
                    candidate_id,
                    float(result.quality_I[place]) if known else None,
                    float(result.error_I[place]) if known else None,
                    not result.refusals[place],
                )
            )
    return found


def _report(
    given: ReferenceComparisons,
    sets: Mapping[int, CandidateSet],
    judgments: Sequence[Judgment],
    contest: Contest,
) -> dict[str, Any]:
    """Say how the shard went: counts, judges, and choices held against gold."""
    judged, panel = contest.judged.values(), contest.panel
    refusals = Counter(
        name for result in judged for reasons in result.refusals for name in reasons
    )
    num_judged = sum(result.is_judged for result in judged)
    num_winners = sum(result.winner is not None for result in judged)
    return {
        "num_documents": len(given.texts),
        "num_candidates": sum(len(own.candidates) for own in sets.values()),
        "num_judgments": len(judgments),
        "num_winners": num_winners,
        # Fewer than two different candidates, or no judge had an answer.
        "num_unjudged": len(given.texts) - num_judged,
        "num_without_sound": num_judged - num_winners,
        "refusals": dict(sorted(refusals.items())),
        "judges": _describe_judges(given.config, judgments, panel),
        "tie": None if panel is None else panel.tie,
        "converged": None if panel is None else panel.converged,
        "quality": contest.quality.describe(),
        "choices": _hold_against_gold(sets, contest, given.evaluate),
    }


def _describe_judges(
    config: PairwiseConfig,
    judgments: Sequence[Judgment],
    panel: JudgeEstimates | None,
) -> dict[str, dict[str, float]]:
    """Give each judge's discrimination and position bias."""
    if panel is None:
        return {}
    heard = {judgment.judge for judgment in judgments}
    return {
        judge.name: {
            "discrimination": float(panel.discrimination_J[place]),
            "position_bias": float(panel.bias_J[place]),
        }
        for place, judge in enumerate(config.judges)
        if place in heard
    }


def _hold_against_gold(
    sets: Mapping[int, CandidateSet],
    contest: Contest,
    gold: Mapping[int, CodeArray],
) -> dict[str, dict[str, list[float]]]:
    """Add up each way of choosing over the texts with evaluation gold.

    `all`: all of them that were judged; `won`: those with a winner, over which every
    way speaks of the same words. The numbers of shards may be added.
    """
    sums: dict[str, dict[str, FloatArray]] = {"all": {}, "won": {}}
    for text_id, found in compare_choices(sets, contest, gold).items():
        has_winner = contest.judged[text_id].winner is not None
        for part in ("all", "won") if has_winner else ("all",):
            for name, counts_4 in found.items():
                sums[part][name] = sums[part].get(name, np.zeros(4)) + counts_4
    return {
        part: {name: counts_4.tolist() for name, counts_4 in by_name.items()}
        for part, by_name in sums.items()
    }
