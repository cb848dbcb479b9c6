"""Warn before a round spends money on a rule that would collapse.

Every voter has seen a few train documents by now. Against their calibration gold, or
without any by must-keep recall at equal keep_rate: does the round's rule do worse than
its best voter, on all words or in a stratum? The round goes on whatever is found.

W = words of all texts, G = document groups, S = strata
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.orm import Session

from db.queries import loops, records, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import DROP, KEEP, UNKNOWN
from kompress.aggregation.statistics import IntArray, balanced_accuracies, recalls
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.decisions import Pilot, PilotFinding
from kompress.ensemble.best_voter import compare_with_best
from kompress.labelling.counting import ALL
from kompress.labelling.evidence import Evidence, count_evidence, echoes_of
from kompress.labelling.fitting import keep_out_of_fold
from kompress.labelling.panel import Panel, Panels, make_panel
from kompress.labelling.verdicts import (
    GOLD,
    Truth,
    count_beside,
    count_groups,
    find_truth,
    keep_equally,
    of_rule,
    of_voter,
)
from kompress.types import STRATA, CodeArray, FloatArray
from worker.heartbeat import Heartbeat
from worker.pipeline import PILOT_WAVE
from worker.runtime import Runtime
from worker.scope import load_known, pinned_evidence
from worker.stage import Stage

WARNED = "pilot_warned"
# Of fewer words of a stratum nothing is said; see also `compare_with_best`.
MIN_WORDS = 10


@dataclass(frozen=True, slots=True)
class Inputs:
    """The pilot documents' votes as they were cast, and what is known of them."""

    config: RoundConfig
    seed: int
    panel: Panel
    group_of: dict[int, str]
    gold_codes: dict[int, CodeArray]


@dataclass(frozen=True, slots=True)
class Counts:
    """What the rule and its voters decided, by document group.

    Attributes:
        rule_GS4: the rule's counts.
        voter_MGS4: each voter's in the rule's place, see
            `kompress.labelling.verdicts.in_place_of`.
        heard_MS: words that each voter says something about, of those compared.
    """

    rule_GS4: IntArray
    voter_MGS4: IntArray
    heard_MS: IntArray


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was found."""

    pilot: Pilot


def load(session: Session, job: JobRow) -> Inputs:
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
    found = load_known(session, text_ids, pinned_evidence(held).gold_runs)
    panel = make_panel(
        tuple(voter.name for voter in config.voters),
        votes.load_round_votes(session, job.round_id, text_ids),
        texts.load_strata(session, text_ids, "farm"),
    )
    return Inputs(
        config=config,
        seed=parse_config(LoopConfig, held.loop_config).seed,
        panel=panel,
        group_of={document.text_id: document.group_id for document in documents},
        gold_codes={t: found[t] for t in panel.text_ids if t in found},
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Compare the rule with its best voter, overall and by stratum."""
    heartbeat.progress(0, 2)
    panel = inputs.panel
    truth = find_truth(panel, inputs.gold_codes)
    counts = _count(inputs, truth)
    heartbeat.progress(1, 2)
    findings = list(_compare(inputs, counts, truth.name))
    return Outputs(
        Pilot(
            documents=len(panel.text_ids),
            truth=truth.name,
            rule=inputs.config.aggregation.rule,
            overall=findings[0],
            strata=tuple(findings[1:]),
        )
    )


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Keep what was found; where the rule collapses, say so as an event."""
    loops.decide(session, job.round_id, lambda made: replace(made, pilot=out.pilot))
    if out.pilot.collapsed:
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


def _count(inputs: Inputs, truth: Truth) -> Counts:
    """Count the rule's decisions, and each voter's in its place."""
    panel, group_of = inputs.panel, inputs.group_of
    chosen = of_rule(panel, _pool(inputs, truth))
    if truth.name != GOLD:
        chosen = keep_equally(panel, chosen, chosen)
    voters = [of_voter(panel, m) for m in range(len(panel.voters))]
    own = [count_groups(panel, group_of, voter, truth) for voter in voters]
    return Counts(
        rule_GS4=count_groups(panel, group_of, chosen, truth),
        voter_MGS4=count_beside(panel, group_of, chosen, voters, truth),
        heard_MS=np.stack([cells.sum(axis=(0, 2)) for cells in own]),
    )


def _pool(inputs: Inputs, truth: Truth) -> FloatArray:
    """Pool the votes by the round's rule, which must not see what it is measured by.

    Against gold, a rule that learns is fitted to other groups than those that it then
    pools, and (W,) is 1 where it keeps a word of gold.
    """
    panel, config = inputs.panel, inputs.config
    known_W = truth.known_W & (truth.name == GOLD)
    truth_W = np.where(known_W, np.where(truth.keep_W, KEEP, DROP), UNKNOWN)
    evidence = Evidence(
        panel, truth_W.astype(np.uint8), np.ones_like(known_W), inputs.group_of
    )
    echoes = echoes_of(config)
    if truth.name == GOLD:
        panels = Panels(panel, panel)
        keep_W = keep_out_of_fold(config, panels, evidence, echoes, lambda: None)
        return keep_W.astype(np.float64)
    rule = make_aggregator(config.aggregation.rule, config.aggregation.params)
    patterns = count_evidence(evidence, echoes)
    learned = rule.fit(patterns) if isinstance(rule, Learner) else rule
    return learned.aggregate(panel.p_WM, panel.strength_WM, panel.stratum_W).mean_N


def _compare(inputs: Inputs, counts: Counts, truth: str) -> Iterator[PilotFinding]:
    """Put the rule beside its best voter: on all words, then by stratum."""
    rate = balanced_accuracies if truth == GOLD else recalls
    strata = [(ALL, slice(None))]
    strata += [(name, slice(s, s + 1)) for s, name in enumerate(STRATA)]
    for number, (stratum, cut) in enumerate(strata):
        rule_G4 = counts.rule_GS4[:, cut].sum(axis=1)
        words = int(rule_G4.sum())
        heard_M = counts.heard_MS[:, cut].sum(axis=1)
        # Who says nothing would stand for the rule itself.
        asked = np.flatnonzero(heard_M)
        compared = None
        if words >= MIN_WORDS:
            rng = np.random.default_rng([inputs.seed, number])
            voter_MG4 = counts.voter_MGS4[asked][:, :, cut].sum(axis=2)
            compared = compare_with_best(rule_G4, voter_MG4, rng, rate=rate)
        if compared is not None:
            best = int(asked[compared.best])
            yield PilotFinding(
                stratum=stratum,
                words=words,
                value=compared.value,
                best_voter=inputs.panel.voters[best],
                best_value=compared.best_value,
                low=compared.low,
                high=compared.high,
                collapses=compared.is_below,
                silent=words - int(heard_M[best]),
            )
        elif stratum == ALL:
            yield PilotFinding(stratum, words)
