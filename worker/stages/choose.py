"""Fit qualities, verify, and let the winning reference of each document vote.

One contest over the shard: judges' discrimination and position bias are the shard's.
Calibration gold, as it was when the round selected, sets the scale of the quality;
evaluation gold is looked at for the report alone, never to choose.

J = judges, N = words of one text
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.queries import (
    candidates,
    comparisons,
    gold,
    loops,
    records,
    selections,
    texts,
    voters,
    votes,
)
from db.queries.candidates import Verdict
from db.queries.comparisons import ComparisonRow
from db.queries.jobs import JobRow
from kompress.config import PAIRWISE, PairwiseConfig, RoundConfig, parse_config
from kompress.pairwise.calibration import CALIBRATION_VERSION
from kompress.pairwise.contest import (
    CandidateSet,
    Contest,
    JudgeEstimates,
    Judgment,
    compare_choices,
    hold_contest,
)
from kompress.pairwise.verifier import CHECKS, VERIFIER_VERSION
from kompress.types import (
    CodeArray,
    Fingerprint,
    FloatArray,
    Vote,
    encode_votes,
)
from kompress.words import WORD_VERSION
from worker.heartbeat import Heartbeat
from worker.references import Field, judge_ids, load_fields
from worker.runtime import Runtime
from worker.scope import load_known, pinned_evidence
from worker.stage import Stage

KIND = "pairwise"
# Changes whenever the same judgments would choose another winner.
VERSION = "1"


@dataclass(frozen=True, slots=True)
class Inputs:
    """A shard's candidates, what was said of them, and what is known of the texts."""

    config: PairwiseConfig
    fingerprint: Fingerprint
    texts: dict[int, str]
    fields: dict[int, Field]
    judgments: list[Judgment]
    calibrate: dict[int, CodeArray]
    evaluate: dict[int, CodeArray]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Winners' votes, verdicts on all candidates, and what is reported."""

    fingerprint: Fingerprint
    params: dict[str, Any]
    votes: list[tuple[int, int, Vote]]
    verdicts: list[Verdict]
    report: dict[str, Any]


def load(session: Session, job: JobRow) -> Inputs:
    """Read the shard's candidates and judgments, and gold."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    documents = selections.shard_documents(session, job.round_id, 1, job.shard)
    text_ids = sorted(document.text_id for document in documents)
    ids = judge_ids(held, config)
    fields = load_fields(session, held, config, text_ids)
    said = comparisons.load_comparisons(session, text_ids, list(ids))
    digests = [voters.get_voter(session, judge_id).fingerprint for judge_id in ids]
    return Inputs(
        config=config.pairwise,
        fingerprint=fingerprint_of(job.round_id, config.pairwise, digests),
        texts=texts.load_texts(session, text_ids),
        fields=fields,
        judgments=[
            judgment
            for text_id, field in fields.items()
            for judgment in _place(text_id, field, said.get(text_id, ()), ids)
        ],
        calibrate=load_known(session, text_ids, pinned_evidence(held).gold_runs),
        evaluate=_load_evaluation(session, text_ids),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Fit, calibrate, verify, choose."""
    heartbeat.progress(0, 1)
    entries = {
        text_id: CandidateSet(
            inputs.texts[text_id], tuple(row.candidate for row in field.rows)
        )
        for text_id, field in inputs.fields.items()
        if field.rows
    }
    contest = hold_contest(
        entries,
        inputs.judgments,
        inputs.config,
        gold=inputs.calibrate,
        tick=heartbeat.tick,
    )
    return Outputs(
        fingerprint=inputs.fingerprint,
        params=inputs.config.model_dump(mode="json"),
        votes=_votes(inputs, contest),
        verdicts=_verdicts(inputs, contest),
        report=_report(inputs, entries, contest),
    )


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Write verdicts, let the winners vote, and say how it went."""
    candidates.store_verdicts(session, out.verdicts)
    voter_id = voters.register_voter(session, out.fingerprint, KIND, out.params)
    votes.store_votes(session, job.round_id, voter_id, out.votes)
    records.add_event(
        session,
        job.stage,
        "references_chosen",
        loop_id=job.loop_id,
        round_id=job.round_id,
        job_id=job.id,
        detail=out.report,
    )


STAGE = Stage(load=load, compute=compute, store=store)


def fingerprint_of(
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


def _place(
    text_id: int,
    field: Field,
    said: Sequence[ComparisonRow],
    places: Mapping[int, int],
) -> list[Judgment]:
    """Move judgments from candidates' ids to places, which no database decides."""
    found = []
    for row in said:
        first = field.place_of.get(row.candidate_a_id)
        second = field.place_of.get(row.candidate_b_id)
        if first is None or second is None or first == second:
            continue
        judge = places[row.voter_id]
        p = (row.p_a, row.p_b, row.p_tie)
        found.append(Judgment(text_id, first, second, judge, row.replicate, *p))
    return found


