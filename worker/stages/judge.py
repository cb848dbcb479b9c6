"""Judge voters and rules on the audit documents; see `kompress.labelling.audit`.

One job, after all shards: what it reads is complete.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db.queries import fits, gold, loops, quality, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.labelling.audit import (
    AuditBasis,
    AuditShard,
    AuditSums,
    Verdicts,
    add_shard,
    conclude,
)
from kompress.labelling.consensus import read_fitted
from kompress.labelling.fitting import flatten_rates
from kompress.labelling.verdicts import GOLD, MUST_KEEP
from kompress.labelling.voter_stats import Histograms
from worker.evidence import load_boundaries
from worker.heartbeat import PATIENCE_S, Heartbeat
from worker.runtime import Runtime
from worker.stage import Stream, StreamStage


@dataclass(frozen=True, slots=True)
class JudgeInputs:
    """What voters and rules are judged by, and what earlier stages have counted.

    Attributes:
        round_id: the round.
        basis: what they are judged by.
        histograms: of the whole round's votes, against truths other than gold.
        num_steps: shards times rules.
    """

    round_id: int
    basis: AuditBasis
    histograms: Histograms
    num_steps: int


@dataclass(frozen=True, slots=True)
class JudgeSums:
    """What the shards so far come to."""

    audit: AuditSums
    steps: Iterator[int] = field(default_factory=itertools.count)


def load(session: Session, job: JobRow) -> Stream[JudgeInputs, int, JudgeSums]:
    """Find out what there is to read."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    basis = AuditBasis(
        fitted=read_fitted(
            config, fits.load_fits(session, held.id), held.decisions.fallback
        ),
        calibration=held.decisions.calibration,
        truth=GOLD if gold.has_audit_gold(session, held.id) else MUST_KEEP,
        seed=parse_config(LoopConfig, held.loop_config).seed,
    )
    shards = selections.shards(session, held.id, 1)
    inputs = JudgeInputs(
        round_id=held.id,
        basis=basis,
        histograms=quality.load_histograms(session, held.id),
        num_steps=len(shards) * len(basis.rules),
    )
    return Stream(inputs, shards, JudgeSums(AuditSums(config.panel())))


def read(
    session: Session, runtime: Runtime, inputs: JudgeInputs, shard: int
) -> AuditShard:
    """Read one shard's audit documents, which it holds beside others."""
    rows = selections.load_shard_selections(session, inputs.round_id, 1, shard)
    group_of = {row.text_id: row.group_id for row in rows if row.role == "audit"}
    text_ids = sorted(group_of)
    known = gold.load_gold(session, text_ids, "evaluate", inputs.round_id)
    return AuditShard(
        votes=votes.load_round_votes(session, inputs.round_id, text_ids),
        strata=texts.load_strata(session, text_ids, "farm"),
        group_of=group_of,
        gold_codes={text_id: known[text_id][0].codes_N for text_id in known},
        boundaries=load_boundaries(session, text_ids),
    )


def add(
    inputs: JudgeInputs, sums: JudgeSums, part: AuditShard, heartbeat: Heartbeat
) -> None:
    """Pool a shard by every rule, and count."""

    def progress() -> None:
        heartbeat.progress(next(sums.steps), inputs.num_steps)

    add_shard(inputs.basis, part, sums.audit, progress)


def finish(
    runtime: Runtime, inputs: JudgeInputs, sums: JudgeSums, heartbeat: Heartbeat
) -> Verdicts:
    """Put each rule beside its best voter."""
    heartbeat.progress(inputs.num_steps, inputs.num_steps)
    # 16 strata x every rule are resampled: ten rules on all groups take 8 s, alone.
    with heartbeat.patience(PATIENCE_S):
        return conclude(inputs.basis, sums.audit, inputs.histograms)


def store(session: Session, job: JobRow, out: Verdicts) -> None:
    """Write the verdicts."""
    quality.add_voter_stats(session, job.round_id, out.voters)
    quality.store_rule_stats(session, job.round_id, out.rules)
    quality.set_voter_fits(session, job.round_id, out.weights, out.ece)
    # Last: they stand beside the counts of every truth.
    decided = loops.read_round(session, job.round_id).decisions
    fits.set_fitted_rates(session, job.round_id, flatten_rates(decided.reliability))


STAGE = StreamStage(load=load, read=read, add=add, finish=finish, store=store)
