"""Warn before a round spends money on a rule that would collapse.

Every voter has seen a few train documents by now. Against their calibration gold, or
without any by must-keep recall at equal keep_rate: does the round's rule do worse than
its best voter, on all words or in a stratum? The round goes on whatever is found.

W = words of all texts, G = document groups, S = strata
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from sqlalchemy.orm import Session

from db.queries import loops, records, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.aggregation import make_aggregator
from kompress.aggregation.learned import Learner
from kompress.aggregation.patterns import DROP, KEEP, UNKNOWN
from kompress.aggregation.statistics import IntArray, balanced_accuracies, recalls
from kompress.config import LoopConfig, RoundConfig, parse_config
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
from kompress.types import JSON, STRATA, CodeArray, FloatArray
from worker.heartbeat import Heartbeat
from worker.pipeline import PILOT_WAVE
from worker.runtime import Runtime
from worker.scope import SELECTED, load_known
from worker.stage import Stage

DECISION = "pilot"
WARNED = "pilot_warned"
# What to take in place of a rule that is blind to who sees what.
DEFAULT_RULE = "reliability"
# Of fewer words of a stratum nothing is said; see also `compare_with_best`.
MIN_WORDS = 10
MEASURES = {
    GOLD: "balanced accuracy on calibration gold",
    "must_keep": "must-keep recall at equal keep_rate, for want of calibration gold",
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The pilot documents' votes as they were cast, and what is known of them."""

    config: RoundConfig
    seed: int
    panel: Panel
    group_of: dict[int, str]
    gold_codes: dict[int, CodeArray]


@dataclass(frozen=True, slots=True)
class Finding:
    """The rule beside its best voter, on all words or in one stratum.

    Attributes:
        stratum: a name of `STRATA`, or `all`.
        words: words compared.
        value: the rule's balanced accuracy or recall; None where nothing can be said.
        best_voter: the voter with the best one.
        best_value: that voter's, with the rule's decision where it is silent.
        low: lower end of the rule's less the best voter's, see `BestVoterComparison`.
        high: its upper end.
        collapses: the whole interval lies below 0.
        silent: words compared of which that voter says nothing.
    """

    stratum: str
    words: int
    value: float | None = None
    best_voter: str = ""
    best_value: float | None = None
    low: float | None = None
    high: float | None = None
    collapses: bool = False
    silent: int = 0


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
    """What was found, as `rounds.decisions` keeps it."""

    decision: JSON


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
    found = load_known(session, held, text_ids, SELECTED)
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
    return Outputs(_as_decision(inputs, truth.name, findings))


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Keep what was found; where the rule collapses, say so as an event."""
    loops.record_decision(session, job.round_id, DECISION, out.decision)
    if out.decision["collapses"]:
        records.add_event(
            session,
            "farm",
            WARNED,
            loop_id=job.loop_id,
            round_id=job.round_id,
            job_id=job.id,
            detail={"round": job.round, "sentence": out.decision["sentence"]},
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


def _compare(inputs: Inputs, counts: Counts, truth: str) -> Iterator[Finding]:
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
            yield Finding(
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
            yield Finding(stratum, words)


def _as_decision(inputs: Inputs, truth: str, findings: list[Finding]) -> JSON:
    """Lay out what was found, with a sentence that says it."""
    whole, strata = findings[0], findings[1:]
    laid = {
        "documents": len(inputs.panel.text_ids),
        "truth": truth,
        "rule": inputs.config.aggregation.rule,
        **asdict(whole),
        "collapses": any(found.collapses for found in findings),
        "strata": [asdict(found) for found in strata],
    }
    del laid["stratum"]
    return {**laid, "sentence": _say(inputs, truth, findings)}


def _say(inputs: Inputs, truth: str, findings: list[Finding]) -> str:
    """Say what was found and, where the rule collapses, what to do about it."""
    rule, whole = inputs.config.aggregation.rule, findings[0]
    on = f"on {len(inputs.panel.text_ids)} pilot documents ({whole.words} words)"
    worse = [found for found in findings if found.collapses]
    if whole.value is None:
        return f"{on} too little is known to compare {rule} with its voters"
    if not worse:
        return f"{on} {rule} does not do worse than its best voter, {whole.best_voter}"
    cases = "; ".join(
        f"{'overall' if found.stratum == ALL else found.stratum}: {rule} "
        f"{found.value:.2f}, {_alone(found, rule)} {found.best_value:.2f} "
        f"(difference {found.low:+.2f} to {found.high:+.2f})"
        for found in worse
    )
    choose = "" if rule == DEFAULT_RULE else f"choose the rule {DEFAULT_RULE}, "
    return (
        f"{on} {rule} does worse than its best voter, by {MEASURES[truth]}: {cases}. "
        f"The round goes on; to do better, {choose}add calibration gold (`farm gold "
        "add`), or leave out voters that are wrong there, and start another loop: "
        "the answers are stored"
    )


def _alone(found: Finding, rule: str) -> str:
    """Name the best voter, and who decides where it is silent."""
    if not found.silent:
        return f"{found.best_voter} alone"
    share = found.silent / found.words
    return f"{found.best_voter} (with {rule} on the {share:.0%} it is silent on)"
