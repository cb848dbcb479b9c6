"""Between two waves: who needs the expensive voters?

The random slice, the audit documents and those whose gold counts at the round's end; a
share of all, those whose words the provisional posterior leaves the most open
(`kompress.labelling.escalation`). Once an earlier round knows how often these voters
are right, each voter has documents of its own: those that a budget buys
(`kompress.labelling.budget`), which may also buy further answers of voters of earlier
waves. Waves never change an inclusion probability.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import loops, records, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.config import RoundConfig, parse_config
from kompress.decisions import Escalation
from kompress.labelling.budget import (
    BoughtAnswers,
    BudgetTerms,
    pack_posteriors,
    spend,
)
from kompress.labelling.drawing import cut_shards
from kompress.labelling.eligibility import Eligibility
from kompress.labelling.escalation import ProvisionalConsensus, most_open, open_bits
from kompress.labelling.fit_data import EligibleVotes
from kompress.labelling.panel import make_panel
from kompress.types import CodeArray, VoteRow
from worker.budget import load_terms
from worker.evidence import eligibility_of, load_boundaries, load_eligible_votes
from worker.heartbeat import PATIENCE_S, Heartbeat
from worker.runtime import Runtime
from worker.stage import Stream, StreamStage

# A rule that learns reads each shard twice: to be fitted to all, then to pool each.
Pass = tuple[Literal["fit", "pool"], int]


@dataclass(frozen=True, slots=True)
class EscalateInputs:
    """Where the cheap votes are.

    Attributes:
        round_id: the round.
        config: the round's.
        names: the voters so far.
        num_steps: how often a shard is read.
        eligibility: what a rule may learn from.
        forced: documents that every voter sees, whatever the posterior.
        golden: those of them whose gold counts at the round's end.
        terms: what an earlier round knows of the next wave's voters, if it does.
        voter_ids: by name.
    """

    round_id: int
    config: RoundConfig
    names: tuple[str, ...]
    num_steps: int
    eligibility: Eligibility
    forced: set[int]
    golden: set[int]
    terms: BudgetTerms | None
    voter_ids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EscalateShard:
    """A shard's votes.

    Attributes:
        document_of: document ids by text id.
        votes: all of them, by text id.
        strata: `farm` codes by text id.
        boundaries: what stands before each word, by text id.
        failed: (document id, voter) that no voter would be asked again.
    """

    document_of: dict[int, int]
    votes: dict[int, list[VoteRow]]
    strata: dict[int, CodeArray]
    boundaries: dict[int, CodeArray]
    failed: set[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class EscalateSums:
    """What the shards so far come to.

    Attributes:
        consensus: of the votes so far.
        open_bits: mean entropy of a word by document, where no budget decides.
        words: `pack_words` by document, where one does,
        given: answers that are there of each voter of the terms,
        failed: and (document, voter) that would bring nothing.
        steps: progress.
    """

    consensus: ProvisionalConsensus
    open_bits: dict[int, float] = field(default_factory=dict)
    words: dict[int, NDArray[np.uint32]] = field(default_factory=dict)
    given: dict[int, list[int]] = field(default_factory=dict)
    failed: set[tuple[int, str]] = field(default_factory=set)
    steps: Iterator[int] = field(default_factory=itertools.count)


@dataclass(frozen=True, slots=True)
class EscalateOutputs:
    """The next wave's shards, and why.

    Attributes:
        shards: document ids.
        escalation: what was decided, whom each shard is for with it.
    """

    shards: list[list[int]]
    escalation: Escalation


def load(session: Session, job: JobRow) -> Stream[EscalateInputs, Pass, EscalateSums]:
    """Find out what there is to read."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    rows = selections.load_selections(session, job.round_id)
    drawn = {r.document_id for r in rows if r.random_slice or r.role == "audit"}
    golden = _list_golden(session, held, rows, num_waves=job.wave + 1)
    names = tuple(v.name for v in config.voters if v.wave <= job.wave)
    consensus = ProvisionalConsensus(config, names)
    shards = selections.shards(session, held.id, 1)
    passes: list[Pass] = [("fit", shard) for shard in shards if consensus.learns]
    passes += [("pool", shard) for shard in shards]
    inputs = EscalateInputs(
        round_id=held.id,
        config=config,
        names=names,
        num_steps=len(passes),
        eligibility=eligibility_of(held, num_waves=job.wave),
        forced=drawn | golden,
        golden=golden,
        terms=load_terms(session, job, config),
        voter_ids=held.decisions.voters,
    )
    return Stream(inputs, passes, EscalateSums(consensus))


