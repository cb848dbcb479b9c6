"""Between two waves: who needs the expensive voters?

The random slice, the audit documents and those whose gold counts at the round's end; a
share of all, those whose words the provisional posterior leaves the most open. Once an
earlier round knows how often these voters are right, each voter has documents of its
own: those that a budget buys (`worker.buying`), which may also buy further answers of
voters of earlier waves. Waves never change an inclusion probability.

How open a word is, is the entropy of its mean: whether its P(keep) is .5 or .52 may be
well known, as of voters that toss coins, and its deviation small.

A rule that learns is fitted to what the first waves said, and what gold says of it: of
the words that `kompress.labelling.evidence` would let count if no wave followed, in
this one job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import loops, records, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import VotePatterns
from kompress.config import RoundConfig, parse_config
from kompress.decisions import Escalation
from kompress.ensemble.information import entropy_bits
from kompress.labelling.drawing import cut_shards
from kompress.labelling.evidence import count_evidence, echoes_of, merge_stream
from kompress.labelling.panel import Panel, Panels, make_panel
from kompress.labelling.pooling import pool
from kompress.selection.information_gain import histogram_words, pack_words
from kompress.types import VoteRow
from worker.buying import Market, Purchase, buy, load_market
from worker.evidence import load_evidence
from worker.heartbeat import PATIENCE_S, Heartbeat
from worker.runtime import Runtime
from worker.scope import Scope, counts_gold, find_scope
from worker.stage import Stage

# By text id.
Votes = dict[int, list[VoteRow]]


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
        golden: those of them whose gold counts at the round's end.
        market: what an earlier round knows of the next wave's voters, if it does.
        voter_ids: by name.
    """

    round_id: int
    config: RoundConfig
    wave: int
    shards: list[int]
    scope: Scope
    forced: set[int]
    golden: set[int]
    market: Market | None
    voter_ids: Mapping[str, int]

    def names(self) -> list[str]:
        """Name the voters so far."""
        return [v.name for v in self.config.voters if v.wave <= self.wave]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The next wave's shards, and why.

    Attributes:
        shards: document ids.
        escalation: what was decided, whom each shard is for with it.
    """

    shards: list[list[int]]
    escalation: Escalation


def load(session: Session, job: JobRow) -> Inputs:
    """Find out what there is to read."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    rows = selections.load_selections(session, job.round_id)
    drawn = {r.document_id for r in rows if r.random_slice or r.role == "audit"}
    golden = _list_golden(session, held, rows, num_waves=job.wave + 1)
    return Inputs(
        round_id=held.id,
        config=config,
        wave=job.wave,
        shards=selections.shards(session, held.id, 1),
        scope=find_scope(held, num_waves=job.wave),
        forced=drawn | golden,
        golden=golden,
        market=load_market(session, job, config),
        voter_ids=held.decisions.voters,
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
        found = _count(runtime, inputs, progress)
        with heartbeat.patience(PATIENCE_S):
            learned = rule.fit(found)
    open_bits: dict[int, float] = {}
    words: dict[int, NDArray[np.uint32]] = {}
    given: dict[int, list[int]] = {}
    failed: set[tuple[int, str]] = set()
    for shard in inputs.shards:
        progress()
        panel, document_of, cast = _read(runtime, inputs, shard)
        posterior = pool(Panels(panel, panel), rule, learned)
        if inputs.market is None:
            for text_id, bits_N in panel.split(entropy_bits(posterior.mean_N)).items():
                open_bits[document_of[text_id]] = float(
                    bits_N.sum() / max(bits_N.size, 1)
                )
            continue
        strata = panel.split(panel.stratum_W)
        for text_id, mean_N in panel.split(posterior.mean_N).items():
            own_SB = histogram_words(mean_N, strata[text_id])
            words[document_of[text_id]] = pack_words(own_SB)
        given |= _count_given(inputs.market, document_of, cast)
        failed |= _list_failed(runtime, inputs, inputs.market, document_of)
    if inputs.market is None:
        return _by_entropy(inputs, open_bits)
    free = {document: given[document] for document in words.keys() - inputs.forced}
    with heartbeat.patience(PATIENCE_S):
        bought = buy(inputs.market, words, free, config.escalation.share, closed=failed)
    return _by_budget(inputs, inputs.market, bought)


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Freeze the next wave's shards and keep the reason."""
    selections.freeze_shards(session, job.round_id, job.wave + 1, out.shards)
    wave = job.wave + 1
    loops.decide(
        session,
        job.round_id,
        lambda made: replace(
            made, escalations={**made.escalations, wave: out.escalation}
        ),
    )


STAGE = Stage(load=load, compute=compute, store=store)


def _by_entropy(inputs: Inputs, open_bits: dict[int, float]) -> Outputs:
    """Take the documents whose words are the most open, and the forced ones.

    Args:
        inputs: of the stage.
        open_bits: mean entropy of a word's posterior mean, by document.
    """
    contested = sorted(open_bits, key=lambda document: (-open_bits[document], document))
    num_open = int(np.ceil(inputs.config.escalation.share * len(contested)))
    ids = sorted({*contested[:num_open], *inputs.forced})
    return Outputs(
        shards=cut_shards(ids, inputs.config.shard_documents) if ids else [],
        escalation=Escalation(
            num_documents=len(ids),
            num_gold=len(inputs.golden),
            threshold_bits=open_bits[contested[num_open - 1]] if num_open else None,
        ),
    )


def _by_budget(inputs: Inputs, market: Market, bought: Purchase) -> Outputs:
    """Cut what was bought into shards of one set of voters and answers each."""
    whole = tuple(market.following.items())
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
    return Outputs(shards, escalation)


def _list_golden(
    session: Session,
    held: loops.RoundRow,
    rows: Sequence[selections.SelectionRow],
    *,
    num_waves: int,
) -> set[int]:
    """List the train documents whose gold counts for voters of so many waves."""
    scope = find_scope(held, num_waves=num_waves)
    train = {row.text_id: row.document_id for row in rows if row.role == "train"}
    known = [text_id for text_id in train if scope.origin_of(text_id) is not None]
    return {
        train[text_id]
        for text_id, sha256 in texts.load_hashes(session, known).items()
        if counts_gold(text_id, sha256, scope)
    }


def _count(
    runtime: Runtime, inputs: Inputs, progress: Callable[[], object]
) -> VotePatterns:
    """Count the votes so far of the words that may be learned from."""
    names, echoes = inputs.names(), echoes_of(inputs.config)

    def each() -> Iterator[VotePatterns]:
        for shard in inputs.shards:
            progress()
            with runtime.sessions() as session:
                found = load_evidence(
                    session, inputs.round_id, shard, inputs.scope, names
                )
            yield count_evidence(found, echoes)

    return merge_stream(each(), len(names))


def _read(
    runtime: Runtime, inputs: Inputs, shard: int
) -> tuple[Panel, dict[int, int], Votes]:
    """Read a shard's votes as they were cast, documents by text id, and all votes."""
    with runtime.sessions() as session:
        rows = selections.load_shard_selections(session, inputs.round_id, 1, shard)
        document_of = {row.text_id: row.document_id for row in rows}
        text_ids = sorted(document_of)
        cast = votes.load_round_votes(session, inputs.round_id, text_ids)
        strata = texts.load_strata(session, text_ids, "farm")
    return make_panel(inputs.names(), cast, strata), document_of, cast


def _count_given(
    market: Market, document_of: Mapping[int, int], cast: Votes
) -> dict[int, list[int]]:
    """Count the answers of each of the market's voters that documents have."""
    given = {}
    for text_id, document in document_of.items():
        voted = [row.voter for row in cast.get(text_id, ())]
        given[document] = [voted.count(name) for name in market.names]
    return given


def _list_failed(
    runtime: Runtime, inputs: Inputs, market: Market, document_of: Mapping[int, int]
) -> set[tuple[int, str]]:
    """List what no voter would be asked again, as (document, voter)."""
    with runtime.sessions() as session:
        return {
            (document_of[text_id], name)
            for name in market.names
            for text_id in records.failed_texts(
                session,
                inputs.voter_ids[name],
                "teach",
                sorted(document_of),
                before_round=inputs.round_id + 1,
            )
        }
