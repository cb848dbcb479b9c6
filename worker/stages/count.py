"""Count a shard's joint votes for the rules that learn.

Which words count: `kompress.labelling.fit_data`. Nothing is counted where no rule
learns.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.queries import loops, patterns
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from kompress.labelling.consensus import learners
from kompress.labelling.fit_data import (
    EligibleVotes,
    count_joint_votes,
    dependent_voters,
    make_fit_data,
)
from worker.evidence import eligibility_of, load_eligible_votes
from worker.heartbeat import Heartbeat
from worker.pipeline import last_wave
from worker.runtime import Runtime
from worker.stage import Stage


@dataclass(frozen=True, slots=True)
class CountInputs:
    """The shard's votes that may be learned from; None where no rule learns."""

    config: RoundConfig
    votes: EligibleVotes | None


def load(session: Session, job: JobRow) -> CountInputs:
    """Read the votes and the gold of the documents that may be learned from."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    if not learners(config):
        return CountInputs(config, None)
    eligibility = eligibility_of(held, num_waves=last_wave(config))
    votes = load_eligible_votes(session, held.id, job.shard, eligibility)
    return CountInputs(config, votes)


def compute(
    runtime: Runtime, inputs: CountInputs, heartbeat: Heartbeat
) -> bytes | None:
    """Count patterns and pack them."""
    heartbeat.progress(0, 1)
    if inputs.votes is None:
        return None
    data = make_fit_data(inputs.config.panel(), inputs.votes)
    return count_joint_votes(data, dependent_voters(inputs.config)).to_bytes()


def store(session: Session, job: JobRow, out: bytes | None) -> None:
    """Write the shard's row."""
    if out is not None:
        patterns.store_patterns(session, job.round_id, job.shard, out)


STAGE = Stage(load=load, compute=compute, store=store)