def _load_evaluation(session: Session, text_ids: Sequence[int]) -> dict[int, CodeArray]:
    known = gold.load_gold(session, text_ids, use="evaluate")
    return {text_id: found[0].codes_N for text_id, found in known.items()}


def _votes(inputs: Inputs, contest: Contest) -> list[tuple[int, int, Vote]]:
    """Let each winner vote: 1 on what it keeps, 0 on the rest."""
    rows = []
    for text_id, result in contest.judged.items():
        if result.winner is None:
            continue
        keep_N = inputs.fields[text_id].rows[result.winner].candidate.keep_N
        if keep_N is not None:
            vote = Vote(encode_votes(keep_N.astype(np.float64)))
            rows.append((text_id, 0, vote))
    return rows


def _verdicts(inputs: Inputs, contest: Contest) -> list[Verdict]:
    """Lay out what is stored of each candidate, equal ones alike."""
    found = []
    for text_id, result in contest.judged.items():
        field = inputs.fields[text_id]
        for candidate_id, place in field.place_of.items():
            known = not np.isnan(result.quality_I[place])
            found.append(
                Verdict(
                    candidate_id,
                    float(result.quality_I[place]) if known else None,
                    float(result.error_I[place]) if known else None,
                    not result.refusals[place],
                )
            )
    return found


def _report(
    inputs: Inputs, entries: Mapping[int, CandidateSet], contest: Contest
) -> dict[str, Any]:
    """Say how the shard went: counts, judges, and choices held against gold."""
    judged, panel = contest.judged.values(), contest.panel
    refusals = Counter(
        name for result in judged for reasons in result.refusals for name in reasons
    )
    num_judged = sum(result.is_judged for result in judged)
    num_winners = sum(result.winner is not None for result in judged)
    return {
        "num_documents": len(inputs.texts),
        "num_candidates": sum(len(entry.candidates) for entry in entries.values()),
        "num_judgments": len(inputs.judgments),
        "num_winners": num_winners,
        # Fewer than two different candidates, or no judge had an answer.
        "num_unjudged": len(inputs.texts) - num_judged,
        "num_without_sound": num_judged - num_winners,
        "refusals": dict(sorted(refusals.items())),
        "judges": _describe_judges(inputs, panel),
        "tie": None if panel is None else panel.tie,
        "converged": None if panel is None else panel.converged,
        "quality": contest.quality.describe(),
        "choices": _hold_against_gold(inputs, entries, contest),
    }


def _describe_judges(
    inputs: Inputs, panel: JudgeEstimates | None
) -> dict[str, dict[str, float]]:
    """Give each judge's discrimination and position bias."""
    if panel is None:
        return {}
    heard = {judgment.judge for judgment in inputs.judgments}
    return {
        judge.name: {
            "discrimination": float(panel.discrimination_J[place]),
            "position_bias": float(panel.bias_J[place]),
        }
        for place, judge in enumerate(inputs.config.judges)
        if place in heard
    }


def _hold_against_gold(
    inputs: Inputs, entries: Mapping[int, CandidateSet], contest: Contest
) -> dict[str, dict[str, list[float]]]:
    """Add up each way of choosing over the texts with evaluation gold.

    `all`: all of them that were judged; `won`: those with a winner, over which every
    way speaks of the same words. The numbers of shards may be added.
    """
    sums: dict[str, dict[str, FloatArray]] = {"all": {}, "won": {}}
    for text_id, found in compare_choices(entries, contest, inputs.evaluate).items():
        has_winner = contest.judged[text_id].winner is not None
        for part in ("all", "won") if has_winner else ("all",):
            for name, counts_4 in found.items():
                sums[part][name] = sums[part].get(name, np.zeros(4)) + counts_4
    return {
        part: {name: counts_4.tolist() for name, counts_4 in by_name.items()}
        for part, by_name in sums.items()
    }
