"""Between two waves: who needs the expensive voters?

The share of documents about which the next voters would tell most, the random slice,
and the audit documents. They tell most where the provisional posterior is widest; once
an earlier round knows how often these voters are right, by the bits a word that their
votes are expected to be worth. Waves never change an inclusion probability.

A rule that learns is fitted to what the first waves said, and what gold says of it: of
the same words that `worker.evidence` lets count at the round's end, in this one job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.queries import loops, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learned, Learner
from kompress.aggregation.patterns import VotePatterns
from kompress.config import RoundConfig, parse_config
from kompress.selection.information_gain import joint_information
from kompress.types import STRATA, CodeArray, FloatArray, Posterior
from worker.evidence import (
    Scope,
    count_evidence,
    echoes_of,
    find_scope,
    load_evidence,
    merge_stream,
)
from worker.fitting import Rate, read_rates
from worker.heartbeat import Heartbeat
from worker.panel import Panel, Panels, make_panel
from worker.pooling import pool
from worker.runtime import Runtime
from worker.stage import Stage
from worker.stages.select import cut_shards


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the cheap votes are.

    Attributes:
        round_id: the round.
        config: the round's.
        wave: the wave that has ended.
        shards: of the first wave, which hold all documents.
        scope: what a rule may learn from.
        forced: documents that every voter sees, whatever the posterior.
        rates: how often the next wave's voters are right, by (voter, stratum); empty
            unless an earlier round knows it of all of them.
    """

    round_id: int
    config: RoundConfig
    wave: int
    shards: list[int]
    scope: Scope
    forced: set[int]
    rates: dict[tuple[str, str], Rate]

    def names(self) -> list[str]:
        """Name the voters so far."""
        return [v.name for v in self.config.voters if v.wave <= self.wave]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The next wave's shards, and why: the least value that was enough."""

    shards: list[list[int]]
    threshold: float | None
    measure: str


def load(session: Session, job: JobRow) -> Inputs:
    """Find out what there is to read."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    rows = selections.load_selections(session, job.round_id)
    before = loops.previous_round(session, job.loop_id, job.round)
    known = read_rates(loops.read_round(session, before).decisions) if before else {}
    following = next_voters(config, job.wave)
    return Inputs(
        round_id=held.id,
        config=config,
        wave=job.wave,
        shards=selections.shards(session, held.id, 1),
        scope=find_scope(session, held, num_waves=job.wave),
        forced={r.document_id for r in rows if r.random_slice or r.role == "audit"},
        rates=known if {v for v, _ in known} >= set(following) else {},
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Rank documents by what the next voters would tell of them."""
    total = 2 * len(inputs.shards)
    steps = iter(range(total))

    def progress() -> None:
        heartbeat.progress(next(steps, total), total)

    config = inputs.config
    rule = make_aggregator(config.aggregation.rule, config.aggregation.params)
    learned = None
    if isinstance(rule, Learner):
        learned = _fit(runtime, inputs, rule, progress)
    value: dict[int, float] = {}
    for shard in inputs.shards:
        progress()
        panel, document_of = _read(runtime, inputs, shard)
        posterior = pool(Panels(panel, panel), rule, learned)
        for text_id, value_N in panel.split(_worth(inputs, panel, posterior)).items():
            mean = float(value_N.mean()) if value_N.size else 0.0
            value[document_of[text_id]] = mean
    contested = sorted(value, key=lambda document: (-value[document], document))
    num_wide = int(np.ceil(config.escalation.share * len(contested)))
    ids = sorted({*contested[:num_wide], *inputs.forced})
    return Outputs(
        shards=cut_shards(ids, config.shard_documents) if ids else [],
        threshold=value[contested[num_wide - 1]] if num_wide else None,
        measure="bits" if inputs.rates else "sd",
    )


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Freeze the next wave's shards and keep the reason."""
    selections.freeze_shards(session, job.round_id, job.wave + 1, out.shards)
    loops.record_decision(
        session,
        job.round_id,
        f"escalation_{job.wave + 1}",
        {
            f"threshold_{out.measure}": out.threshold,
            "num_documents": sum(len(shard) for shard in out.shards),
        },
    )


STAGE = Stage(load=load, compute=compute, store=store)


def next_voters(config: RoundConfig, wave: int) -> list[str]:
    """Name the voters that are asked next."""
    return [voter.name for voter in config.voters if voter.wave == wave + 1]


def expected_bits(
    mean_W: FloatArray,
    stratum_W: CodeArray,
    voters: Sequence[str],
    rates: Mapping[tuple[str, str], Rate],
) -> FloatArray:
    """Expect how many bits a vote of each voter would tell of each word.

    Args:
        mean_W: (W,) P(keep).
        stratum_W: (W,) codes into `STRATA`.
        voters: who would vote, independently given the truth.
        rates: (sensitivity, specificity) by voter and stratum.

    Returns:
        (W,) bits, at least 0.
    """
    table_VS2 = np.array(
        [[rates.get((v, s), (0.5, 0.5)) for s in STRATA] for v in voters]
    )
    rate_VW2 = table_VS2[:, np.asarray(stratum_W, dtype=np.intp)]
    return joint_information(
        mean_W, rate_VW2[..., 0], rate_VW2[..., 1], [1] * len(voters)
    )


def _fit(
    runtime: Runtime, inputs: Inputs, rule: Learner, progress: Callable[[], object]
) -> Learned:
    """Fit the rule to the votes so far."""
    names, echoes = inputs.names(), echoes_of(inputs.config)

    def each() -> Iterator[VotePatterns]:
        for shard in inputs.shards:
            progress()
            with runtime.sessions() as session:
                found = load_evidence(
                    session, inputs.round_id, shard, inputs.scope, names
                )
            yield count_evidence(found, echoes)

    return rule.fit(merge_stream(each(), len(names)))


def _read(runtime: Runtime, inputs: Inputs, shard: int) -> tuple[Panel, dict[int, int]]:
    """Read a shard's votes as they were cast, and the documents by text id."""
    with runtime.sessions() as session:
        rows = selections.load_shard_selections(session, inputs.round_id, 1, shard)
        document_of = {row.text_id: row.document_id for row in rows}
        text_ids = sorted(document_of)
        panel = make_panel(
            inputs.names(),
            votes.load_round_votes(session, inputs.round_id, text_ids),
            texts.load_strata(session, text_ids, "farm"),
        )
    return panel, document_of


def _worth(inputs: Inputs, panel: Panel, posterior: Posterior) -> FloatArray:
    """Say of each word how much more votes are wanted."""
    if not inputs.rates:
        return posterior.sd_N
    return expected_bits(
        posterior.mean_N,
        panel.stratum_W,
        next_voters(inputs.config, inputs.wave),
        inputs.rates,
    )
