"""Between two waves: who needs the expensive voters?

The share of documents whose provisional posterior is widest, the random slice, and the
audit documents. Waves never change an inclusion probability.
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.queries import loops, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from worker.heartbeat import Heartbeat
from worker.panel import Panel, aggregate_panel, make_panel
from worker.runtime import Runtime
from worker.stage import Stage
from worker.stages.select import cut_shards


@dataclass(frozen=True, slots=True)
class Inputs:
    """The cheap votes of all documents."""

    config: RoundConfig
    panel: Panel
    document_of: dict[int, int]
    # Documents that every voter sees, whatever the posterior.
    forced: set[int]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The next wave's shards, and why."""

    shards: list[list[int]]
    threshold_sd: float | None


def load(session: Session, job: JobRow) -> Inputs:
    """Read all votes so far."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    rows = selections.load_selections(session, job.round_id)
    document_of = {row.text_id: row.document_id for row in rows}
    text_ids = sorted(document_of)
    names = [voter.name for voter in config.voters if voter.wave <= job.wave]
    panel = make_panel(
        names,
        votes.load_round_votes(session, job.round_id, text_ids),
        texts.load_strata(session, text_ids, "farm"),
    )
    forced = {
        row.document_id for row in rows if row.random_slice or row.role == "audit"
    }
    return Inputs(config, panel, document_of, forced)


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Rank documents by the mean posterior deviation of their words."""
    heartbeat.progress(0, 1)
    posterior = aggregate_panel(inputs.panel, inputs.config)
    width = {
        inputs.document_of[text_id]: float(sd_N.mean()) if sd_N.size else 0.0
        for text_id, sd_N in inputs.panel.split(posterior.sd_N).items()
    }
    contested = sorted(width, key=lambda document: (-width[document], document))
    num_wide = int(np.ceil(inputs.config.escalation.share * len(contested)))
    chosen = set(contested[:num_wide])
    threshold = width[contested[num_wide - 1]] if num_wide else None
    ids = sorted(chosen | inputs.forced)
    shards = cut_shards(ids, inputs.config.shard_documents) if ids else []
    return Outputs(shards, threshold)


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Freeze the next wave's shards and keep the reason."""
    selections.freeze_shards(session, job.round_id, job.wave + 1, out.shards)
    loops.record_decision(
        session,
        job.round_id,
        f"escalation_{job.wave + 1}",
        {
            "threshold_sd": out.threshold_sd,
            "num_documents": sum(len(shard) for shard in out.shards),
        },
    )


STAGE = Stage(load=load, compute=compute, store=store)
