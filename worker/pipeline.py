"""What comes after what in a round: a pure plan, and its one transaction.

select [-> teach wave 0 -> pilot] -> teach wave 1 [-> escalate -> teach wave 2 …]
       [-> nominate -> compare -> choose] -> count -> fit -> aggregate -> judge
       -> self_label -> train -> evaluate -> residuals -> conclude
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db.kinds import STAGES
from db.queries import loops, parked, selections
from db.queries.jobs import JobSpec
from kompress.config import LoopConfig, RoundConfig, VoterConfig, parse_config

DEADLINE_S = {"train": 6 * 3600}
# After the last teaching wave, in this order; a step without jobs is passed over.
CHAIN = tuple(s for s in STAGES if s not in ("select", "pilot", "escalate"))
# The wave in which every voter sees a few documents, before the others spend money.
PILOT_WAVE = 0
# In the arguments of a job that teaches: how many answers a text shall have in all.
REPLICATES = "replicates"


@dataclass(frozen=True, slots=True)
class RoundState:
    """All that the plan depends on.

    Attributes:
        stage: the stage that has just ended, with its wave.
        config: the round's resolved config.
        shards: shard numbers by teaching wave, as frozen.
        is_last: no round can follow, so residuals would aim nothing.
        absent: voters in quarantine: as if the config did not name them.
        asked: by wave and shard the voters that a budget bought it for, and how many
            answers of each a document shall have, earlier ones among them; a shard
            that is not in it is for the whole wave.
    """

    stage: str
    wave: int
    config: RoundConfig
    shards: Mapping[int, tuple[int, ...]]
    is_last: bool
    absent: frozenset[str] = frozenset()
    asked: Mapping[int, Mapping[int, Mapping[str, int]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """The stage to open next, and its jobs (never none)."""

    stage: str
    wave: int
    jobs: tuple[JobSpec, ...]


def last_wave(config: RoundConfig) -> int:
    """Give the number of teaching waves."""
    return max(voter.wave for voter in config.voters)


def shard_wave(stage: str, wave: int) -> int:
    """Give the wave whose frozen shards a job's shard number refers to.

    Teaching has a map per wave, and the pilot one; every other stage works on the
    first wave's, which holds all documents of the round.
    """
    return wave if stage in ("teach", "pilot") else 1


def next_jobs(state: RoundState) -> Step | None:
    """Plan the step after the one that ended; None after `conclude`.

    A step without jobs (a wave without documents, no folds) is passed over.
    """
    stage, wave = state.stage, state.wave
    while True:
        following = _following(stage, wave, state)
        if following is None:
            return None
        stage, wave = following
        jobs = _jobs(stage, wave, state)
        if jobs:
            return Step(stage, wave, tuple(jobs))


def advance(session: Session, round_id: int, *, num_finished: int) -> bool:
    """Count down under the round's lock and open the next step at zero.

    At zero with a parked job the round ends as failed, and its loop with it.

    Args:
        num_finished: jobs that this transaction ended or parked; 0 recounts from the
            rows, as the relay does for every running round.

    Returns:
        Whether a step was opened, so that there are jobs to hint at.
    """
    if num_finished and loops.count_down(session, round_id, num_finished) != 0:
        return False
    held = loops.lock_round(session, round_id)
    if held.status != "running":
        return False
    open_jobs = 0 if num_finished else loops.count_open_jobs(session, held)
    if open_jobs > 0:
        if open_jobs != held.open_jobs:
            loops.set_open_jobs(session, round_id, open_jobs)
        return False
    if parked.end_failed_round(session, held):
        return False
    config = parse_config(RoundConfig, held.config)
    stop = parse_config(LoopConfig, held.loop_config).stop
    state = RoundState(
        stage=held.stage,
        wave=held.wave,
        config=config,
        shards={
            wave: tuple(selections.shards(session, round_id, wave))
            for wave in range(PILOT_WAVE, last_wave(config) + 1)
        },
        is_last=held.number >= stop.max_rounds,
        absent=frozenset(held.decisions.quarantined),
        asked={wave: found.asked for wave, found in held.decisions.escalations.items()},
    )
    step = next_jobs(state)
    if step is None:
        loops.set_open_jobs(session, round_id, 0)
        return False
    loops.open_stage(session, round_id, step.stage, step.wave, step.jobs)
    return True


def _following(stage: str, wave: int, state: RoundState) -> tuple[str, int] | None:
    """Name the step after this one, whether or not it has jobs."""
    if stage == "select":
        return ("teach", PILOT_WAVE)
    if stage == "teach" and wave == PILOT_WAVE:
        return ("pilot", PILOT_WAVE)
    if stage == "pilot":
        return ("teach", 1)
    if stage == "teach" and wave < last_wave(state.config):
        return ("escalate", wave)
    if stage == "escalate":
        return ("teach", wave + 1)
    after = dict(itertools.pairwise(CHAIN))
    return (after[stage], 0) if stage in after else None


def _num_answers(voter: VoterConfig, wave: int, shard: int, state: RoundState) -> int:
    """Say how many answers of a voter a shard's documents shall have; 0: not asked."""
    bought = state.asked.get(wave, {})
    if shard in bought:
        return bought[shard].get(voter.name, 0)
    return voter.replicates if wave in (voter.wave, PILOT_WAVE) else 0


def _jobs(stage: str, wave: int, state: RoundState) -> list[JobSpec]:
    """List the jobs of a step; none where the round has no use for it."""
    config = state.config
    if stage == "teach":
        return [
            JobSpec("teach", wave, voter.name, shard, {REPLICATES: num_answers})
            for voter in config.voters
            if voter.name not in state.absent
            for shard in state.shards.get(wave, ())
            if (num_answers := _num_answers(voter, wave, shard, state))
        ]
    if stage == "compare":
        judges = () if config.protocol == "words" else config.pairwise.judges
        return [
            JobSpec("compare", wave, judge.name, shard)
            for judge in judges
            if judge.name not in state.absent
            for shard in state.shards.get(1, ())
        ]
    in_pairs = () if config.protocol == "words" else state.shards.get(1, ())
    shards = {
        "nominate": in_pairs,
        "choose": in_pairs,
        # One job looks at all pilot documents.
        "pilot": (0,) if state.shards.get(PILOT_WAVE) else (),
        "count": state.shards.get(1, ()),
        "aggregate": state.shards.get(1, ()),
        "self_label": state.shards.get(1, ())
        if config.label_sources() & {"self_label", "self_label+teacher"}
        else (),
        # Shard 0 is the main student; shard f leaves out fold f - 1.
        "train": range(config.folds + 1),
        "evaluate": range(len(config.evaluation.suites)),
        "residuals": state.shards.get(1, ())
        if config.folds and not state.is_last
        else (),
    }
    return [
        JobSpec(stage, wave, "", shard, deadline_s=DEADLINE_S.get(stage, 3600))
        for shard in shards.get(stage, (0,))
    ]