def read(
    session: Session, runtime: Runtime, inputs: EscalateInputs, key: Pass
) -> EligibleVotes | EscalateShard:
    """Read a shard's votes: those that may be learned from, or all of them."""
    step, shard = key
    if step == "fit":
        return load_eligible_votes(session, inputs.round_id, shard, inputs.eligibility)
    rows = selections.load_shard_selections(session, inputs.round_id, 1, shard)
    document_of = {row.text_id: row.document_id for row in rows}
    text_ids = sorted(document_of)
    return EscalateShard(
        document_of=document_of,
        votes=votes.load_round_votes(session, inputs.round_id, text_ids),
        strata=texts.load_strata(session, text_ids, "farm"),
        boundaries=load_boundaries(session, text_ids),
        failed={
            (document_of[text_id], name)
            for name in (inputs.terms.names if inputs.terms else ())
            for text_id in records.failed_texts(
                session,
                inputs.voter_ids[name],
                "teach",
                text_ids,
                before_round=inputs.round_id + 1,
            )
        },
    )


def add(
    inputs: EscalateInputs,
    sums: EscalateSums,
    part: EligibleVotes | EscalateShard,
    heartbeat: Heartbeat,
) -> None:
    """Count a shard's votes for the rule, or find out how open its documents are."""
    heartbeat.progress(next(sums.steps), inputs.num_steps)
    if isinstance(part, EligibleVotes):
        sums.consensus.add(part)
        return
    if not sums.consensus.is_ready:
        with heartbeat.patience(PATIENCE_S):
            sums.consensus.fit()
    panel = make_panel(
        inputs.names, part.votes, part.strata, boundaries=part.boundaries
    )
    mean_W = sums.consensus.pool(panel)
    document_of = part.document_of
    if inputs.terms is None:
        for text_id, bits in open_bits(panel, mean_W).items():
            sums.open_bits[document_of[text_id]] = bits
        return
    for text_id, packed in pack_posteriors(panel, mean_W).items():
        sums.words[document_of[text_id]] = packed
    for text_id, document in document_of.items():
        voted = [row.voter for row in part.votes.get(text_id, ())]
        sums.given[document] = [voted.count(name) for name in inputs.terms.names]
    sums.failed.update(part.failed)


def finish(
    runtime: Runtime, inputs: EscalateInputs, sums: EscalateSums, heartbeat: Heartbeat
) -> EscalateOutputs:
    """Choose documents by what the next voters would tell of them."""
    share = inputs.config.escalation.share
    if inputs.terms is None:
        return _by_entropy(inputs, *most_open(sums.open_bits, share))
    free = sums.words.keys() - inputs.forced
    given = {document: sums.given[document] for document in free}
    with heartbeat.patience(PATIENCE_S):
        bought = spend(inputs.terms, sums.words, given, share, closed=sums.failed)
    return _by_budget(inputs, inputs.terms, bought)


def store(session: Session, job: JobRow, out: EscalateOutputs) -> None:
    """Freeze the next wave's shards and keep the reason."""
    wave = job.wave + 1
    selections.freeze_shards(session, job.round_id, wave, out.shards)
    loops.decide(
        session,
        job.round_id,
        lambda made: replace(
            made, escalations={**made.escalations, wave: out.escalation}
        ),
    )


STAGE = StreamStage(load=load, read=read, add=add, finish=finish, store=store)


def _by_entropy(
    inputs: EscalateInputs, contested: Sequence[int], threshold: float | None
) -> EscalateOutputs:
    """Cut the most open documents and the forced ones into shards."""
    ids = sorted({*contested, *inputs.forced})
    return EscalateOutputs(
        shards=cut_shards(ids, inputs.config.shard_documents) if ids else [],
        escalation=Escalation(
            num_documents=len(ids),
            num_gold=len(inputs.golden),
            threshold_bits=threshold,
        ),
    )


def _by_budget(
    inputs: EscalateInputs, terms: BudgetTerms, bought: BoughtAnswers
) -> EscalateOutputs:
    """Cut what was bought into shards of one set of voters and answers each."""
    whole = tuple(terms.following.items())
    by_asked = {**bought.documents}
    by_asked[whole] = sorted({*by_asked.get(whole, []), *inputs.forced})
    shards: list[list[int]] = []
    asked_of: dict[int, dict[str, int]] = {}
    for asked, ids in sorted(by_asked.items()):
        cut = cut_shards(ids, inputs.config.shard_documents) if ids else []
        asked_of |= {len(shards) + n: dict(asked) for n in range(len(cut))}
        shards += cut
    escalation = Escalation(
        num_documents=sum(len(shard) for shard in shards),
        num_gold=len(inputs.golden),
        spending=bought.spending,
        asked=asked_of,
    )
    return EscalateOutputs(shards, escalation)


def _list_golden(
    session: Session,
    held: loops.RoundRow,
    rows: Sequence[selections.SelectionRow],
    *,
    num_waves: int,
) -> set[int]:
    """List the train documents whose gold counts for voters of so many waves."""
    eligibility = eligibility_of(held, num_waves=num_waves)
    train = {row.text_id: row.document_id for row in rows if row.role == "train"}
    known = [text_id for text_id in train if eligibility.origin_of(text_id) is not None]
    return {
        train[text_id]
        for text_id, sha256 in texts.load_hashes(session, known).items()
        if eligibility.counts_gold(text_id, sha256)
    }
