"""Fit what turns votes into labels, and find out what can be known of the voters.

Against calibration gold of the train split, whatever the round selected of it: each
teacher's temperature and strength. By all that `kompress.labelling.fit_data` lets
count: the rules that learn, how far the voters differ, and the strata that one voter
had better decide alone.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy.orm import Session

from db.queries import diversity, fits, loops, patterns, selections
from db.queries.jobs import JobRow
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.decisions import Calibration, Diversity, Fallback, FitSummary, Rates
from kompress.labelling.calibration import CalibrationCounts
from kompress.labelling.consensus import learners
from kompress.labelling.eligibility import Eligibility
from kompress.labelling.fit_data import (
    EligibleVotes,
    FitData,
    PatternSums,
    join_fit_data,
    make_fit_data,
)
from kompress.labelling.fitting import (
    NUM_FOLDS,
    compare_voters,
    count_fits,
    find_fallbacks,
    fit_rules,
    fitted_rates,
    summarize_fit,
)
from kompress.labelling.panel import teachers
from kompress.types import JSON, PairRow
from worker.evidence import eligibility_of, load_eligible_votes
from worker.heartbeat import PATIENCE_S, Heartbeat
from worker.pipeline import last_wave
from worker.runtime import Runtime
from worker.stage import Stream, StreamStage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FitInputs:
    """Where the round's votes are, and which of them may be learned from."""

    round_id: int
    config: RoundConfig
    # Of the loop, and the round's number.
    seed: tuple[int, int]
    eligibility: Eligibility
    num_shards: int

    @property
    def num_steps(self) -> int:
        """Count what is reported as progress."""
        return self.num_shards + count_fits(self.config) + NUM_FOLDS + 2


@dataclass(frozen=True, slots=True)
class FitShard:
    """What one shard holds.

    Attributes:
        votes: of the documents that may be learned from.
        patterns: their joint votes as the stage `count` packed them; None where no
            rule learns.
    """

    votes: EligibleVotes
    patterns: bytes | None


@dataclass(frozen=True, slots=True)
class FitSums:
    """What the shards so far come to."""

    calibration: CalibrationCounts
    patterns: PatternSums
    parts: list[FitData] = field(default_factory=list)
    steps: Iterator[int] = field(default_factory=itertools.count)


@dataclass(frozen=True, slots=True)
class FitOutputs:
    """What was decided, what rules learned, and how voters fall together."""

    calibration: dict[str, Calibration]
    fit: FitSummary | None
    reliability: Rates
    fallback: dict[str, Fallback] | None
    diversity: Diversity | None
    fits: dict[str, JSON]
    pairs: list[PairRow]


def load(session: Session, job: JobRow) -> Stream[FitInputs, int, FitSums]:
    """Find out what there is to read."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    shards = selections.shards(session, held.id, 1)
    inputs = FitInputs(
        round_id=held.id,
        config=config,
        seed=(parse_config(LoopConfig, held.loop_config).seed, held.number),
        eligibility=eligibility_of(held, num_waves=last_wave(config)),
        num_shards=len(shards),
    )
    sums = FitSums(
        CalibrationCounts(teachers(config)), PatternSums(len(config.panel()))
    )
    return Stream(inputs, shards, sums)


def read(session: Session, runtime: Runtime, inputs: FitInputs, shard: int) -> FitShard:
    """Read a shard's votes and calibration gold, and its packed joint votes."""
    return FitShard(
        load_eligible_votes(session, inputs.round_id, shard, inputs.eligibility),
        patterns.load_patterns(session, inputs.round_id, shard),
    )


def add(inputs: FitInputs, sums: FitSums, part: FitShard, heartbeat: Heartbeat) -> None:
    """Lay out a shard's votes and count them."""
    heartbeat.progress(next(sums.steps), inputs.num_steps)
    sums.calibration.add(part.votes)
    sums.parts.append(make_fit_data(inputs.config.panel(), part.votes))
    if part.patterns is not None:
        sums.patterns.add_packed(part.patterns)


def finish(
    runtime: Runtime, inputs: FitInputs, sums: FitSums, heartbeat: Heartbeat
) -> FitOutputs:
    """Fit each teacher, each rule; put them beside gold."""
    config = inputs.config

    def progress() -> None:
        heartbeat.progress(next(sums.steps), inputs.num_steps)

    data = join_fit_data(sums.parts, config.panel())
    calibration = sums.calibration.fit()
    learned, summary, rates = {}, None, None
    if rules := learners(config):
        found = sums.patterns.merged()
        for label, own in each_patiently(heartbeat, fit_rules(config, found)):
            progress()
            learned[label] = own
        summary = summarize_fit(inputs.eligibility, found, rules)
        rates = fitted_rates(config, learned.get(config.aggregation.rule), found)
    progress()
    with heartbeat.patience(PATIENCE_S):
        fallbacks = find_fallbacks(config, data, calibration, inputs.seed, progress)
    progress()
    with heartbeat.patience(PATIENCE_S):
        differences, pairs = compare_voters(config, data, inputs.seed)
    return FitOutputs(
        calibration=calibration,
        fit=summary,
        reliability=rates or {},
        fallback=fallbacks,
        diversity=differences,
        fits={label: own.data for label, own in learned.items()},
        pairs=pairs,
    )


def store(session: Session, job: JobRow, out: FitOutputs) -> None:
    """Decide for the round, and keep what its rules have learned."""
    loops.decide(
        session,
        job.round_id,
        lambda made: replace(
            made,
            calibration=out.calibration,
            fit=out.fit,
            reliability=out.reliability,
            fallback=out.fallback,
            diversity=out.diversity,
        ),
    )
    fits.store_fits(session, job.round_id, out.fits)
    diversity.store_voter_pairs(session, job.round_id, out.pairs)


STAGE = StreamStage(load=load, read=read, add=add, finish=finish, store=store)


def each_patiently(heartbeat: Heartbeat, found: Iterator[T]) -> Iterator[T]:
    """Give what an iterator makes; the lease outlasts the making of each."""
    while True:
        with heartbeat.patience(PATIENCE_S):
            made = list(itertools.islice(found, 1))
        if not made:
            return
        yield made[0]
