"""Warn before a round spends money on a rule that would collapse.

Every voter has seen a few train documents by now; `kompress.labelling.pilot` compares
the round's rule with them. The round goes on whatever is found.
"""

from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from db.queries import loops, records, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.decisions import Pilot
from kompress.labelling.panel import Panel, make_panel
from kompress.labelling.pilot import run_pilot
from kompress.types import CodeArray
from worker.evidence import load_boundaries, load_known, pinned_evidence
from worker.heartbeat import Heartbeat
from worker.pipeline import PILOT_WAVE
from worker.runtime import Runtime
from worker.stage import Stage

WARNED = "pilot_warned"


@dataclass(frozen=True, slots=True)
class PilotInputs:
    """The pilot documents' votes as they were cast, and what is known of them."""

    config: RoundConfig
    seed: int
    panel: Panel
    group_of: dict[int, str]
    gold_codes: dict[int, CodeArray]


def load(session: Session, job: JobRow) -> PilotInputs:
    """Read the votes and the calibration gold of the pilot documents."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    documents = [
        document
        for shard in selections.shards(session, job.round_id, PILOT_WAVE)
        for document in selections.shard_documents(
            session, job.round_id, PILOT_WAVE, shard
        )
    ]
    text_ids = sorted(document.text_id for document in documents)
    found = load_known(session, text_ids, pinned_evidence(held).gold_runs, held.id)
    panel = make_panel(
        tuple(voter.name for voter in config.voters),
        votes.load_round_votes(session, job.round_id, text_ids),
        texts.load_strata(session, text_ids, "farm"),
        boundaries=load_boundaries(session, text_ids),
    )
    return PilotInputs(
        config=config,
        seed=parse_config(LoopConfig, held.loop_config).seed,
        panel=panel,
        group_of={document.text_id: document.group_id for document in documents},
        gold_codes={t: found[t] for t in panel.text_ids if t in found},
    )


def compute(runtime: Runtime, inputs: PilotInputs, heartbeat: Heartbeat) -> Pilot:
    """Compare the rule with its best voter, overall and by stratum."""
    heartbeat.progress(0, 1)
    return run_pilot(
        inputs.config, inputs.panel, inputs.group_of, inputs.gold_codes, inputs.seed
    )


def store(session: Session, job: JobRow, out: Pilot) -> None:
    """Keep what was found; where the rule collapses, say so as an event."""
    loops.decide(session, job.round_id, lambda made: replace(made, pilot=out))
    if out.collapsed:
        records.add_event(
            session,
            "farm",
            WARNED,
            loop_id=job.loop_id,
            round_id=job.round_id,
            job_id=job.id,
            detail={"round": job.round},
        )


STAGE = Stage(load=load, compute=compute, store=store)
