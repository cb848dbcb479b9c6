"""Count a shard's joint votes for the rules that learn.

Which words count: `kompress.labelling.evidence`. Nothing is counted where no rule
learns.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.queries import loops, patterns
from db.queries.jobs import JobRow
from kompress.aggregation.patterns import VotePatterns
from kompress.config import RoundConfig, parse_config
from kompress.labelling.evidence import Evidence, count_evidence, echoes_of
from kompress.labelling.pooling import learners
from worker.evidence import load_evidence
from worker.heartbeat import Heartbeat
from worker.pipeline import last_wave
from worker.runtime import Runtime
from worker.scope import find_scope
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class Inputs:
    """The shard's words that may be learned from; None where no rule learns."""

    evidence: Evidence | None
    echoes: frozenset[str]


def load(session: Session, job: JobRow) -> Inputs:
    """Read the votes and the gold of the documents that may be learned from."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    if not learners(config):
        return Inputs(None, frozenset())
    scope = find_scope(held, num_waves=last_wave(config))
    evidence = load_evidence(session, held.id, job.shard, scope, config.panel())
    return Inputs(evidence, echoes_of(config))


def compute(
    runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat
) -> VotePatterns | None:
    """Count patterns."""
    heartbeat.progress(0, 1)
    if inputs.evidence is None:
        return None
    return count_evidence(inputs.evidence, inputs.echoes)


def store(session: Session, job: JobRow, out: VotePatterns | None) -> None:
    """Write the shard's row."""
    if out is not None:
        patterns.store_patterns(session, job.round_id, job.shard, out.to_bytes())


STAGE = Stage(load=load, compute=compute, store=store)
