"""Fit qualities, verify, and let the winning reference of each document vote.

Calibration gold, as it was when the round selected, sets the scale of the quality;
evaluation gold is looked at for the report alone, never to choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from kompress.labelling.comparisons import (
    KIND,
    ReferenceChoice,
    ReferenceComparisons,
    choose_references,
    winner_fingerprint,
)
from kompress.types import CodeArray, Fingerprint
from worker.evidence import load_known, pinned_evidence
from worker.heartbeat import Heartbeat
from worker.references import judge_ids, load_competing
from worker.runtime import Runtime
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class ChooseInputs:
    """A shard's references and judgments, and the voter that the winners are."""

    fingerprint: Fingerprint
    comparisons: ReferenceComparisons


@dataclass(frozen=True, slots=True)
class ChooseOutputs:
    """What won, by which voter."""

    fingerprint: Fingerprint
    params: dict[str, Any]
    choice: ReferenceChoice


def load(session: Session, job: JobRow) -> ChooseInputs:
    """Read the shard's candidates and judgments, and gold."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    documents = selections.shard_documents(session, job.round_id, 1, job.shard)
    text_ids = sorted(document.text_id for document in documents)
    ids = judge_ids(held, config)
    digests = [voters.get_voter(session, judge_id).fingerprint for judge_id in ids]
    return ChooseInputs(
        fingerprint=winner_fingerprint(job.round_id, config.pairwise, digests),
        comparisons=ReferenceComparisons(
            config=config.pairwise,
            texts=texts.load_texts(session, text_ids),
            competing=load_competing(session, held, config, text_ids),
            said=comparisons.load_comparisons(session, text_ids, list(ids)),
            judges=ids,
            calibrate=load_known(
                session, text_ids, pinned_evidence(held).gold_runs, held.id
            ),
            evaluate=_load_evaluation(session, text_ids, held.id),
        ),
    )


def compute(
    runtime: Runtime, inputs: ChooseInputs, heartbeat: Heartbeat
) -> ChooseOutputs:
    """Fit, calibrate, verify, choose."""
    heartbeat.progress(0, 1)
    return ChooseOutputs(
        fingerprint=inputs.fingerprint,
        params=inputs.comparisons.config.model_dump(mode="json"),
        choice=choose_references(inputs.comparisons, tick=heartbeat.tick),
    )


def store(session: Session, job: JobRow, out: ChooseOutputs) -> None:
    """Write verdicts, let the winners vote, and say how it went."""
    candidates.store_verdicts(session, out.choice.verdicts)
    voter_id = voters.register_voter(session, out.fingerprint, KIND, out.params)
    votes.store_votes(session, job.round_id, voter_id, out.choice.votes)
    records.add_event(
        session,
        job.stage,
        "references_chosen",
        loop_id=job.loop_id,
        round_id=job.round_id,
        job_id=job.id,
        detail=out.choice.report,
    )


STAGE = Stage(load=load, compute=compute, store=store)


def _load_evaluation(
    session: Session, text_ids: Sequence[int], round_id: int
) -> dict[int, CodeArray]:
    known = gold.load_gold(session, text_ids, "evaluate", round_id)
    return {text_id: found[0].codes_N for text_id, found in known.items()}
